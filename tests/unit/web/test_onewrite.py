"""Head and body of an answer leave in one write, whatever an application does between them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from hub.web.onewrite import MOST, OneWrite


class _Counting(asyncio.Protocol):
    """Keeps its transport; the pieces that are written to it are kept beside."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport


async def _pair() -> tuple[OneWrite, list[bytes], asyncio.StreamReader, asyncio.StreamWriter]:
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(_Counting, sock=ours)
    reader, writer = await asyncio.open_connection(sock=theirs)
    written: list[bytes] = []
    return OneWrite(_Noting(transport, written), loop), written, reader, writer  # type: ignore[arg-type]


class _Noting:
    """The transport itself, noting what is written to it."""

    def __init__(self, transport: Any, written: list[bytes]) -> None:
        self._transport, self._written = transport, written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._transport.write(data)


def test_head_and_body_leave_in_one_write() -> None:
    async def scenario() -> None:
        transport, written, reader, writer = await _pair()
        transport.write(b"head ")
        transport.write(b"body")
        assert written == [b"head body"]
        transport.close()
        assert await reader.read() == b"head body"
        writer.close()
        await writer.wait_closed()

    asyncio.run(scenario())


def test_a_head_without_a_body_leaves_when_the_loop_turns() -> None:
    async def scenario() -> None:
        transport, written, reader, writer = await _pair()
        transport.write(b"event-stream")
        assert written == []
        assert await asyncio.wait_for(reader.read(100), 10) == b"event-stream"
        transport.write(b"last")
        transport.close()
        assert await reader.read() == b"last", "what is held back goes before the end"
        writer.close()
        await writer.wait_closed()

    asyncio.run(scenario())


def test_what_is_large_is_not_held_back_and_comes_in_order() -> None:
    async def scenario() -> None:
        transport, written, reader, writer = await _pair()
        transport.write(b"a")
        transport.write(b"b" * (MOST + 1))
        assert [len(piece) for piece in written] == [1, MOST + 1]
        transport.write(b"")
        transport.write(b"c")
        transport.write_eof()
        assert await reader.read() == b"a" + b"b" * (MOST + 1) + b"c"
        transport.close()
        writer.close()
        await writer.wait_closed()

    asyncio.run(scenario())


def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    async def scenario() -> None:
        transport, written, _, writer = await _pair()
        transport.write(b"head")
        transport.abort()
        await asyncio.sleep(0)
        assert written == []
        writer.close()
        await writer.wait_closed()

    asyncio.run(scenario())
