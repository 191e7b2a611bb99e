"""Transactions in the thread of an event loop: quick ones are done there, and nothing holds the loop up."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hub.store import Store, Tx, open_store
from hub.store.tables import SiteValue

from .doors import EVENT, PUSH, make, rows, serve

VALUES = SiteValue.__table__  # type: ignore[attr-defined]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


@pytest.fixture
def lite(file: Path) -> Iterator[Store]:
    yield from _opened(f"sqlite:///{file}")


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Store]:
    yield from _opened(postgres_url)


def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    store.migrate()
    yield store
    store.close()


@pytest.fixture(params=["lite", "postgres"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    names(found)  # and a connection stands idle from now on
    return found


def names(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.conn.execute(VALUES.select().with_only_columns(VALUES.c.name)).scalars())


def note(name: str) -> Callable[[Tx], str]:
    def work(tx: Tx) -> str:
        tx.insert(VALUES, {"name": name, "value": 1})
        return name

    return work


async def written(store: Store, work: Callable[[Tx], Any]) -> Any:
    """What `done` was given, which must be called once."""
    calls: list[Any] = []
    store.write_in_loop(asyncio.get_running_loop(), work, calls.append)
    for _ in range(1_000):
        if calls:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)
    assert len(calls) == 1
    return calls[0]


def test_what_was_written_is_committed(store: Store) -> None:
    async def main() -> list[Any]:
        return [await written(store, note(f"n{number}")) for number in range(20)]

    found = asyncio.run(main())
    assert all(one in (None, f"n{number}") for number, one in enumerate(found))  # None where the disk was too slow
    assert names(store) >= {one for one in found if one}
    assert found[0] == "n0"


def test_many_wait_at_once_and_each_gets_its_own_answer(postgres: Store) -> None:
    for _ in range(3):
        threads = [threading.Thread(target=names, args=(postgres,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def main() -> list[Any]:
        return await asyncio.gather(*(written(postgres, slow(f"n{number}", 0.05)) for number in range(3)))

    found = asyncio.run(main())
    assert {one for one in found if one} <= names(postgres)
    assert "n0" in found


def slow(name: str, seconds: float) -> Callable[[Tx], str]:
    def work(tx: Tx) -> str:
        tx.conn.exec_driver_sql(f"SELECT pg_sleep({seconds})")
        return note(name)(tx)

    return work


def test_nothing_is_left_of_work_that_raised(store: Store) -> None:
    def work(tx: Tx) -> str:
        note("half")(tx)
        raise LookupError("in the middle")

    assert asyncio.run(written(store, work)) is None
    assert "half" not in names(store)
    with store.write() as tx:  # and nothing is locked any more
        note("after")(tx)


def test_the_loop_goes_on_while_the_server_thinks(postgres: Store) -> None:
    names(postgres)

    async def main() -> tuple[Any, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        found = await written(postgres, slow("late", 1.0))
        ticking.cancel()
        return found, ticks

    found, ticks = asyncio.run(main())
    assert found == "late"
    assert ticks >= 20  # of about 100; held up, it would be the one or two after the answer


def test_a_server_that_goes_away_in_the_middle_is_an_answer(postgres: Store, postgres_url: str) -> None:
    names(postgres)

    def work(tx: Tx) -> str:
        pid = tx.conn.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        threading.Timer(0.3, _end, (postgres_url, pid)).start()
        return slow("gone", 20.0)(tx)

    began = time.monotonic()
    assert asyncio.run(written(postgres, work)) is None
    assert time.monotonic() - began < 10
    assert "gone" not in names(postgres)


def _end(url: str, pid: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_another_writer_of_the_file_is_not_waited_for(lite: Store, file: Path) -> None:
    names(lite)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert asyncio.run(written(lite, note("locked-out"))) is None
        assert time.monotonic() - began < 5  # of the 15 that a thread waits
        other.execute("ROLLBACK")
    assert "locked-out" not in names(lite)


def test_webhooks_wait_for_a_database_that_hangs_and_those_beyond_the_limit_are_told(
    postgres: Store, postgres_url: str
) -> None:
    with serve(postgres, door_queue=4) as door, psycopg.connect(postgres_url) as other:
        source = make(postgres)
        assert door.knock(source, PUSH, EVENT).status_code == 202
        other.execute("LOCK TABLE receipts IN EXCLUSIVE MODE")
        found: list[int] = []
        senders = [
            threading.Thread(
                target=lambda n=number: found.append(
                    door.knock(source, PUSH, EVENT | {"X-GitHub-Delivery": f"d{n}"}).status_code
                )
            )
            for number in range(12)
        ]
        for sender in senders:
            sender.start()
            time.sleep(0.02)  # one after the other, so that the first is being written when the others come
        until = time.monotonic() + 10
        while not found and time.monotonic() < until:
            time.sleep(0.05)
        assert set(found) == {503}  # said while the database hangs
        other.rollback()
        for sender in senders:
            sender.join(20)
    assert set(found) == {202, 503}
    assert found.count(202) == len(rows(postgres)) - 1
