"""Wake-ups between the processes of one machine: Unix datagrams, one socket a listener.

A wake-up carries no data and may be lost; whoever listens looks into the database, and polls once a second anyway.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import string
import threading
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Protocol

from hub.store.base import TOPICS, Heard, Listener
from hub.types import new_id

_SHORT = dict(zip(TOPICS, string.digits + string.ascii_letters, strict=False))
"""A character for each topic in a socket's name, whose path must stay under 104 bytes; others stand as they are."""


class Own:
    """Who in this process is told of what it commits itself: without a way out of it, and another thread's turn."""

    def __init__(self) -> None:
        self._told: tuple[tuple[frozenset[str], Heard], ...] = ()
        self._changing = threading.Lock()

    def listen(self, make: Callable[[], Listener], topics: frozenset[str], heard: Heard) -> Listener:
        """A listener to the others, until whose end `heard` is told."""
        entry = (topics, heard)
        with self._changing:
            self._told += (entry,)  # first: whatever is committed from here on one of the two hears
        try:
            return _Both(make(), lambda: self._forget(entry))
        except BaseException:
            self._forget(entry)
            raise

    def _forget(self, entry: tuple[frozenset[str], Heard]) -> None:
        with self._changing:
            self._told = tuple(one for one in self._told if one is not entry)

    def tell(self, topics: Set[str]) -> None:
        """Tell those that want one of the topics."""
        for wanted, heard in self._told:
            found = wanted & topics
            if found:
                heard(found)

    def forget_all(self) -> None:
        """In a forked child, which has not their threads."""
        self._told, self._changing = (), threading.Lock()


class _Both:
    def __init__(self, others: Listener, forget: Callable[[], None]) -> None:
        self._others = others
        self._forget = forget

    def wait(self, timeout: float) -> frozenset[str]:
        return self._others.wait(timeout)

    def close(self) -> None:
        self._forget()
        self._others.close()


class Waker(Protocol):
    """Sends and hears. `own`: what a transaction of this store wakes, of which listeners to the others do not hear."""

    def wake(self, topics: Iterable[str], *, own: bool = False) -> None: ...

    def listen(self, topics: frozenset[str], *, others: bool = False) -> Listener: ...

    def close(self) -> None: ...


class LocalWaker:
    """Within one process, for the store in memory."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._listeners: list[_LocalListener] = []

    def wake(self, topics: Iterable[str], *, own: bool = False) -> None:
        """Mark the topics for every listener."""
        with self._condition:
            for listener in self._listeners:
                if not (own and listener.others):
                    listener.heard |= listener.topics & set(topics)
            self._condition.notify_all()

    def listen(self, topics: frozenset[str], *, others: bool = False) -> Listener:
        """A new listener."""
        listener = _LocalListener(self._condition, topics, self._listeners, others)
        with self._condition:
            self._listeners.append(listener)
        return listener

    def close(self) -> None:
        """Nothing to close."""


class _LocalListener:
    def __init__(
        self, condition: threading.Condition, topics: frozenset[str], siblings: list[_LocalListener], others: bool
    ) -> None:
        self._condition = condition
        self._siblings = siblings
        self.topics = topics
        self.others = others
        self.heard: frozenset[str] = frozenset()

    def wait(self, timeout: float) -> frozenset[str]:
        with self._condition:
            self._condition.wait_for(lambda: self.heard, timeout)
            heard, self.heard = self.heard, frozenset()
            return heard

    def close(self) -> None:
        with self._condition, contextlib.suppress(ValueError):
            self._siblings.remove(self)


class SocketWaker:
    """Between processes: each listener binds `<folder>/<id>.<topics>`; a sender finds them by listing the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A path object joins at the price of the whole message.
        self._path = str(folder)
        self._senders: dict[int, socket.socket] = {}
        """By process: a forked child must not use its parent's."""
        self._closed = False
        self._to_others: set[tuple[int, str]] = set()
        """Processes and the names of their sockets that listen to the others only; a fork has its parent's, too."""

    def wake(self, topics: Iterable[str], *, own: bool = False) -> None:
        """Send one datagram to every listener that wants one of the topics; never blocks, never raises.

        Nothing is sent once it was closed: a thread that was given up may come back late.
        """
        if self._closed:
            return
        wanted = {_SHORT.get(topic, topic): topic for topic in topics}
        with contextlib.suppress(OSError):
            for name in os.listdir(self._path):
                parts = name.split(".")
                heard = [wanted[topic] for topic in (*"".join(parts[1:2]), *parts[2:]) if topic in wanted]
                if heard and not (own and (os.getpid(), name) in self._to_others):
                    self._send(f"{self._path}/{name}", ",".join(heard).encode())

    def _send(self, path: str, message: bytes) -> None:
        try:
            self._socket().sendto(message, path)
        except (ConnectionRefusedError, FileNotFoundError):
            # Whoever bound it was killed. A socket being bound is listening at once, so this removes no live one.
            with contextlib.suppress(OSError):
                os.unlink(path)
        except OSError:
            pass  # a full buffer means that wake-ups are already waiting there

    def _socket(self) -> socket.socket:
        known = self._senders.get(os.getpid())
        if known is not None:
            return known
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.setblocking(False)
        kept = self._senders.setdefault(os.getpid(), made)  # of two threads at once the first one's
        if kept is not made:
            made.close()
        return kept

    def listen(self, topics: frozenset[str], *, others: bool = False) -> Listener:
        """Bind a new listener."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        short = "".join(sorted(_SHORT[topic] for topic in topics if topic in _SHORT))
        shown = ".".join((short, *sorted(topic for topic in topics if topic not in _SHORT)))
        name = f"{new_id()[14:18]}{new_id()[-8:]}.{shown}"
        listener = _SocketListener(self._folder / name, lambda: self._to_others.discard((os.getpid(), name)))
        if others:
            self._to_others.add((os.getpid(), name))
        return listener

    def close(self) -> None:
        """Close the sending socket."""
        self._closed = True
        sender = self._senders.pop(os.getpid(), None)
        if sender is not None:
            sender.close()


class _SocketListener:
    def __init__(self, path: Path, closed: Callable[[], None]) -> None:
        self._path = path
        self._closed = closed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(str(path))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)

    def wait(self, timeout: float) -> frozenset[str]:
        heard: set[str] = set()
        poll = select.poll()  # not select(), which knows descriptors up to 1023 only
        poll.register(self._socket, select.POLLIN)
        if poll.poll(math.ceil(max(timeout, 0) * 1000)):
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.update(self._socket.recv(512).decode().split(","))
        return frozenset(heard)

    def close(self) -> None:
        self._closed()
        self._socket.close()
        with contextlib.suppress(OSError):
            os.unlink(self._path)
