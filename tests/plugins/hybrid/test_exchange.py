"""What the site sends next and what an answer means: pure functions."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hub import events as catalog
from hub.settings import load_settings
from hub.store.stream import Stream
from hub.types import SECOND, new_id, now_us
from sqlalchemy import func, select, update

from hub_hybrid import digests, exchange, replica
from hub_hybrid.exchange import Answer
from hub_hybrid.protocol import EventOut, Session
from hub_hybrid.retention import Keeper

from .world import PlaneEnd, SiteEnd, memory_store


def event(seq: int, previous: str = "", size: int = 10) -> EventOut:
    content: dict[str, Any] = {
        "id": new_id(), "type": "hub.run.created", "subject": "", "run_id": None, "at": 1, "schema_version": 1,
        "body": {"name": "x" * size},
    }  # fmt: skip
    return EventOut(seq=seq, hash=catalog.chain(previous, catalog.digest(content)), **content)


def row_of(count: int) -> list[EventOut]:
    made: list[EventOut] = []
    for seq in range(1, count + 1):
        made.append(event(seq, made[-1].hash if made else ""))
    return made


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (200, "", "ok"),
        (204, "", "ok"),
        (409, "gap", "reopen"),
        (409, "fork", "reopen"),
        (409, "stale-session", "reopen"),
        (409, "other-epoch", "reopen"),
        (409, "something-newer", "wait"),
        (413, "body-too-large", "halve"),
        (401, "invalid-token", "refused"),
        (403, "", "refused"),
        (410, "site-removed", "removed"),
        (426, "", "outdated"),
        (429, "", "wait"),
        (503, "", "wait"),
        (302, "", "wait"),
    ],
)
def test_every_answer_has_a_meaning(status: int, code: str, meaning: str) -> None:
    assert exchange.meaning(Answer(status, {"code": code})) == meaning


def test_the_wait_grows_with_full_jitter_up_to_its_limit() -> None:
    rng = Random(1)
    assert all(0 <= exchange.backoff(3, rng) <= 8 for _ in range(200))
    waits = [exchange.backoff(40, rng) for _ in range(500)]
    assert max(waits) <= 300
    assert min(waits) < 30
    assert max(waits) > 250
    assert max(exchange.backoff(40, rng, longest=2) for _ in range(100)) <= 2


def test_what_the_plane_asks_for_is_the_least_wait_plus_at_most_a_fifth() -> None:
    rng = Random(1)
    assert all(100 <= exchange.backoff(1, rng, 100) <= 120 for _ in range(100))
    assert exchange.backoff(1, rng, 10**9) <= 3600 * 1.2


def test_a_batch_is_cut_by_count_and_by_size_and_is_never_empty() -> None:
    events = row_of(10)
    size = len(events[0].model_dump_json())
    assert len(exchange.cut(events, 3, 10**6)) == 3
    assert len(exchange.cut(events, 100, int(size * 4.5))) == 4
    (alone,) = exchange.cut(events, 100, 1)
    assert alone.digest is not None
    assert alone.body == {}


def test_a_withheld_event_keeps_the_chain() -> None:
    events = row_of(5)
    hidden = [exchange.withheld(item) if item.seq % 2 else item for item in events]
    assert exchange.chained("", hidden)
    assert not exchange.chained("", [events[0], events[2]])
    changed = events[1].model_copy(update={"subject": "another"})
    assert not exchange.chained("", [events[0], changed, *events[2:]])


@pytest.mark.parametrize(
    ("mode", "acked", "hash_there", "start"),
    [
        ("resume", 5, "h", "push"),
        ("resume", 5, "other", "fork"),
        ("resume", 5, None, "fork"),
        ("resume", 11, None, "fork"),
        ("resume", 1, None, "snapshot"),
        ("snapshot", 5, "h", "snapshot"),
        ("fork", 5, "h", "fork"),
    ],
)
def test_a_session_begins_where_both_agree(mode: str, acked: int, hash_there: str | None, start: str) -> None:
    answer = Session(fence=1, mode=mode, acked_seq=acked, acked_hash="h", plane_epoch="e")  # type: ignore[arg-type]
    assert exchange.start(answer, Stream("e", 10, "head", 2, "base"), hash_there) == start


def test_the_compared_time_is_one_that_both_ends_still_keep() -> None:
    now = now_us()
    since = digests.kept_since(now, 30 * 86_400)
    assert 28 * 86_400 * SECOND <= now - since <= 29 * 86_400 * SECOND + 86_400 * SECOND
    assert digests.kept_since(now, 0) == 0


def test_a_plane_removes_what_was_reported_long_ago_and_goes_on() -> None:
    site, plane = SiteEnd(memory_store()), PlaneEnd(memory_store(), "cloud")
    try:
        site.connect(plane)
        agent = site.agent(plane)
        agent.open()
        ended, going = new_id(), new_id()
        for _ in range(4):
            site.advance(ended)
        site.advance(going)
        site.stamp()
        agent.push()
        long_ago = now_us() - 40 * 86_400 * SECOND
        with plane.store.write() as tx:
            tx.conn.execute(update(replica.EVENTS).values(received_at=long_ago))
            tx.conn.execute(update(replica.RUNS).values(updated_at=long_ago))
        keeper = Keeper(plane.store, load_settings())
        assert keeper.step()
        assert not keeper.step()
        with plane.store.read() as tx:
            assert tx.conn.execute(select(func.count()).select_from(replica.EVENTS)).scalar() == 0
        assert set(plane.runs()) == {going}
        site.advance(going)
        site.stamp()
        assert agent.push()
        assert plane.runs()[going]["state_type"] == "PENDING"
    finally:
        plane.network.shut()
        site.store.close()
        plane.store.close()
