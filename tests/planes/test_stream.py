"""The stream of events and its sequencer, on every store."""

from __future__ import annotations

import threading

import pytest
from hub import events as catalog
from hub.runtime.sequencer import Sequencer
from hub.store import Store, events, leaders, open_store, stream
from hub.store.tables import Event, Link
from hub.types import SECOND, Scope, new_id, now_us

SCOPE = Scope()
EVENTS = Event.__table__  # type: ignore[attr-defined]


def emit(store: Store, count: int = 1, **more: object) -> None:
    with store.write() as tx:
        for number in range(count):
            events.append(tx, SCOPE, "hub.source.created", subject=f"s{number}", name=f"s{number}", **more)  # type: ignore[arg-type]


def stamped(store: Store) -> list[dict[str, object]]:
    with store.read() as tx:
        return events.after(tx, seq=0, limit=1000)


def link(store: Store, acked: int | None) -> None:
    with store.write() as tx:
        row = {
            "id": new_id(), "workspace_id": SCOPE.workspace_id, "name": new_id(), "url": "https://plane", "key_id": "",
            "acked_seq": acked, "created_at": tx.now, "site_id": "", "plane_epoch": "", "primary": True,
            "authority_id": "", "level": "metadata", "command_cursor": 0, "status": "", "last_error": "", "fence": 0,
        }  # fmt: skip
        tx.insert(Link.__table__, row)  # type: ignore[attr-defined]


def test_it_stamps_committed_events_densely_and_chained(store: Store) -> None:
    emit(store, 5)
    sequencer = Sequencer(store)
    assert sequencer.step()
    emit(store, 3)
    assert sequencer.step()
    assert not sequencer.step()
    rows = stamped(store)
    assert [row["seq"] for row in rows] == list(range(1, 9))
    previous = ""
    for row in rows:
        previous = catalog.chain(previous, catalog.digest(row))
        assert row["hash"] == previous
    with store.read() as tx:
        ends = stream.read(tx)
    assert (ends.seq, ends.hash) == (8, previous)
    assert ends.epoch


def test_a_second_sequencer_stands_by_until_the_first_lets_go(store: Store) -> None:
    first, second = Sequencer(store), Sequencer(store)
    emit(store)
    assert first.step()
    emit(store)
    assert not second.step()
    first.close()
    assert second.step()
    emit(store)
    assert not first.step()


def test_the_fence_of_a_lock_grows_when_its_holder_changes(store: Store) -> None:
    with store.write() as tx:
        assert leaders.take(tx, "x", "a") == 1
        assert leaders.take(tx, "x", "a") == 1
        assert leaders.take(tx, "x", "b") is None
        leaders.give_back(tx, "x", "a")
    with store.write() as tx:
        assert leaders.take(tx, "x", "b") == 2


def test_events_of_one_run_are_stamped_by_version_when_clocks_differ(store: Store) -> None:
    run = new_id()
    earlier, later = new_id(), new_id()
    with store.write() as tx:
        # A host whose clock is ahead wrote version 1, one that is behind wrote version 2 after it.
        for event_id, version in ((later, 1), (earlier, 2)):
            events.append(tx, SCOPE, "hub.run.started", run_id=run, subject=run, event_id=event_id, version=version)
    Sequencer(store).step()
    assert [row["body"]["version"] for row in stamped(store)] == [1, 2]  # type: ignore[index]


def test_old_events_go_only_when_every_link_has_them(store: Store) -> None:
    emit(store, 10)
    Sequencer(store).step()
    link(store, 4)
    link(store, 7)
    link(store, None)
    future = now_us() + SECOND
    with store.write() as tx:
        assert stream.trim(tx, before=future) == 4
        assert stream.trim(tx, before=future) == 0
    assert [row["seq"] for row in stamped(store)] == [5, 6, 7, 8, 9, 10]
    with store.read() as tx:
        assert stream.hash_at(tx, 4) == stream.read(tx).base_hash
        assert stream.hash_at(tx, 3) is None
        assert stream.hash_at(tx, 11) is None


def test_the_end_of_the_stream_is_remembered_when_all_events_are_gone(store: Store) -> None:
    emit(store, 3)
    sequencer = Sequencer(store)
    sequencer.step()
    with store.write() as tx:
        assert stream.trim(tx, before=0) == 0
        assert stream.trim(tx, before=now_us() + SECOND) == 3
        before = stream.read(tx)
    emit(store)
    sequencer.step()
    (row,) = stamped(store)
    assert row["seq"] == 4
    assert row["hash"] == catalog.chain(before.hash, catalog.digest(row))


def test_an_event_that_could_not_be_hashed_is_refused_when_it_is_written(store: Store) -> None:
    with store.write() as tx, pytest.raises(TypeError, match="float"):
        events.append(tx, SCOPE, "hub.source.created", name="a", version=0.5)


def test_transactions_that_commit_in_reverse_order_are_stamped_as_they_become_visible(postgres_url: str) -> None:
    store = open_store(postgres_url)
    store.migrate()
    sequencer = Sequencer(store)
    inserted, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        with store.write() as tx:
            events.append(tx, SCOPE, "hub.source.created", subject="inserted first", name="a")
            inserted.set()
            assert go_on.wait(20)
        done.set()

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        assert inserted.wait(20)
        with store.write() as tx:
            events.append(tx, SCOPE, "hub.source.created", subject="committed first", name="b")
        assert sequencer.step()
        seen = [row["subject"] for row in stamped(store)]
        assert not sequencer.step()
        go_on.set()
        assert done.wait(20)
        assert sequencer.step()
        rows = stamped(store)
    finally:
        go_on.set()
        thread.join(20)
        store.close()
    assert seen == ["committed first"]
    assert [(row["seq"], row["subject"]) for row in rows] == [(1, "committed first"), (2, "inserted first")]


def test_two_sequencers_at_once_never_give_a_position_twice(postgres_url: str) -> None:
    store = open_store(postgres_url)
    store.migrate()
    sequencers = [Sequencer(store) for _ in range(3)]
    stop = threading.Event()

    def work(sequencer: Sequencer) -> None:
        while not stop.is_set():
            sequencer.step()
            sequencer.close()

    threads = [threading.Thread(target=work, args=(sequencer,)) for sequencer in sequencers]
    try:
        for thread in threads:
            thread.start()
        for _ in range(30):
            emit(store, 3)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    while sequencers[0].step():
        pass
    rows = stamped(store)
    store.close()
    assert [row["seq"] for row in rows] == list(range(1, 91))
