"""Webhooks by way of a plane, with real processes that get killed: each is one receipt and one run at the site, and the
plane's database holds nothing of one in clear."""

from __future__ import annotations

import base64
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from benchmarks.outage import FLOWS, PACE, SITE
from hub.settings import load_settings
from hub.store import open_hub
from hub.store.tables import PlaneWebhook, metadata
from hub.testing.demo import github
from hub.testing.demo.site import Site, until
from sqlalchemy import func, select, text

BACKLOG = 12
CANARY = 'canary payload ä&="7f3a9'
WAITING = PlaneWebhook.__table__  # type: ignore[attr-defined]


class Ends:
    """A plane and a site whose source `hooks` has an address there."""

    def __init__(self, plane: Site, site: Site) -> None:
        self.plane, self.site, self.http = plane, site, plane.http
        plane.start()
        site.start()
        site.run("cloud", "connect", plane.url, plane.json("sites", "create", "berlin")["token"])
        site.run("deploy", f"{FLOWS}:one_task", "--name", "hooked")
        made = site.json("webhooks", "create", "hooks", "--preset", "github")
        self.secret = str(made["secret"])
        site.run("automations", "create", "hooks", "--on", "github.push", "--run", "hooked")
        self.url = str(site.json("cloud", "publish", "hooks")["url"])
        self.token = self.url.rpartition("/")[2]
        until("the address to open", self.open)

    def open(self) -> bool:
        return [row["status"] for row in self.site.json("cloud", "addresses")] == ["open"]

    def request(self, name: str, secret: str = "") -> Any:
        body = {**github.PUSH, "after": name, "note": CANARY}
        return github.delivery("push", body, secret or self.secret)

    def send(self, request: Any) -> Any:
        return self.http.post(self.url, content=request.body, headers=dict(request.headers))

    def receipts(self) -> list[dict[str, Any]]:
        return list(self.site.client.items("/receipts"))

    def runs(self) -> Counter[str]:
        found = [run for run in self.site.client.items("/runs") if run["deployment_name"] == "hooked"]
        return Counter(str(run["state_type"]) for run in found)

    def kill(self, end: Site) -> None:
        os.killpg(end.pid, signal.SIGKILL)
        end.wait()


@contextmanager
def ends(kind: str, request: pytest.FixtureRequest) -> Iterator[Ends]:
    pace = {**PACE, "sync_webhook_backlog": str(BACKLOG)}
    base = {"plane": pace, "site": dict(SITE)}
    if kind == "postgresql":
        base["plane"]["database_url"] = request.getfixturevalue("postgres_url")
    with Site(base["plane"], command=("web",)) as plane, Site(base["site"]) as site:
        yield Ends(plane, site)


def everything(plane: Site, *, waiting: bool = True) -> bytes:
    """All that the plane's database holds; of SQLite also what its files do. `waiting`: webhooks are among it."""
    settings = {name.lower().removeprefix("hub_"): value for name, value in plane._settings.items()}
    found = [path.read_bytes() for path in plane.home.rglob("*") if path.is_file()]
    found += [path.read_bytes() for path in plane.home.parent.glob("*.log")]
    store = open_hub(load_settings(settings, environ={}))
    try:
        with store.read() as tx:
            for table in metadata.sorted_tables:
                for row in tx.conn.execute(text(f'SELECT * FROM "{table.name}"')).all():
                    found += [value if isinstance(value, bytes) else str(value).encode() for value in row]
            assert bool(tx.conn.execute(select(func.count()).select_from(WAITING)).scalar_one()) == waiting
    finally:
        store.close()
    return b"\n".join(found)


def forms(said: str) -> list[bytes]:
    """A text in the forms in which it could be kept."""
    raw = said.encode()
    whole = [said, json.dumps(said)[1:-1], quote(raw), quote(raw, safe=""), quote_plus(raw)]
    pieces = [base64.b64encode(b"\0" * before + raw)[4 : (before + len(raw)) * 8 // 6] for before in range(3)]
    urls = [piece.translate(bytes.maketrans(b"+/", b"-_")) for piece in pieces]
    return [one.encode() for one in whole] + pieces + urls


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.long("sqlite")
def test_a_webhook_that_a_plane_took_is_one_run_at_the_site_whoever_is_killed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    with ends(kind, request) as both:
        _it_is_judged_at_the_site(both)
        _what_waits_is_sealed_and_bounded(both)
        _nothing_is_lost_or_doubled_by_kills(both)
        both.site.run("cloud", "unpublish", str(both.site.json("cloud", "addresses")[0]["id"]), "--yes")
        until("the address to be gone", lambda: both.send(both.request("late")).status_code == 404)


def _it_is_judged_at_the_site(both: Ends) -> None:
    first = both.request("first")
    answer = both.send(first)
    assert answer.status_code == 202, answer.text
    until("its run to end", lambda: both.runs()["COMPLETED"] == 1)
    (receipt,) = both.receipts()
    assert (receipt["id"], receipt["verdict"]) == (answer.json()["receipt"], "accepted")
    # Again, and signed by somebody else: the plane cannot tell, the site does.
    assert both.send(first).status_code == 202
    assert both.send(both.request("forged", "not-the-secret")).status_code == 202
    until("the forged one to be refused", lambda: len(both.receipts()) == 2)
    assert sorted(row["verdict"] for row in both.receipts()) == ["accepted", "rejected"]
    assert both.http.post(both.plane.url + "/in/" + "x" * 32, content=b"{}").status_code == 404
    assert both.http.post(both.url, content=b"x" * 262_145).status_code == 413
    assert both.http.get(both.url).status_code == 405


def _what_waits_is_sealed_and_bounded(both: Ends) -> None:
    both.kill(both.site)
    sent = [both.request(f"away-{number}") for number in range(BACKLOG)]
    assert {both.send(one).status_code for one in sent} == {202}
    full = both.send(both.request("too-many"))
    assert (full.status_code, full.headers["retry-after"]) == (503, "60")
    kept = everything(both.plane)
    signature = dict(sent[0].headers)["X-Hub-Signature-256"].partition("=")[2]
    for said in (CANARY, signature, both.token, both.secret, "away-3", str(github.PUSH["ref"])):
        assert not [form for form in forms(said) if form in kept], said
    both.kill(both.plane)
    both.plane.start()
    both.site.start()
    until("all to run", lambda: both.runs()["COMPLETED"] == 1 + BACKLOG, seconds=60)


def _nothing_is_lost_or_doubled_by_kills(both: Ends) -> None:
    accepted: list[str] = []
    stop = threading.Event()
    sender = threading.Thread(target=_send_all, args=(both, accepted, stop))
    sender.start()
    try:
        for end in (both.site, both.plane, both.site):
            _more(accepted)
            both.kill(end)
            time.sleep(0.2)
            end.start()
        both.plane.run("sites", "rotate", "berlin")
        _more(accepted)
    finally:
        stop.set()
        sender.join(60)
    many = 1 + BACKLOG + len(accepted)
    until("all to run", lambda: both.runs()["COMPLETED"] >= many, seconds=90)
    rows = [row for row in both.receipts() if row["verdict"] == "accepted"]
    assert len({row["id"] for row in rows}) == len(rows) == sum(both.runs().values()) == many, both.runs()


def _more(accepted: list[str]) -> None:
    many = len(accepted)
    until("webhooks to be taken", lambda: len(accepted) > many + 5, seconds=60)


def _send_all(both: Ends, accepted: list[str], stop: threading.Event) -> None:
    """One after the other, each again until it was taken."""
    number = 0
    while not stop.is_set():
        one = both.request(f"s{number}")
        end = time.monotonic() + 45
        while time.monotonic() < end:
            try:
                if both.send(one).status_code == 202:
                    accepted.append(f"s{number}")
                    break
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        number += 1
