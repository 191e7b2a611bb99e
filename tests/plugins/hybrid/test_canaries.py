"""Canary secrets at every level of the policy: every byte on the wire and all of the plane's database is searched.

What a level does not let out must not be found at all, in no form; what a flow has resolved as a secret never.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from hub.events import LEVELS, allows
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import stream
from hub.store.tables import metadata
from hub.types import Scope
from sqlalchemy import text
from tests.planes.conftest import Plane
from tests.planes.conftest import plane as site_plane  # noqa: F401 - a fixture

from hub_hybrid import api, links, wire
from hub_hybrid.credentials import join
from hub_hybrid.supervisor import Pace, Supervisor

from .test_links_over_http import LOCAL, End, Shared, stamp, until
from .world import plain

SCOPE = Scope()
SAID = {
    "params": "canary-parameter ä&1", "errors": "canary-exception ö&2", "logs": "canary-log-line ü&3",
    "results": "canary-result ß&4",
}  # fmt: skip
NEVER = {
    "password": "canary-connection é&5", "resolved": "canary-resolved ñ&6", "environment": "canary-environment ô&7",
    "secret": "canary-kept-secret î&8", "host": "canary-host.example.org",
}  # fmt: skip
FLOWS = f"""
SAID = {SAID!r}

@flow(log_prints=True, flow_run_name="it was {{name}}")
def good(name="x", text="", password=""):
    secret = connection("warehouse").password.get_secret_value()
    print(connection("elsewhere").password.get_secret_value())
    print("a log line", SAID["logs"], secret, base64.b64encode(secret.encode()).decode())
    emit_event("canary.sung", resource=secret, payload={{"text": text, "secret": secret}})
    return {{"result": SAID["results"], "secret": secret}}

@flow
def plain():
    return {{"result": SAID["results"], "kept": {NEVER["secret"]!r}}}

@flow
def bad():
    secret = connection("warehouse").password.get_secret_value()
    raise ValueError(SAID["errors"] + " " + secret)

@flow
def bare():
    return ["it is", connection("elsewhere").password.get_secret_value()]

@flow(export="metadata")
def silent(text=""):
    print("inner")
    inner(text)
    raise ValueError("hush-hush " + text)

@flow
def inner(text):
    return "hush-hush " + text
"""


class Recorder(httpx2.BaseTransport):
    """Between the site and the plane: keeps every byte of every request."""

    def __init__(self, plane: End) -> None:
        self._inside = Shared(plane)
        self.sent: list[bytes] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        line = f"{request.method} {request.url}\n".encode()
        headers = b"\n".join(name + b": " + value for name, value in request.headers.raw)
        self.sent.append(line + headers + b"\n\n" + plain(request.headers, request.read()))
        return self._inside.handle_request(request)


class World:
    """A site whose runs are real, and a plane behind a recorder."""

    def __init__(self, site: Plane, cloud: End, recorder: Recorder, token: str) -> None:
        self.site, self.cloud, self.recorder, self.token = site, cloud, recorder, token
        self.supervisor = Supervisor(site.store, Pace(beat=0.2, poll=1.0, longest=0.5), recorder)

    def stamp(self) -> None:
        stamp(self.site)  # type: ignore[arg-type]

    def connect(self, level: str) -> None:
        answer, who = join(self.site.store, wire.HttpWire(LOCAL, self.token, self.recorder), self.token, "berlin")
        assert answer.status == 200, answer
        args = {"name": "cloud", "url": LOCAL, "token": self.token, "level": level, **who}
        apply(self.site.store, Command("link.connect", SCOPE, "cloud", args))
        self.supervisor.step()

    def everywhere(self) -> bytes:
        """All that was sent, and all that the plane keeps."""
        with self.cloud.store.read() as tx:
            kept = [tx.conn.execute(text(f'SELECT * FROM "{name.name}"')).all() for name in metadata.sorted_tables]
        rows = "\n".join(str(value) for table in kept for row in table for value in row)
        return b"\n".join(self.recorder.sent) + rows.encode()


@pytest.fixture
def world(
    site_plane: Plane,  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setenv("HUB_SECRET_RESOLVED", NEVER["resolved"])
    monkeypatch.setenv("CANARY", NEVER["environment"])
    with ExitStack() as stack:
        cloud = End(stack, sync_interval="0.1")
        recorder = Recorder(cloud)
        real = wire.HttpWire
        monkeypatch.setattr(api, "HttpWire", lambda url, token: real(url, token, recorder))
        for name in ("_installed", "_hooks", "around_task"):
            monkeypatch.setattr(contributed, name, None)
        contributed.install(load_plugins(load_settings(), process="upkeep").hooks)
        fields = {"database": NEVER["host"], "user": "u", "password": NEVER["password"]}
        args = {"name": "warehouse", "kind": "postgresql", "fields": fields, "replace": True}
        apply(site_plane.store, Command("connection.set", SCOPE, "warehouse", args))
        args |= {"name": "elsewhere", "fields": {**fields, "password": "env:HUB_SECRET_RESOLVED"}}
        apply(site_plane.store, Command("connection.set", SCOPE, "elsewhere", args))
        apply(site_plane.store, Command("secret.set", SCOPE, "kept", {"name": "kept", "value": NEVER["secret"]}))
        found = World(site_plane, cloud, recorder, cloud.client.post("/sites", {"name": "berlin"})["token"])
        yield found
        found.supervisor.stop()


def written(canary: str) -> list[bytes]:
    """A canary in the forms in which it could leave."""
    raw = canary.encode()
    whole = [canary, json.dumps(canary)[1:-1], json.dumps(json.dumps(canary))[2:-2], quote(raw), quote(raw, safe=""),
             quote_plus(raw), repr(canary)[1:-1]]  # fmt: skip
    pieces = [base64.b64encode(b"\0" * before + raw)[4 : (before + len(raw)) * 8 // 6] for before in range(3)]
    return (
        [one.encode() for one in whole] + pieces + [piece.translate(bytes.maketrans(b"+/", b"-_")) for piece in pieces]
    )


def found(canary: str, haystack: bytes) -> bool:
    return any(form in haystack for form in written(canary))


@pytest.mark.long("sqlite-metadata", "sqlite-errors", "sqlite-logs", "postgresql-errors", "postgresql-params")
@pytest.mark.parametrize("level", LEVELS)
def test_no_canary_is_found_above_its_level_and_no_secret_at_any(world: World, level: str) -> None:
    site, file = world.site, world.site.file("import base64\n" + FLOWS)
    site.execute(f"{file}:good", {"text": "before " + SAID["params"]})
    world.connect(level)
    given = {"text": SAID["params"], "password": "canary-typed-in", "name": NEVER["password"]}
    good = site.execute(f"{file}:good", given)
    assert good["state_type"] == "COMPLETED"
    assert site.execute(f"{file}:plain")["state_type"] == "COMPLETED"
    bare = site.execute(f"{file}:bare")
    bad = site.execute(f"{file}:bad")
    quiet = site.execute(f"{file}:silent", {"text": "hush-hush"}, export="metadata")
    settled(world)
    everywhere = world.everywhere()
    for kind, canary in SAID.items():
        assert found(canary, everywhere) == allows(level, kind), (kind, level)
    for kind, canary in {**NEVER, "typed": "canary-typed-in", "capped": "hush-hush"}.items():
        assert not found(canary, everywhere), (kind, level)
    runs = {str(run["id"]): run for run in world.cloud.client.page("/sites/berlin/runs")[0]}
    assert runs[bad["id"]]["error_type"] == "ValueError"
    assert runs[quiet["id"]]["error_message"] is None
    shown = world.cloud.client.get(f"/sites/berlin/runs/{good['id']}")
    assert (shown["parameters"] is not None) == allows(level, "params")
    assert (shown["result"] is not None) == allows(level, "results")
    hidden = world.cloud.client.get(f"/sites/berlin/runs/{bare['id']}")["result"]
    assert hidden == ({"left_out_bytes": len(bare["result"])} if allows(level, "results") else None)


def settled(world: World) -> None:
    """The plane has all that was written."""
    world.stamp()

    def done() -> bool:
        with world.site.store.read() as tx:
            (link,) = links.live(tx)
            lines = link["log_cursor"] == links.newest_line(tx) or not allows(link["level"], "logs")
            return bool(link["acked_seq"] == stream.read(tx).seq and lines)

    until(done)
