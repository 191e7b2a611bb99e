"""A transport that sends an answer's head and body in one write: each write is a call of the system."""

from __future__ import annotations

import asyncio
from typing import Any

MOST = 65_536
"""Bytes that are held back, at most."""


class OneWrite:
    """Holds a first piece back until the next comes, or until the event loop turns; all else is the transport's own."""

    __slots__ = ("_held", "_loop", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See asyncio.Transport."""
        if len(data) > MOST:
            self.flush()
            self._transport.write(data)
        elif self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif data:
            self._held = data
            self._loop.call_soon(self.flush)

    def send(self, data: bytes) -> None:
        """Write a whole answer now."""
        self.flush()
        self._transport.write(data)

    def flush(self) -> None:
        """Send what is held back."""
        held, self._held = self._held, b""
        if held and not self.is_closing():
            self._transport.write(held)

    def write_eof(self) -> None:
        """See asyncio.Transport."""
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        """See asyncio.Transport."""
        self.flush()
        self._transport.close()
