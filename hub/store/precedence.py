"""Who goes first: webhooks, whose senders wait, before what processes the ones that came earlier.

One that goes first holds a shared lock on a file while it waits and writes; the others look before they begin, and
leave it their turn for a while. The lock is the system's, so one that was killed holds up nobody. The file is beside a
SQLite database, for which all who write stand in line. On PostgreSQL it is in the home, and only work that is done in
portions looks: it is the processors that processes of one machine share there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_LOOK_S = 0.0005


class Precedence:
    """The precedence of one process at one database; in memory there is none. Two descriptors, since what is looked at
    through one of them must not be its own lock."""

    def __init__(self, file: Path | None, *, at_most_s: float = 0.02) -> None:
        self._file = file
        self._at_most_s = at_most_s
        self._descriptors: tuple[int, int] | None = None
        self._opening = threading.Lock()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Go first, if that can be had at once. For one thread of a process at a time."""
        held = self._opened()
        if held is None:
            yield
            return
        try:
            fcntl.flock(held[0], fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            # Somebody looks at this very moment, or was stopped while he did: then without, an event loop cannot wait.
            yield
            return
        try:
            yield
        finally:
            fcntl.flock(held[0], fcntl.LOCK_UN)

    def is_wanted(self) -> bool:
        """Whether somebody goes first at this moment."""
        held = self._opened()
        if held is None:
            return False
        try:
            fcntl.flock(held[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # a file system without such locks
        fcntl.flock(held[1], fcntl.LOCK_UN)
        return False

    def give(self) -> None:
        """Wait until nobody goes first, but not for ever: who goes second must get on, too."""
        until = time.monotonic() + self._at_most_s
        while self.is_wanted() and time.monotonic() < until:
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """Close the file."""
        held, self._descriptors = self._descriptors, None
        for descriptor in held or ():
            os.close(descriptor)

    def _opened(self) -> tuple[int, int] | None:
        held = self._descriptors
        if held is not None or self._file is None:
            return held
        with self._opening:
            if self._descriptors is None and self._file is not None:
                try:
                    one, two = (os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) for _ in range(2))
                except OSError:
                    self._file = None  # then nobody goes first
                    return None
                self._descriptors = (one, two)
            return self._descriptors
