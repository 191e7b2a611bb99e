"""What a sender may ask of the door: size, time, rate, headers. Every refusal is an exception with a status."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterable
from functools import partial
from itertools import chain
from typing import Any

from starlette.types import Message, Receive

MAX_HEADERS = 100
MAX_HEADER_BYTES = 65_536
IN_FLIGHT_BYTES = 268_435_456
"""Body bytes that the door holds at once, of all senders."""
GRACE_S = 2.0
BYTES_PER_S = 4_096
"""After the grace a sender must have kept at least this rate."""
DRAIN_BYTES = 1_048_576
DRAIN_S = 1.0
_BUCKETS = 10_000


class Refused(Exception):
    """The request is refused before anybody looks at its signature."""

    def __init__(
        self, status: int, code: str, *, retry_after: int | None = None, allow: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.allow = allow


class SenderLeft(Exception):
    """The sender closed the connection before its request was complete: there is nobody to answer."""


Headers = list[tuple[bytes, bytes]]


def check_headers(headers: Headers) -> None:
    """Refuse too many or too large headers, and bodies that are not sent as they are."""
    if len(headers) > MAX_HEADERS:
        raise Refused(431, "headers-too-large")
    single = dict(headers)
    # Nearly always none has one: a look at a dictionary, made at once, instead of one at each header.
    if b"content-encoding" in single and any(
        value.strip().lower() not in (b"", b"identity") for value in values(headers, b"content-encoding")
    ):
        raise Refused(415, "content-encoding")
    if sum(map(len, chain.from_iterable(headers))) > MAX_HEADER_BYTES:
        raise Refused(431, "headers-too-large")


def check_length(headers: Headers, limit: int) -> None:
    """Refuse a body whose announced length is over the limit or no number."""
    lengths = values(headers, b"content-length")
    if not lengths:
        return
    if len(set(lengths)) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 19:
        raise Refused(400, "content-length")
    if int(lengths[0]) > limit:
        raise Refused(413, "body-too-large")


def values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of a header; names are in lower case, as ASGI has them."""
    return [value for key, value in headers if key == name]


def decoded(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Headers as text, a byte a letter."""
    # All at once: a call for each name and value takes longer. No server hands on a header with a line's end in it.
    texts = b"\n".join(chain.from_iterable(headers)).decode("latin-1").split("\n")
    if headers and len(texts) == 2 * len(headers):
        return tuple(zip(texts[::2], texts[1::2], strict=True))
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])


class BodyReader:
    """Reads bodies under all limits at once; counts what it holds."""

    def __init__(self, *, seconds: float, budget: int = IN_FLIGHT_BYTES) -> None:
        self.seconds = seconds
        self.budget = budget
        self.held = 0

    async def read(self, receive: Receive, limit: int) -> bytes:
        """The whole body. The caller gives its bytes back with `release` when the answer is sent.

        Raises Refused: 413 over the limit, 408 too slow, 503 too much at once; SenderLeft.
        """
        first = _Begun(receive())
        message = first.message
        if message is None or message["type"] != "http.request" or message.get("more_body", False):
            return await self._wait_for_all(first, receive, limit)
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise Refused(413, "body-too-large")
        self.hold(len(body))
        return body

    async def _wait_for_all(self, first: _Begun, receive: Receive, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        start = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(self.seconds, GRACE_S)) as patience:
                more = True
                while more:
                    message = await receive() if chunks else await first
                    if message["type"] == "http.disconnect":
                        raise SenderLeft
                    chunk = message.get("body", b"")
                    more = message.get("more_body", False)
                    self.hold(len(chunk))
                    size += len(chunk)
                    if size > limit:
                        raise Refused(413, "body-too-large")
                    chunks.append(chunk)
                    if more:
                        patience.reschedule(start + min(self.seconds, GRACE_S + size / BYTES_PER_S))
        except BaseException as error:
            self.release(size)
            if isinstance(error, TimeoutError):
                raise Refused(408, "body-timeout") from None
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def drain(self, receive: Receive) -> bool:
        """Read away what a refused sender still sends, within bounds; whether that was all of it.

        An answer on a connection that is closed with unread bytes may never be read by the sender.
        """
        left = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_S):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return True
        except TimeoutError:
            pass
        return False

    def hold(self, size: int) -> None:
        """Count bytes that are held; give them back with `release`. Raises Refused 503 when they are too many."""
        if self.held + size > self.budget:
            raise Refused(503, "door-full", retry_after=1)
        self.held += size

    def release(self, size: int) -> None:
        """Give bytes back."""
        self.held -= size


class _Begun:
    """A message that is asked for, its first step taken: one that is there already needs no timer, as most are."""

    def __init__(self, asked: Awaitable[Message]) -> None:
        self._steps = asked.__await__()
        self._waits_for: Any = None
        self.message: Message | None = None
        try:
            self._waits_for = next(self._steps)
        except StopIteration as end:
            self.message = end.value

    def __await__(self) -> Generator[Any, Any, Message]:
        if self.message is not None:
            return self.message
        waits_for = self._waits_for
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - handed on to the one who asked
                step = partial(self._steps.throw, error)
            else:
                step = partial(self._steps.send, sent)
            try:
                waits_for = step()
            except StopIteration as end:
                message: Message = end.value
                return message


class Rates:
    """Token buckets by name, each with its own rate for a minute; a burst of a sixth of it is free. Not for threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, per_minute: int) -> float:
        """Take one; 0 when it was there, else the seconds until there is one."""
        now = self._clock()
        most = per_minute / 6 if per_minute > 6 else 1.0
        if per_minute <= 0:
            return 60.0
        level, at = self._buckets.pop(name, (most, now))
        level += (now - at) * per_minute / 60
        if level > most:
            level = most
        allowed = level >= 1
        self._buckets[name] = (level - 1 if allowed else level, now)
        if len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - level) * 60 / per_minute
