"""HTTP/1.1 with limits that uvicorn's own protocol lacks: how large a head may be, and how long it may take."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 65_536
"""Bytes of a request's first line and headers together."""
LINGER_SECONDS = 1.0
"""Seconds a refused client has to take note."""
HEAD_SECONDS = 10.0
"""Seconds a client has for them, from the connection or from their first byte."""


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that is too large (431) or too slow (408), and closes the connection."""

    _deadline: asyncio.TimerHandle | None = None
    _reading_head = False
    _head_size = 0
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See uvicorn."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See uvicorn."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See uvicorn. Bytes of an unfinished head are counted here: a header that never ends calls nobody back."""
        if self._refused:
            return
        super().data_received(data)
        if self._reading_head:
            self._head_size += len(data)
            self._refuse_large()

    def on_message_begin(self) -> None:
        """See uvicorn."""
        super().on_message_begin()
        self._reading_head, self._head_size = True, 0
        if self._deadline is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """See uvicorn."""
        self._reading_head = False
        self._head_came()
        self._head_size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if not self._refuse_large():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        if not self._refused:
            super().on_message_complete()

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
