"""Who goes first at a SQLite file, and on the machine that processes on PostgreSQL share."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hub.store import Store, Tx, open_store, portions
from hub.store.precedence import Precedence

HOLDER = """
import sys, time
from pathlib import Path
from hub.store.precedence import Precedence
with Precedence(Path(sys.argv[1])).taken():
    print("taken", flush=True)
    time.sleep(60)
"""


def test_one_that_goes_first_is_seen_and_several_may(tmp_path: Path) -> None:
    file = tmp_path / "first.lock"
    one, two, other = Precedence(file), Precedence(file), Precedence(file)
    assert not other.is_wanted()
    with one.taken():
        assert other.is_wanted()
        assert one.is_wanted()  # to other threads of the same process
        with two.taken():
            pass
        assert other.is_wanted()
    assert not other.is_wanted()
    for each in (one, two, other):
        each.close()


def test_the_others_wait_for_it_but_not_for_ever(tmp_path: Path) -> None:
    one, other = Precedence(tmp_path / "f"), Precedence(tmp_path / "f", at_most_s=0.2)
    with one.taken():
        began = time.monotonic()
        other.give()
        assert 0.2 <= time.monotonic() - began < 5
    one.close()
    other.close()


def test_one_that_is_killed_holds_up_nobody(tmp_path: Path) -> None:
    other = Precedence(tmp_path / "f")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "f")], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        assert other.is_wanted()
        holder.kill()
        holder.wait(10)
    assert not other.is_wanted()
    other.close()


def test_one_that_was_stopped_while_it_looked_holds_up_no_event_loop(tmp_path: Path) -> None:
    with (tmp_path / "f").open("w") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        one = Precedence(tmp_path / "f", at_most_s=0.05)
        with one.taken():
            one.give()
        one.close()


def test_in_memory_and_where_no_file_can_be_nobody_goes_first(tmp_path: Path) -> None:
    for file in (None, tmp_path / "no-folder" / "f"):
        precedence = Precedence(file)
        with precedence.taken():
            assert not precedence.is_wanted()
        precedence.give()


def test_much_work_ends_its_transaction_when_one_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "HOLD_S", 60.0)
    store = open_store(f"sqlite:///{tmp_path / 'hub.db'}")
    store.migrate()
    door, sizes = Precedence(tmp_path / "hub.first.lock"), list[int]()

    def write(_tx: Tx, some: Iterator[int]) -> None:
        sizes.append(len([time.sleep(2 * portions.LEAST_S) for _ in some]))

    portions.in_portions(store, range(5), write)
    assert sizes == [5]
    with door.taken():
        portions.in_portions(store, range(3), write)
    assert sizes == [5, 1, 1, 1]
    door.close()
    store.close()


def test_threads_that_look_first_at_once_open_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, both = list[int](), threading.Barrier(2)
    real = os.open

    def slow(*given: Any) -> int:
        time.sleep(0.05)  # long enough for the other thread to come, too
        opened.append(real(*given))
        return opened[-1]

    monkeypatch.setattr(os, "open", slow)
    one = Precedence(tmp_path / "f")

    def look() -> None:
        both.wait(10)
        assert not one.is_wanted()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: look(), range(2)))
    assert len(opened) == 2
    one.close()


def test_on_postgresql_much_work_gives_way_to_a_door_of_the_same_machine(
    tmp_path: Path, own_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "HOLD_S", 60.0)
    door, bulk = (open_store(own_postgres_url, home=tmp_path) for _ in range(2))
    elsewhere = open_store(own_postgres_url, home=tmp_path / "another-machine")

    def sizes(store: Store) -> list[int]:
        found: list[int] = []

        def write(_tx: Tx, some: Iterator[int]) -> None:
            found.append(len([time.sleep(2 * portions.LEAST_S) for _ in some]))

        portions.in_portions(store, range(4), write)
        return found

    try:
        assert sizes(bulk) == [4]
        with door.write(first=True):
            began = time.monotonic()
            assert sizes(bulk) == [1, 1, 1, 1]
            assert time.monotonic() - began >= 4 * 0.02  # it is held all the while: each waits as long as it may
            assert sizes(elsewhere) == [4]
        assert sizes(bulk) == [4]
    finally:
        for store in (door, bulk, elsewhere):
            store.close()
