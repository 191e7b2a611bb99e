"""The short way to the door: a request that came in one piece, and where in its connection the answer goes."""

from __future__ import annotations

import asyncio
import logging
import re
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

log = logging.getLogger("hub.door")

Response: TypeAlias = tuple[int, bytes, list[tuple[bytes, bytes]]]
"""Status, body, headers beside those that every answer has."""
ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
ADDRESS = re.compile(rb"(/in/[A-Za-z0-9_-]{16,128})(?:\?([!\"$-~]*))?\Z")
"""Path and query of an address that needs no decoding."""
_PHRASES = {one.value: one.phrase.encode() for one in HTTPStatus}
_STATUS_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, _PHRASES.get(status, b"")) for status in range(100, 600)}
_NOT_IN_NAMES = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NOT_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Whole(NamedTuple):
    """A request with its whole body."""

    method: str
    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: tuple[str, int] | None


class Place:
    """Where an answer goes; for uvicorn's protocol, which has one request of a connection under way at a time, the
    request itself (its `cycle`)."""

    __slots__ = ("disconnected", "keep_alive", "protocol", "response_complete")
    message_event = asyncio.Event()
    """Nobody waits for it; the protocol sets it when the connection is lost."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.disconnected = False
        self.response_complete = False
        self.keep_alive = True

    def answer(self, response: Response) -> None:
        """Write a response, and let the connection go on or end."""
        self.response_complete = True
        transport = self.protocol.transport
        if self.disconnected or transport.is_closing():
            return
        transport.send(self._encoded(*(response if _is_sound(response) else _UNSOUND)))
        if not self.keep_alive:
            transport.close()
        self.protocol.on_response_complete()

    def _encoded(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        lines = [_STATUS_LINES[status]]
        if status != 204:
            lines.append(b"content-length: %d\r\n" % len(body))
        for name, value in (*self.protocol.server_state.default_headers, *ALWAYS, *headers):
            lines.append(b"%b: %b\r\n" % (name, value))
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"%b%b" % (b"".join(lines), body)


def _is_sound(response: Response) -> bool:
    """Whether no header could end before its end; a handshake's may hold what a sender wrote."""
    for name, value in response[2]:
        if _NOT_IN_NAMES.search(name) or _NOT_IN_VALUES.search(value):
            log.error("an answer was not sent: its header %r holds what no header may", name)
            return False
    return True


_UNSOUND: Response = (500, b"", [])
