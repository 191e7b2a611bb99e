"""What a link's policy lets out: decided when an event is hashed, lessened when it leaves, shown by the preview."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hub.errors import NotFoundError, UsageError
from hub.events import LEVELS, allows
from hub.store import runs
from hub.store.tables import Event
from hub.types import new_id
from sqlalchemy import select

from hub_hybrid import export, links, replica
from hub_hybrid.agent import Agent, SessionLost
from hub_hybrid.cli import cloud
from hub_hybrid.credentials import credentials_of
from hub_hybrid.export import Policy
from hub_hybrid.wire import HttpWire

from .test_links_over_http import LOCAL, End, Shared, ends, make_run, stamp  # noqa: F401 - fixtures
from .world import CANARIES, SCOPE, PlaneEnd, SiteEnd, answered, memory_store, plain, push_all, same

EVENTS = Event.__table__  # type: ignore[attr-defined]


def opened(site: SiteEnd, plane: PlaneEnd, level: str) -> Agent:
    site.connect(plane)
    site.policy(plane.name, level)
    agent = site.agent(plane)
    agent.open()
    return agent


def lived(site: SiteEnd, *, good: bool) -> str:
    run = new_id()
    while site.advance(run, good):
        site.stamp()
    return run


@pytest.mark.parametrize("level", LEVELS)
def test_a_plane_shows_what_the_policy_lets_out_and_the_chain_holds(site: SiteEnd, plane: PlaneEnd, level: str) -> None:
    opened(site, plane, level)
    good, bad = lived(site, good=True), lived(site, good=False)
    push_all(site)
    assert plane.row()["chain_hash"] == site.ends().hash
    shown = plane.runs()
    said = {"params": {"parameters": {"said": CANARIES["params"]}}, "results": {"result": CANARIES["results"]}}
    assert shown[good]["more"] == {kind: fields for kind, fields in said.items() if allows(level, kind)}
    errors = dict.fromkeys(("error_message", "error_trace", "state_message"), CANARIES["errors"])
    assert shown[bad]["more"].get("errors") == (errors if allows(level, "errors") else None)
    assert "results" not in shown[bad]["more"]


def test_planes_of_different_policies_have_the_same_chain(site: SiteEnd, plane: PlaneEnd) -> None:
    store = memory_store()
    other = PlaneEnd(store, "mirror")
    opened(site, plane, "errors")
    opened(site, other, "results")
    run, bad = lived(site, good=True), lived(site, good=False)
    push_all(site, "cloud")
    push_all(site, "mirror")
    assert plane.row()["chain_hash"] == other.row()["chain_hash"] == site.ends().hash
    assert plane.runs()[run]["more"] == {}
    assert set(plane.runs()[bad]["more"]) == {"errors"}
    assert set(other.runs()[run]["more"]) == {"params", "results"}
    sent = b"".join(plane.network.seen)
    assert CANARIES["errors"].encode() in sent
    assert CANARIES["params"].encode() not in sent
    with plane.store.read() as tx:
        kept = [row["event"] for row in tx.conn.execute(select(replica.EVENTS)).mappings()]
    assert any(set(event.get("more", {}).get("params", {})) == {"hash"} for event in kept), "committed to, not shown"
    other.network.shut()
    store.close()


def test_a_part_that_was_tampered_with_breaks_the_chain(site: SiteEnd, plane: PlaneEnd) -> None:
    agent = opened(site, plane, "params")
    site.advance(new_id())
    site.stamp()
    with site.store.write() as tx:
        (row,) = tx.conn.execute(select(EVENTS).where(EVENTS.c.more.is_not(None))).mappings()
        more = {**row["more"], "params": {**row["more"]["params"], "text": '{"parameters":{"said":"else"}}'}}
        tx.conn.execute(EVENTS.update().where(EVENTS.c.id == row["id"]).values(more=more))
    with pytest.raises(SessionLost):
        agent.push()
    assert plane.runs() == {}


def test_less_holds_at_once_and_more_only_for_what_happens_from_now_on(site: SiteEnd, plane: PlaneEnd) -> None:
    opened(site, plane, "metadata")
    first = lived(site, good=True)
    site.policy("cloud", "results")
    second = lived(site, good=True)
    push_all(site)
    assert plane.runs()[first]["more"] == {}
    assert set(plane.runs()[second]["more"]) == {"params", "results"}
    third = lived(site, good=True)
    site.policy("cloud", "metadata")
    push_all(site)
    assert plane.runs()[third]["more"] == {}
    # The same of a snapshot.
    site.policy("cloud", "results")
    fourth = lived(site, good=True)
    site.renew()
    site.agent(plane).open()
    shown = plane.runs()
    assert {run: set(shown[run]["more"]) for run in (first, second, third, fourth)} == {
        first: set(), second: set(), third: set(), fourth: {"params", "results"}
    }  # fmt: skip
    assert same(site, plane)


def test_a_flow_lets_out_less_than_its_link(site: SiteEnd, plane: PlaneEnd) -> None:
    opened(site, plane, "results")
    outer, inner = new_id(), new_id()
    with site.store.write() as tx:
        row = {"name": "a-run", "flow_name": "a", "parameters": {"said": "hush"}}
        runs.create(tx, SCOPE, {**row, "id": outer, "export": "errors"})
        runs.create(tx, SCOPE, {**row, "id": inner, "parent_run_id": outer})
    push_all(site)
    assert plane.runs()[inner]["more"] == plane.runs()[outer]["more"] == {}
    site.renew()
    site.agent(plane).open()
    assert plane.runs()[inner]["more"] == {}
    assert b"hush" not in b"".join(plane.network.seen)


def test_a_plane_of_the_protocol_before_gets_what_it_can_check(site: SiteEnd, plane: PlaneEnd) -> None:
    store = memory_store()
    other = PlaneEnd(store, "mirror")
    opened(site, other, "results")
    agent = opened(site, plane, "results")

    assert agent.session is not None
    agent.session = replace(agent.session, protocol=1)
    run = lived(site, good=True)
    push_all(site)
    assert plane.row()["chain_hash"] == site.ends().hash
    assert CANARIES["params"].encode() not in b"".join(plane.network.seen)
    assert plane.runs()[run]["more"] == {}
    other.network.shut()
    store.close()


def test_what_is_too_large_leaves_as_its_size_and_an_event_with_it_as_metadata(
    site: SiteEnd, plane: PlaneEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = opened(site, plane, "results")
    large, larger = new_id(), new_id()
    with site.store.write() as tx:
        row = {"name": "a-run", "flow_name": "a"}
        runs.create(tx, SCOPE, {**row, "id": large, "parameters": {"said": "x" * 80_000}})
        runs.create(tx, SCOPE, {**row, "id": larger, "parameters": {"said": "x" * 5_000}})
    site.stamp()
    real = plane.network.deliver
    monkeypatch.setattr(
        plane.network, "deliver", lambda letter: answered(413) if len(plain(*letter[2:])) > 4000 else real(letter)
    )
    while agent.push():
        pass
    assert plane.runs()[large]["more"] == {"params": {"parameters": {"left_out_bytes": 80_011}}}
    assert plane.runs()[larger]["more"] == {}
    assert plane.runs()[larger]["run"]["flow_name"] == "a"


@pytest.mark.long("errors", "logs", "results")
@pytest.mark.parametrize("level", LEVELS)
def test_the_preview_prints_the_very_bytes_that_are_sent(
    ends: tuple[End, End],  # noqa: F811 - a fixture
    level: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site, far = ends
    token = far.client.post("/sites", {"name": "berlin"})["token"]
    site.client.post("/links", {"url": LOCAL, "token": token, "level": level})
    for _ in range(3):
        make_run(site)
    stamp(site)
    monkeypatch.setattr(cloud, "open_client", lambda: _Open(site))
    cloud.preview(limit=4)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert ("s3cret" in "".join(lines)) == allows(level, "params")
    sent: list[bytes] = []
    with site.store.read() as tx:
        (link,) = links.live(tx)

    class Kept(Shared):
        def handle_request(self, request: Any) -> Any:
            sent.append(plain(request.headers, request.read()))
            return super().handle_request(request)

    with site.store.read() as tx:
        known = credentials_of(tx, link)
    agent = Agent(site.store, link["id"], HttpWire(LOCAL, known, Kept(far)))
    with site.store.write() as tx:
        tx.conn.execute(links.LINKS.update().values(acked_seq=0))
    agent.open()
    with site.store.read() as tx:
        out = [
            json.dumps(export.wire(event), separators=(",", ":")) for event in export.preview(tx, Policy.of(link), 4)
        ]
    assert lines == out
    # All again, as to a plane that has nothing yet.

    assert agent.session is not None
    with far.store.write() as tx:
        tx.conn.execute(replica.SITES.update().values(acked_seq=0, chain_hash=""))
    agent.session = replace(agent.session, acked=0)
    assert agent.push()
    assert f'"events":[{",".join(lines)}]'.encode() in sent[-1]


class _Open:
    def __init__(self, end: End) -> None:
        self.end = end

    def __enter__(self) -> Any:
        return self.end.client

    def __exit__(self, *_: object) -> None: ...


def test_the_policy_is_set_and_shown(ends: tuple[End, End]) -> None:  # noqa: F811 - a fixture
    site, far = ends
    token = far.client.post("/sites", {"name": "berlin"})["token"]
    made = site.client.post("/links", {"url": LOCAL, "token": token, "level": "errors"})
    assert made["level"] == "errors"
    site.client.put("/links/cloud/policy", {"level": "params"})
    assert site.client.page("/links")[0][0]["level"] == "params"
    with pytest.raises(UsageError, match="level"):
        site.client.put("/links/cloud/policy", {"level": "everything"})
    with pytest.raises(NotFoundError):
        site.client.put("/links/nowhere/policy", {"level": "params"})
    site.client.post("/links", {"url": LOCAL, "token": other_token(far), "name": "second"})


def other_token(far: End) -> str:
    far.client.delete("/sites/berlin")
    return str(far.client.post("/sites", {"name": "hamburg"})["token"])
