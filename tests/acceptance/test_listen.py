"""`hub listen` between a real hub and a program of one's own."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from hub.runtime.presets import installed
from hub.types import new_id, now_us
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signing import sample_request, sign
from hub.webhooks.verify import verify
from tests.planes.doors import Made

from .conftest import Site, wait_until

BODIES = (b'{"n":1, "a" : "\xc3\xbc"}', b'{"n":2}', b'{"n":3,"wide":"' + b"x" * 100_000 + b'"}')


class Program(http.server.BaseHTTPRequestHandler):
    """The program at the other end: it keeps what it gets."""

    got: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(500 if b'"n":2' in body else 204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def program() -> Iterator[str]:
    Program.got = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Program) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hooks?a=b"
        server.shutdown()
        thread.join()


class Hub:
    """A web process that may be killed, an upkeep process, a source."""

    def __init__(self, site: Site) -> None:
        self.site = site
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.begin()
        made = httpx2.post(f"{self.url}/api/v1/sources", json={"name": "ci", "preset": "github"}).json()
        self.source = Made(made["id"], "ci", "github", made["url"].rpartition("/")[2], made["secret"], {})
        site.start("upkeep")

    def begin(self) -> None:
        self.web = self.site.start("web", "--port", str(self.port))
        wait_until(self._answers, what="the web process answers")

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=5).is_success
        except httpx2.TransportError:
            return False

    def send(self, body: bytes, kind: str = "push") -> str:
        headers = {"X-GitHub-Event": kind, "X-GitHub-Delivery": new_id(), "Content-Type": "application/json"}
        signed = self.source.signed(body, headers)
        answer = httpx2.post(self.url + self.source.path, content=body, headers=dict(signed.headers))
        assert answer.status_code == 202
        return str(answer.json()["receipt"])

    def events(self) -> int:
        """How many requests have become events."""
        return len(httpx2.get(f"{self.url}/api/v1/events", params={"type": "github."}).json()["items"])

    def listen(
        self, to: str, *words: str, source: str = "ci", env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "hub.cli", "listen", source, "--to", to, "--json", *words]
        env = {**os.environ, "HUB_API_URL": self.url, **(env or {})}
        listening = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert listening.stderr is not None
        assert f"Listening to {source}" in listening.stderr.readline()
        return listening


@pytest.fixture
def hub(make_site: Callable[..., Site]) -> Hub:
    return Hub(make_site())


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_it_sends_exact_bytes_on_and_misses_nothing_while_the_hub_is_killed(hub: Hub, program: str) -> None:
    old = [hub.send(body) for body in BODIES]
    wait_until(lambda: hub.events() == len(old), what="they have become events: what has not yet is new to listeners")
    listening = hub.listen(program, "--replay", "last:2", "--count", "8")
    wait_until(lambda: len(Program.got) == 2, what="the last two are replayed")
    new = [hub.send(body) for body in BODIES]
    hub.web.send_signal(signal.SIGKILL)
    hub.web.wait(10)
    hub.begin()
    new += [hub.send(body) for body in BODIES]
    out, err = listening.communicate(timeout=60)
    said = lines(out)
    assert [one["receipt"] for one in said] == old[1:] + new
    assert [one["status"] for one in said] == [500, 204, 204, 500, 204, 204, 500, 204]
    assert [body for _, _, body in Program.got] == [*BODIES[1:], *BODIES, *BODIES]
    path, headers, _ = Program.got[0]
    assert path == "/hooks?a=b"
    assert headers["x-github-event"] == "push"
    assert "x-hub-signature-256" not in headers  # the hub keeps its name only
    assert "The hub is away" in err
    assert listening.returncode == 0
    # What came meanwhile is there for who goes on where it ended.
    late = hub.send(b'{"n":4}')
    after = err.split("--after ")[1].split()[0]
    listening = hub.listen(program, "--after", after, "--count", "1")
    assert [one["receipt"] for one in lines(listening.communicate(timeout=60)[0])] == [late]


@pytest.mark.slow
def test_it_signs_anew_so_that_a_program_with_a_time_window_can_verify(hub: Hub, program: str) -> None:
    """Stripe's window is five minutes, and what the hub keeps has no signature at all."""
    secret, preset = "whsec_of_this_test", installed().get("stripe")
    with httpx2.Client(base_url=f"{hub.url}/api/v1") as api:
        made = api.post("/sources", json={"name": "pay", "preset": "stripe", "secret": secret}).json()
        body = sample_request(preset, preset.samples[0].name, "").body
        sent = sign(preset, secret, WebhookRequest("POST", "", (), body), now=now_us())
        assert api.post(
            hub.url + "/in/" + made["url"].rpartition("/")[2], content=body, headers=dict(sent.headers)
        ).is_success
        (row,) = api.get("/receipts", params={"source": "pay"}).json()["items"]
        for words in (("--sign",), ("--sign-with", "env:OF_THIS_TEST"), ("--sign-with", "other")):
            listening = hub.listen(
                program, "--replay", "last:1", "--count", "1", *words, source="pay", env={"OF_THIS_TEST": secret}
            )
            out, err = listening.communicate(timeout=60)
            assert lines(out)[0]["receipt"] == row["id"]
            assert secret not in out + err
        heard = [WebhookRequest("POST", program, tuple(headers.items()), body) for _, headers, body in Program.got]
        later = now_us()
        verdicts = [verify(preset, one, [SecretValue("s", secret)], now=later) for one in heard]
        assert [verdict.valid for verdict in verdicts] == [True, True, False], verdicts
        assert all(verdict.timestamp_checked for verdict in verdicts[:2])
        # The hub signs what it has verified, and nothing else.
        api.patch("/sources/pay", json={"mode": "observe"})
        forged = api.post(hub.url + "/in/" + made["url"].rpartition("/")[2], content=b'{"type":"x","id":"y"}').json()
        refused = api.post(f"/receipts/{forged['receipt']}/sign", json={"url": "http://localhost/"})
        assert (refused.status_code, "not verified" in refused.json()["detail"]) == (403, True)


@pytest.mark.slow
def test_a_filter_chooses_and_a_program_that_is_away_is_told_of(hub: Hub, program: str) -> None:
    for body in BODIES:
        hub.send(body)
    listening = hub.listen(program, "--replay", "last:3", "--filter", "body.n > 1 && has(body.wide)", "--count", "1")
    out, _ = listening.communicate(timeout=60)
    assert [one["bytes"] for one in lines(out)] == [len(BODIES[2])]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    listening = hub.listen(nowhere, "--replay", "last:1", "--filter", "body.n == 3", "--count", "1")
    out, _ = listening.communicate(timeout=60)
    assert lines(out)[0]["error"] == "nothing listens there"
    assert listening.returncode == 1
    listening = hub.listen(program, "--replay", "last:1", "--filter", "body.unknown == 3")
    assert listening.stderr is not None
    assert "Not sent on" in listening.stderr.readline()
    listening.send_signal(signal.SIGINT)
    listening.communicate(timeout=30)
    assert listening.returncode == 0
