"""Paused sources: they take requests, what these start waits, and drains in order, on every store."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

from hub.plugins import Context, load_plugins
from hub.runtime.commands import Command, apply
from hub.runtime.effects import Effects
from hub.runtime.presets import installed
from hub.runtime.receipts import Incoming, Kept, commit
from hub.settings import Settings
from hub.store import Store, holding, receipts, sources
from hub.store.effects import HELD
from hub.store.tables import Effect, Event
from hub.types import SECOND, new_id, now_us
from hub.web.door.inside import admit
from hub.webhooks.signers import Signature
from hub.webhooks.signing import sample_request, sign

from .doors import EVENT, PUSH, SCOPE, Made, change, make, rows, serve
from .test_inbox import keep

EVENTS = Event.__table__  # type: ignore[attr-defined]
TABLE = Effect.__table__  # type: ignore[attr-defined]


def dues(store: Store) -> dict[str, int]:
    """When each receipt that waits becomes an event."""
    with store.read() as tx:
        return {row.key: row.due_at for row in tx.conn.execute(TABLE.select().where(TABLE.c.done_at.is_(None)))}


def carry_out(store: Store) -> None:
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    loop = Effects(Context("upkeep", Settings(), loaded.hooks, store), ("receipt",))
    while loop.step():
        pass


def happened(store: Store) -> list[str]:
    """The receipts that have become events, in the order of these."""
    query = EVENTS.select().where(EVENTS.c.type == "github.push").order_by(EVENTS.c.at)
    with store.read() as tx:
        found = tx.conn.execute(query).mappings()
        return [row["body"]["receipt_id"] for row in found]


def held(store: Store, source: Made) -> int:
    with store.read() as tx:
        return holding.count(tx, source.id)


def test_a_paused_source_answers_as_before_and_drains_in_order(store: Store) -> None:
    source, other = make(store), make(store, name="other")
    numbers = itertools.count()

    def knock(served: Any, whom: Made) -> str:
        answer = served.knock(whom, PUSH, EVENT | {"X-GitHub-Delivery": f"d-{next(numbers)}"})
        assert answer.status_code == 202
        return str(answer.json()["receipt"])

    with serve(store) as served:
        before = knock(served, source)
        assert change(store, "source.pause", source.name)["held"] == 1
        kept = [before, *(knock(served, source) for _ in range(120))]
        assert served.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": "d-1"}).json()["receipt"] == kept[1]
        assert served.knock(source, PUSH, EVENT, secret="wrong").status_code == 401
        elsewhere = knock(served, other)
        carry_out(store)
        assert happened(store) == [elsewhere]
        assert held(store, source) == 121
        assert change(store, "source.pause", source.name)["held"] == 0
        assert change(store, "source.resume", source.name)["drained"] == 121
        later = knock(served, source)
        carry_out(store)
    assert happened(store) == [elsewhere, *kept, later]
    assert change(store, "source.resume", source.name)["drained"] == held(store, source) == 0
    with store.read() as tx:
        told = [row.type for row in tx.conn.execute(EVENTS.select().order_by(EVENTS.c.id)) if "source" in row.type]
    assert told[2:] == ["hub.source.paused", "hub.source.resumed"]


def test_replays_and_triggers_of_a_paused_source_wait_too(store: Store) -> None:
    source = make(store)
    old = keep(store, source)
    carry_out(store)
    change(store, "source.pause", source.name)
    replayed = apply(store, Command("receipt.replay", SCOPE, old, {})).result["id"]
    preset = installed().get("github")
    request = sign(preset, source.secret, sample_request(preset, "push", "http://x/in/y"), now=now_us())
    triggered = admit(store, installed(), {}, SCOPE, source.id, Signature(request)).receipt_id
    assert dues(store) == {replayed: HELD, triggered: HELD}
    change(store, "source.resume", source.name)
    carry_out(store)
    assert happened(store) == [old, replayed, triggered]


def test_a_deleted_source_drops_what_it_holds_and_what_retention_took_drains_away(store: Store) -> None:
    one, two = make(store, name="one"), make(store, name="two", keep_s=3600)
    for source in (one, two):
        change(store, "source.pause", source.name)
    keep_held(store, one)
    keep_held(store, two, received_at=now_us() - 7200 * SECOND)
    with store.write() as tx:
        assert receipts.trim(tx) == 1
    change(store, "source.delete", one.name)
    change(store, "source.resume", two.name)
    carry_out(store)
    assert dues(store) == {}
    assert happened(store) == []


def keep_held(store: Store, source: Made, **row: Any) -> str:
    """Commit a request that was judged while its source was paused."""
    with store.read() as tx:
        version = sources.row(tx, SCOPE, source.name)["updated_at"]
    whole = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "source_id": source.id, "received_at": now_us()} | row
    incoming = Incoming(source.id, version, receipts.complete(whole | {"event_type": "push"}), held=True)
    (answer,) = commit(store, [incoming])
    assert isinstance(answer, Kept)
    return answer.receipt_id


def test_nothing_stays_behind_when_a_door_commits_while_the_source_is_resumed(store: Store) -> None:
    source = make(store)
    stop = threading.Event()
    problems: list[str] = []

    def knock(served: Any, name: int) -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            answer = served.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": f"{name}-{number}"})
            if answer.status_code not in (202, 503):  # 503: it was changed again and again meanwhile, send it again
                problems.append(answer.text)

    with serve(store) as served:
        change(store, "source.update", source.name, rate_per_minute=1_000_000)
        threads = [threading.Thread(target=knock, args=(served, name)) for name in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(25):
            change(store, "source.pause", source.name)
            time.sleep(0.02)
            change(store, "source.resume", source.name)
            assert held(store, source) == 0, "what a resume leaves behind would wait for ever"
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert held(store, source) == 0
    assert len(dues(store)) == len(rows(store)) > 25
