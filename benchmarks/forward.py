"""A forward proxy (HTTP CONNECT) between two hosts, and the troubles that a network makes."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK = 16_384


@dataclass
class Troubles:
    """What happens to what goes through; may be changed at any time. Times in seconds."""

    delay: float = 0.0
    """One way."""
    loss: float = 0.0
    """The share of chunks that come late, as TCP sends a lost segment again."""
    again: float = 0.3
    """How much later."""
    cuts: int = 0
    """So many uploads are cut in the middle, each with its connection."""
    away: bool = False
    """Nothing gets through, and whatever was on its way is lost."""


@dataclass
class Seen:
    """What went through."""

    asked: Counter[str] = field(default_factory=Counter)
    """Where connections were to go."""
    cut: int = 0
    late: int = 0
    sealed: bool = True
    """Whether all connections spoke TLS."""


class Forward:
    """Listens on `address`; `names` says where hosts are that connections ask for, others are refused."""

    def __init__(self, address: tuple[str, int], names: dict[str, tuple[str, int]], *, seed: int = 1) -> None:
        self._address, self._names = address, names
        self._rng = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.troubles, self.seen = Troubles(), Seen()
        self._thread = threading.Thread(target=self._run, name="forward", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError(f"the proxy cannot listen on {self._address}")

    def close(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def away(self, is_away: bool) -> None:
        """Let nothing through, or everything again."""
        self.troubles.away = is_away
        if is_away:
            self._loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, *self._address))
        self._ready.set()
        self._loop.run_forever()
        self._drop()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split()
            method, place = head[0], head[1]
            self.seen.asked[f"{method} {place}"] += 1
            target = self._names.get(place)
            if method != "CONNECT" or target is None or self.troubles.away:
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            answers, there = await asyncio.open_connection(*target)
            self._open.add(there)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(self._carry(reader, there, up=True), self._carry(answers, writer, up=False))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            for one in filter(None, (writer, there)):
                self._open.discard(one)
                one.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        due, first = 0.0, up
        while data := await source.read(_CHUNK):
            if first:
                self.seen.sealed, first = self.seen.sealed and data[:1] == b"\x16", False
            now, troubles = self._loop.time(), self.troubles
            due = max(due, now + troubles.delay)
            if troubles.loss and self._rng.random() < troubles.loss:
                self.seen.late += 1
                due += troubles.again
            if up and troubles.cuts and len(data) > 600:
                troubles.cuts -= 1
                self.seen.cut += 1
                sink.write(data[: len(data) // 2])
                await sink.drain()
                raise ConnectionResetError("cut in the middle of an upload")
            if due > now:
                self._loop.call_at(due, _write, sink, data)
            else:
                _write(sink, data)
        await asyncio.sleep(max(0.0, due - self._loop.time()))
        if sink.can_write_eof():
            sink.write_eof()


def _write(sink: asyncio.StreamWriter, data: bytes) -> None:
    if not sink.transport.is_closing():
        sink.write(data)


@contextmanager
def forward(address: tuple[str, int], names: dict[str, tuple[str, int]]) -> Iterator[Forward]:
    """A proxy, closed at the end."""
    made = Forward(address, names)
    made.start()
    try:
        yield made
    finally:
        made.close()
