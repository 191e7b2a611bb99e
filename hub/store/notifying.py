"""Wake-ups through PostgreSQL, which sends a transaction's notifications at its commit."""

from __future__ import annotations

import contextlib
import math
import select
import time
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

_CHANNEL = "hub_wake_"


def channel(topic: str) -> str:
    """A channel of its own for each topic, so that a process is only woken by what it listens to; of 63 bytes."""
    return f"{_CHANNEL}{topic}"[:63]


def calls(topics: Iterable[str], token: str) -> tuple[str, Sequence[Any]]:
    """The statement that wakes the listeners of some topics; `token` says whose it is."""
    channels = [channel(topic) for topic in sorted(topics)]
    notified = ", ".join(["pg_notify(%s, %s)"] * len(channels))
    return f"SELECT {notified}", [value for channel in channels for value in (channel, token)]


class Notifications:
    """A connection of its own that listens; a lost one is opened again, and counts as a wake-up of everything."""

    def __init__(self, url: str, topics: Iterable[str], *, but: str | None = None) -> None:
        self._url = url
        self._but = but
        self._topics = frozenset(topics)
        self._channels = {channel(topic): topic for topic in sorted(self._topics)}
        self._conn: psycopg.Connection[tuple[object, ...]] | None = None
        self._heard: set[str] = set()
        with contextlib.suppress(psycopg.Error):
            self._connect()

    def wait(self, timeout: float) -> frozenset[str]:
        """See Listener.wait."""
        try:
            if self._conn is None:
                self._connect()
                return self._topics
            self._read(timeout)
        except (psycopg.Error, OSError):
            self.close()
            time.sleep(min(timeout, 1.0))
        heard = frozenset(self._heard & self._topics)
        self._heard.clear()
        return heard

    def _connect(self) -> None:
        self._conn = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
        for name in self._channels:
            self._conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))

    def _read(self, timeout: float) -> None:
        assert self._conn is not None
        deadline = time.monotonic() + timeout
        while not (self._heard & self._topics):
            left = deadline - time.monotonic()
            if left < 0:
                return
            poll = select.poll()  # not select(), which knows descriptors up to 1023 only
            poll.register(self._conn.fileno(), select.POLLIN)
            poll.poll(math.ceil(left * 1000))
            notices = self._conn.notifies(timeout=0)
            self._heard.update(self._channels[one.channel] for one in notices if one.payload != self._but)

    def close(self) -> None:
        """See Listener.close."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None
