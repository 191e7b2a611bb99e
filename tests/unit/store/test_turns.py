"""Turns to write to a SQLite file."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest
from hub.runtime.executor.limits import Interrupted, interrupt_thread
from hub.store.turns import Turns


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


def test_many_threads_and_two_processes_worth_of_turns_all_write(tmp_path: Path) -> None:
    file = tmp_path / "t.db"
    setup = _open(file)
    setup.execute("CREATE TABLE t (n INT)")
    pair = (Turns(20.0), Turns(20.0))  # two processes know nothing of each other's threads

    def write(number: int) -> None:
        turns, connection = pair[number % 2], _open(file)
        for _ in range(20):
            turns.begin(connection)
            try:
                connection.execute("INSERT INTO t VALUES (?)", (number,))
                connection.execute("COMMIT")
            finally:
                turns.end()
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert setup.execute("SELECT count(*) FROM t").fetchone() == (160,)
    setup.close()


def test_a_writer_from_outside_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    holder, waiter, turns = _open(tmp_path / "t.db"), _open(tmp_path / "t.db"), Turns(0.3)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        turns.begin(waiter)
    assert time.monotonic() - began > 0.25
    holder.execute("COMMIT")
    turns.begin(waiter)
    waiter.execute("COMMIT")
    turns.end()
    assert waiter.execute("PRAGMA busy_timeout").fetchone() == (300,)
    holder.close()
    waiter.close()


def test_a_thread_that_is_interrupted_while_it_waits_keeps_no_turn(tmp_path: Path) -> None:
    holder, waiter, turns = _open(tmp_path / "t.db"), _open(tmp_path / "t.db"), Turns(20.0)
    turns.begin(holder)
    raised: list[type[BaseException]] = []
    waits = threading.Event()

    def wait() -> None:
        waits.set()
        try:
            turns.begin(waiter)
        except BaseException as error:
            raised.append(type(error))

    thread = threading.Thread(target=wait)
    thread.start()
    waits.wait(20)
    time.sleep(0.2)
    interrupt_thread(thread.ident, Interrupted)
    holder.execute("COMMIT")
    turns.end()
    thread.join(20)
    assert raised == [Interrupted]
    turns.begin(holder)
    holder.execute("COMMIT")
    turns.end()
    holder.close()
    waiter.close()
