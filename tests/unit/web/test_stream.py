"""The live stream of events: nothing skipped, nothing twice, nobody else's, nobody waited for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hub.client import Client
from hub.client.inprocess import InProcess
from hub.errors import UnavailableError, UsageError
from hub.runtime.sequencer import Sequencer
from hub.settings import Settings
from hub.store import Store, events
from hub.types import Scope, new_id
from hub.web import tail as tailing
from hub.web.api.events import _message
from hub.web.app import build_app
from hub.web.tail import Batch, Subscription, Tail


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    with _client(store) as client:
        yield client


@pytest.fixture
def quick(memory: Store) -> Iterator[Client]:
    """For what does not depend on the store."""
    with _client(memory) as client:
        yield client


def _client(store: Store) -> Client:
    return Client("http://127.0.0.1", transport=InProcess(build_app(Settings(plugins="none"), store)))


@pytest.fixture
def happen(store: Store) -> Iterator[Callable[..., None]]:
    """Make events happen and have them stamped."""
    sequencer = Sequencer(store)

    def do(*names: str, scope: Scope | None = None, run_id: str | None = None) -> None:
        with store.write() as tx:
            for name in names:
                events.append(tx, scope or Scope(), "hub.link.connected", subject=name, name=name, run_id=run_id)
        sequencer.step()

    yield do
    sequencer.close()


def subjects(messages: Iterator[Any], count: int) -> list[str]:
    return [next(messages).data["subject"] for _ in range(count)]


def test_it_goes_on_after_the_last_event_seen_and_then_lives(client: Client, happen: Callable[..., None]) -> None:
    happen("a", "b", "c")
    messages = client.stream(last_id="1")
    first = next(messages)
    assert (first.id, first.event, first.data["subject"]) == ("2", "hub.link.connected", "b")
    assert subjects(messages, 1) == ["c"]
    happen("d")
    assert subjects(messages, 1) == ["d"]
    happen("e", "f")
    assert subjects(messages, 2) == ["e", "f"]


def test_without_an_id_it_begins_now(client: Client, happen: Callable[..., None]) -> None:
    happen("old")
    with client._http.stream("GET", "/api/v1/stream") as response:
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == ["retry: 1000", "id: 1"]
        happen("new")
        data = next(line for line in lines if line.startswith("data:"))
    assert '"subject":"new"' in data


def test_nothing_is_skipped_between_catching_up_and_living(client: Client, happen: Callable[..., None]) -> None:
    stop = threading.Event()
    made: list[str] = []

    def busy() -> None:
        while not stop.is_set() and len(made) < 300:
            name = str(len(made))
            happen(name)
            made.append(name)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        _until(lambda: len(made) >= 3)
        found = [int(message.id) for message, _ in zip(client.stream(last_id="1"), range(100), strict=False)]
    finally:
        stop.set()
        thread.join()
    assert found == list(range(2, 102))


def test_it_is_filtered_by_topic_run_and_workspace(client: Client, happen: Callable[..., None]) -> None:
    run = new_id()
    happen("foreign", scope=Scope("00000000-0000-7000-8000-0000000000ff"), run_id=run)
    happen("other")
    happen("mine", run_id=run)
    assert subjects(client.stream(query={"topics": "hub.link.*", "run_id": run}, last_id="0"), 1) == ["mine"]
    assert subjects(client.stream(query={"topics": "nothing, hub.link"}, last_id="0"), 2) == ["other", "mine"]
    live = client.stream(query={"run_id": run}, last_id="0")
    assert subjects(live, 1) == ["mine"]
    happen("foreign", scope=Scope("00000000-0000-7000-8000-0000000000ff"), run_id=run)
    happen("other")
    happen("mine too", run_id=run)
    assert subjects(live, 1) == ["mine too"]


@pytest.mark.parametrize("given", ["x", "-1", "1.5", str(2**70), "\u0663"])
def test_an_id_that_is_none_is_refused(quick: Client, given: str) -> None:
    headers = {"last-event-id": given.encode()}
    with pytest.raises(UsageError):
        quick._send(quick._http.build_request("GET", "/api/v1/stream", headers=headers), 1)


def test_the_reading_thread_ends_with_its_last_listener(memory: Store) -> None:
    tail = Tail(memory)

    async def listen() -> None:
        with tail.subscribe():
            with tail.subscribe():
                thread = tail._thread
                assert thread is not None
            assert not tail._done()
            assert tail._thread is thread

    asyncio.run(listen())
    _until(lambda: tail._thread is None)


def test_a_listener_that_cannot_keep_up_is_sent_away() -> None:
    async def lag() -> list[Batch | None]:
        mine = Subscription()
        for number in range(tailing.ROOM * 3):
            mine._put(Batch(number, []))
        return [mine.queue.get_nowait() for _ in range(mine.queue.qsize())]

    found = asyncio.run(lag())
    assert len(found) == tailing.ROOM + 1
    assert found[-1] is None


def test_too_many_listeners_are_refused(monkeypatch: pytest.MonkeyPatch, memory: Store) -> None:
    monkeypatch.setattr(tailing, "MAX_LISTENERS", 0)

    async def listen() -> None:
        with Tail(memory).subscribe():
            pass

    with pytest.raises(UnavailableError, match="too many streams"):
        asyncio.run(listen())


def test_types_from_outside_cannot_forge_messages() -> None:
    row = dict.fromkeys(("hash", "run_id", "private")) | {"id": "i", "seq": 1, "source": "s", "subject": "", "at": 0}
    row |= {"type": "github.x\nid: 9\u2028y", "actor": "a", "schema_version": 1, "body": {}}
    text = _message(row)
    assert [line.split(":")[0] for line in text.split("\n") if line] == ["id", "event", "data"]


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
