"""Messages as they travel: JSON, perhaps gzip. What comes out of it is bounded like what comes in, be it ever so small.

A peer sends gzip where the other one has said that it reads that: `capabilities` of a session for what is sent,
`Accept-Encoding` for what is answered.
"""

from __future__ import annotations

import zlib

from hub.errors import HubError

GZIP = "gzip"
WORTH_IT = 2048
"""Bytes from which on something is compressed."""
_LEVEL = 1
"""A seventh of the size; higher ones cost twice the time for a tenth less."""
_GZIP_BITS = 31


class UnknownEncoding(HubError):
    """The body is compressed in a way that nobody has agreed on."""

    code = "unknown-encoding"
    status = 415

    def __init__(self, name: str) -> None:
        super().__init__(f"the Content-Encoding {name[:40]!r} is not understood", hint="Send JSON as it is, or gzip.")


class BadGzip(HubError):
    """The body is no gzip, not whole, or more than one."""

    code = "bad-gzip"
    status = 400

    def __init__(self, what: str) -> None:
        super().__init__(f"the body is no gzip: {what}", hint="Send it again, or without Content-Encoding.")


def packed(content: bytes) -> bytes:
    """The bytes as one gzip member."""
    made = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_BITS)
    return made.compress(content) + made.flush()


def accepted(header: str) -> bool:
    """Whether an `Accept-Encoding` has gzip; `gzip;q=0` says that it has not."""
    for one in header.lower().split(","):
        name, _, weight = one.partition(";")
        if name.strip() == GZIP:
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class TooLarge(Exception):
    """More comes out than may."""


class Unpacking:
    """Takes what was sent piece by piece, and stops at `limit` bytes of what it means."""

    def __init__(self, encoding: str, limit: int) -> None:
        if encoding not in ("", "identity", GZIP):
            raise UnknownEncoding(encoding)
        self._gzip = zlib.decompressobj(_GZIP_BITS) if encoding == GZIP else None
        self._limit = limit
        self._read = bytearray()

    def take(self, piece: bytes) -> None:
        """The next piece. Raises TooLarge as soon as it is more than the limit, whatever would still come."""
        if self._gzip is None:
            self._read += piece
        elif self._gzip.eof and piece:
            raise BadGzip("something follows its end")
        else:
            try:
                self._read += self._gzip.decompress(piece, self._limit + 1 - len(self._read))
            except zlib.error:
                raise BadGzip("it cannot be unpacked") from None
        if len(self._read) > self._limit:
            raise TooLarge

    def whole(self) -> bytes:
        """All of it, at the end."""
        if self._gzip is not None and not self._gzip.eof:
            raise BadGzip("its end is missing")
        if self._gzip is not None and self._gzip.unused_data:
            raise BadGzip("something follows its end")
        return bytes(self._read)
