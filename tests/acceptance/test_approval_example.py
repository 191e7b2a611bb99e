"""The approval example on a real hub: it asks by a link, its worker is killed, somebody answers over HTTP."""

from __future__ import annotations

import html
import os
import re
import shutil
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from email import message_from_bytes
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from hub.runtime import process
from hub.runtime.commands import Command, apply
from hub.runtime.loader import load_flow
from hub.store import waits
from hub.testing.demo.site import free_port

from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
EXAMPLE = Path(__file__).parents[2] / "examples/approval.py"


class Person:
    """A browser without a login."""

    def __init__(self) -> None:
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(cookies, urllib.request.ProxyHandler({}))

    def get(self, address: str) -> tuple[int, str]:
        return self._open(urllib.request.Request(address))

    def answer(self, address: str, **fields: str) -> tuple[int, str]:
        """Fill in the form that stands there and send it."""
        _, page = self.get(address)
        path = urllib.parse.urlsplit(address).path
        form = page.split(f'action="{path}"')[1].split("</form>")[0]
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        data = urllib.parse.urlencode({**{k: html.unescape(v) for k, v in hidden.items()}, **fields})
        return self._open(urllib.request.Request(address, data.encode()))

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_site: Callable[..., Site]) -> Any:
    """A site that asks everybody for a login, without a worker for the queue of its flows."""
    env = {"HUB_SDK_WAIT_IN_PLACE": "0.5", "HUB_WEB_LOGIN": "always", "HUB_WEB_PORT": str(free_port())}
    if request.param == "postgresql":
        env["HUB_DATABASE_URL"] = request.getfixturevalue("own_postgres_url")
    made = make_site(**env)
    shutil.copy(EXAMPLE, made.home.parent / "flows.py")
    made.up("--queue", "elsewhere", "--slots", "1")
    made.deploy("release")
    yield made
    # Before the database is dropped under them.
    made.end()


def start(site: Site, **parameters: Any) -> str:
    made = apply(site.store, Command("run.create", SCOPE, "release", {"parameters": parameters}))
    return str(made.result["id"])


def link_in(outbox: Path) -> str:
    (mail,) = outbox.glob("*.eml")
    text = message_from_bytes(mail.read_bytes()).get_payload(decode=True)
    assert isinstance(text, bytes)
    return re.findall(r"http://\S+", text.decode())[0]


@pytest.mark.long("sqlite")
def test_an_answer_by_the_link_lets_a_run_go_on_whose_worker_was_killed(site: Site) -> None:
    worker = site.start("worker", "--slots", "1", "--queue", "default")
    outbox = site.home.parent / "outbox"
    run_id = start(site, version=7, outbox=str(outbox), patience=3600)
    wait_until(lambda: site.row(run_id)["state_name"] == "Suspended", 60, "it asks")
    os.killpg(worker.pid, signal.SIGKILL)
    wait_until(lambda: not process.alive(worker.pid))

    person, link = Person(), link_in(outbox)
    status, page = person.get(link)
    assert (status, "May release 7 go out?" in page) == (200, True)
    status, page = person.answer(link, **{"p.decision": '"release"', "p.share": "150"})
    assert (status, "at most 100" in page) == (422, True)
    with site.store.read() as tx:
        assert [point.state for point in waits.open_of(tx, SCOPE, run_id)] == ["open"]
    status, page = person.answer(link, **{"p.decision": '"release"', "p.share": "20"})
    assert (status, "Thank you" in page) == (200, True)
    assert person.get(link)[0] == 410

    site.start("worker", "--slots", "1", "--queue", "default")
    site.wait_ended([run_id], timeout=90)
    row = site.row(run_id)
    assert (row["state_name"], row["crashes"]) == ("Completed", 0)
    assert row["result"] == b'"release 7 is on 20 % of the machines"'
    assert len(list(outbox.iterdir())) == 1, "one mail was sent"


@pytest.mark.long("postgresql")
def test_upkeep_gives_the_default_when_nobody_answers(site: Site) -> None:
    site.start("worker", "--slots", "1", "--queue", "default")
    outbox = site.home.parent / "outbox"
    run_id = start(site, version=8, outbox=str(outbox), patience=2)
    site.wait_ended([run_id], timeout=90)
    assert site.row(run_id)["result"] == b'"release 8 is held back: nobody answered in time"'
    assert Person().get(link_in(outbox))[0] == 410


def test_called_as_a_function_it_waits_in_its_process(tmp_path: Path) -> None:
    release = load_flow(f"{EXAMPLE}:release")
    told = release(version=9, outbox=str(tmp_path), patience=0.1)
    assert told == "release 9 is held back: nobody answered in time"
    assert "/ui/answers/" in link_in(tmp_path)
