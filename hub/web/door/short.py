"""The short way to the door: a request that came in one piece, and where in its connection the answer goes."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

log = logging.getLogger("hub.door")

Headers: TypeAlias = list[tuple[bytes, bytes]]
Response: TypeAlias = tuple[int, bytes, Headers]
"""Status, body, headers beside those that every answer has."""
JSON = [(b"content-type", b"application/json")]
"""The headers of most answers, by this very object."""
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
    headers: Headers
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
        is_sound = response[2] is JSON or _is_sound(response)
        transport.send(self._encoded(*(response if is_sound else _UNSOUND)))
        if not self.keep_alive:
            transport.close()
        self.protocol.on_response_complete()

    def _encoded(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        first = _json_head(status, len(body)) if headers is JSON else _head(status, len(body), headers)
        last = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        return b"%b%b%b%b" % (first, _of_server(self.protocol.server_state.default_headers), last, body)


def _head(status: int, length: int, headers: Headers) -> bytes:
    size = b"" if status == 204 else b"content-length: %d\r\n" % length
    return b"%b%b%b" % (_STATUS_LINES[status], size, _lines((*ALWAYS, *headers)))


@lru_cache(maxsize=64)
def _json_head(status: int, length: int) -> bytes:
    return _head(status, length, JSON)


_served: tuple[Headers, bytes] = ([], b"")


def _of_server(headers: Headers) -> bytes:
    """The headers that uvicorn gives every answer; it makes a new list of them when the second changes."""
    global _served
    if _served[0] is not headers:
        _served = (headers, _lines(headers))
    return _served[1]


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def _is_sound(response: Response) -> bool:
    """Whether no header could end before its end; a handshake's may hold what a sender wrote."""
    for name, value in response[2]:
        if _NOT_IN_NAMES.search(name) or _NOT_IN_VALUES.search(value):
            log.error("an answer was not sent: its header %r holds what no header may", name)
            return False
    return True


_UNSOUND: Response = (500, b"", [])
