"""HTTP/1.1 with limits that uvicorn's own protocol lacks: how large a head may be, and how long it may take.

And with a short way: a webhook that is there whole goes to the door without a task, events and messages of ASGI, which
cost as much as verifying it. Whatever is not of the usual kind goes uvicorn's way, from its head on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, TypeAlias

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hub.web.door.short import ADDRESS, Place, Response, Whole
from hub.web.onewrite import OneWrite
from hub.web.own import SCOPE_KEY

MAX_HEAD = 65_536
"""Bytes of a request's first line and headers together."""
LINGER_SECONDS = 1.0
"""Seconds a refused client has to take note."""
HEAD_SECONDS = 10.0
"""Seconds a client has for them, from the connection or from their first byte."""


Take: TypeAlias = Callable[[Whole, Callable[[Response], None]], bool]
"""See `Door.take`."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that is too large (431) or too slow (408), and closes the connection.

    `take` is asked first for a webhook that came whole.
    """

    _deadline: asyncio.TimerHandle | None = None
    _reading_head = False
    _head_size = 0
    _piece = 0
    """Bytes that came last."""
    _refused = False
    _own_socket = False
    _address: tuple[bytes, bytes | None] | None = None
    """Path and query of the request that may take the short way, until its last byte has come."""
    _body = b""

    def __init__(self, *args: Any, take: Take | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self._take = take

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See uvicorn."""
        super().connection_made(OneWrite(transport, self.loop))  # type: ignore[arg-type]
        sock = transport.get_extra_info("socket")
        self._own_socket = sock is not None and sock.family == socket.AF_UNIX
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See uvicorn. Bytes of an unfinished head are counted here: a header that never ends calls nobody back."""
        if self._refused:
            return
        self._piece = len(data)
        super().data_received(data)
        if self._reading_head:
            self._head_size += len(data)
            if self._deadline is None:
                self._expect_head()
            self._refuse_large()
        elif self._address is not None:
            self._go_long()

    def on_message_begin(self) -> None:
        """See uvicorn."""
        super().on_message_begin()
        if self._own_socket:
            self.scope[SCOPE_KEY] = True  # type: ignore[literal-required]
        self._reading_head, self._head_size = True, 0

    def on_headers_complete(self) -> None:
        """See uvicorn."""
        self._reading_head = False
        self._head_came()
        if self._head_size + self._piece > MAX_HEAD:  # else it cannot be: it came with no more
            self._head_size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if self._refuse_large():
                return
        found = ADDRESS.match(self.url) if self._take is not None and self._is_usual() else None
        if found is None:
            super().on_headers_complete()
        else:
            self._address, self._body = (found[1], found[2]), b""

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        if self._address is not None:
            self._body = self._body + body if self._body else body
        elif not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        if self._address is not None:
            if self._is_taken(*self._address):
                return
            self._go_long()
        if not self._refused:
            super().on_message_complete()

    def _is_usual(self) -> bool:
        """Whether a request's head asks for nothing special, and nothing else is under way on the connection."""
        parser, limit = self.parser, self.limit_concurrency
        return (
            (self.cycle is None or self.cycle.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not (parser.should_upgrade() or self.expect_100_continue or self.flow.write_paused)
            and (limit is None or len(self.connections) < limit)
        )

    def _is_taken(self, path: bytes, query: bytes | None) -> bool:
        assert self._take is not None
        place = Place(self)
        whole = Whole("POST", path.decode("ascii"), query or b"", self.headers, self._body, self.client)
        if not self._take(whole, place.answer):
            return False
        self._address, self._body = None, b""
        if not place.response_complete:
            self.cycle = place  # type: ignore[assignment]
        return True

    def _go_long(self) -> None:
        """Have uvicorn serve the request after all, with what has come of it."""
        body, self._address, self._body = self._body, None, b""
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._refuse_slow)

    def _head_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse_slow(self) -> None:
        self._deadline = None
        self._refuse(408, "Request Timeout", "the head of the request did not arrive in time")

    def _refuse_large(self) -> bool:
        if self._head_size > MAX_HEAD and not self._refused:
            detail = f"the first line and the headers are over {MAX_HEAD} bytes"
            self._refuse(431, "Request Header Fields Too Large", detail)
        return self._refused

    def _refuse(self, status: int, title: str, detail: str) -> None:
        self._refused = True
        if self.transport is None or self.transport.is_closing():
            return
        code = "head-too-slow" if status == 408 else "head-too-large"
        body = f'{{"type":"/errors/{code}","title":"{title}","status":{status},"code":"{code}","detail":"{detail}"}}'
        head = (
            f"HTTP/1.1 {status} {title}\r\ncontent-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode("ascii"))
        # Closing with unread bytes would reset the connection and take the answer away from a client that still
        # sends; so what it sends is read and thrown away for a moment.
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)
