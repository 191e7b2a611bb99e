"""Whose turn it is to write to a SQLite file.

SQLite has one writer. Its own way of waiting sleeps up to 100 ms between looks, so that ten writers with work of half
a millisecond stand in each other's way for a long time. Here the threads of a process queue for a lock, and the one
that has it looks often until the other processes are out of the way.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_LOOK_S = 0.0005
_LONGEST_LOOK_S = 0.001


class Turns:
    """The turns of one process on one file. Waits at most `timeout_s` seconds in all."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # One that knows who has it.
        self._lock = threading.RLock()

    def begin(self, connection: Any, within_s: float | None = None) -> None:
        """Begin to write. Raises sqlite3.OperationalError (locked) when it took too long; else call `end` later."""
        within_s = self._timeout_s if within_s is None else within_s
        end = time.monotonic() + within_s
        try:
            if not self._lock.acquire(timeout=within_s):
                raise sqlite3.OperationalError("database is locked")
            connection.execute("PRAGMA busy_timeout=0")
            try:
                _patiently(connection, "BEGIN IMMEDIATE", (), max(0.0, end - time.monotonic()))
            finally:
                connection.execute(f"PRAGMA busy_timeout={int(self._timeout_s * 1000)}")
        except BaseException:
            # A thread that is given up while it waits is interrupted right after it got the lock.
            if self._lock._is_owned():  # type: ignore[attr-defined]
                self._lock.release()
            raise

    def begin_soon(self, connection: Any, within_s: float) -> bool:
        """The same, waiting at most so many seconds; False when others are not through by then."""
        try:
            self.begin(connection, within_s)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
        return True

    def end(self) -> None:
        """Let the next thread begin; the transaction has ended."""
        self._lock.release()

    @contextmanager
    def taken(self, connection: Any) -> Iterator[None]:
        """As `begin` and `end`, for a connection whose own busy_timeout is 0: two statements less for each write."""
        with self._lock:
            _patiently(connection, "BEGIN IMMEDIATE", (), self._timeout_s)
            yield

    def change(self, connection: Any, text: str, values: Sequence[Any]) -> int:
        """One statement that writes, for such a connection; gives how many rows it changed."""
        with self._lock:
            return int(_patiently(connection, text, values, self._timeout_s).rowcount)


def _patiently(connection: Any, text: str, values: Sequence[Any], timeout_s: float) -> Any:
    """Carry out a statement once no other process is in the way; gives its cursor."""
    look, end = _LOOK_S, 0.0
    while True:
        try:
            return connection.execute(text, values)
        except sqlite3.OperationalError as error:
            end = end or time.monotonic() + timeout_s
            if "locked" not in str(error) or time.monotonic() > end:
                raise
        time.sleep(look)
        look = min(look * 1.2, _LONGEST_LOOK_S)
