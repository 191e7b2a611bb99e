"""The futures of a `map` whose inputs are consumed as its calls go."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Generic, Literal, Protocol, TypeVar, overload

from hub.sdk import port
from hub.sdk.futures import Future

R = TypeVar("R")


class Feed(Protocol):
    """Where the calls come from; the runtime's."""

    window: int
    """How many calls may have begun and not been taken."""
    error: Exception | None
    """Why there are no more, when something went wrong."""

    def take(self) -> Iterable[Future[Any]]:
        """Begin the next call or calls; none when there are no more."""

    def taken(self, stream: FutureStream[Any]) -> None:
        """The caller has begun to take from the stream: its flow need not run the rest."""

    def close(self) -> None:
        """No more calls are wanted."""


class FutureStream(Generic[R]):
    """The futures of `map` over an iterator: each is given once, when it has ended, and not kept here.

    Iterate (`for`, in async code `async for`) to have them in the order of the elements, or with `as_completed(stream)`
    in the order in which they end. Elements are taken from the iterator as futures are taken from here, so that at most
    `window` calls are under way or wait to be taken. What the iterator raises comes after the futures before it.
    One that nobody takes from is run to its end before the flow ends; when one is left early, no further calls begin.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._ahead: OrderedDict[Future[R], int] = OrderedDict()
        """Calls that were begun and not taken, with the numbers of their elements."""
        self._begun = 0
        self._over = False
        self._fill()

    def __repr__(self) -> str:
        return f"<FutureStream of {self._begun}{'' if self._over else ' or more'} calls, {len(self._ahead)} not taken>"

    @property
    def over(self) -> bool:
        """Whether all its calls have begun, without anything wrong."""
        return self._over and self._feed.error is None

    def __iter__(self) -> Iterator[Future[R]]:
        return self

    def __next__(self) -> Future[R]:
        self._feed.taken(self)
        if not self._ahead:
            self._finish()
            raise StopIteration
        future = next(iter(self._ahead))
        future.wait()
        self._take(future)
        return future

    def __aiter__(self) -> FutureStream[R]:
        return self

    async def __anext__(self) -> Future[R]:
        self._feed.taken(self)
        if not self._ahead:
            self._finish()
            raise StopAsyncIteration
        future = next(iter(self._ahead))
        try:
            await port.runtime().awaiting(future)
        except BaseException:
            # Its own error is for whoever asks for its result; ours (a cancel) ends us.
            if not future.done():
                raise
        self._take(future)
        return future

    @overload
    def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> list[R]: ...
    @overload
    def result(self, timeout: float | None = None, *, raise_on_failure: bool) -> list[R | BaseException]: ...
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[Any]:
        """All return values that are left to be taken, in order.

        After a failure no further calls begin; those that have begun end, then the first error by order is raised.
        `raise_on_failure=False` makes all calls and gives errors in the places of the values. Raises TimeoutError
        when `timeout` seconds are over.
        """
        values: dict[int, Any] = {}
        failed: dict[int, BaseException] = {}
        for number, future in self._ended(timeout):
            error = future.exception()
            values[number] = future._value if error is None else error
            if error is not None and raise_on_failure:
                failed[number] = error
                self.close()
        if failed:
            raise failed[min(failed)]
        self._finish()
        return [values[number] for number in sorted(values)]

    def wait(self, timeout: float | None = None) -> bool:
        """Make all calls and keep none of their futures; False when `timeout` seconds were over before."""
        try:
            for _ in self._ended(timeout):
                pass
        except TimeoutError:
            if self._ahead:
                return False
            raise
        self._finish()
        return True

    def as_completed(self, timeout: float | None = None) -> Iterator[Future[R]]:
        """See `hub.as_completed`."""
        for _, future in self._ended(timeout):
            yield future
        self._finish()

    def close(self) -> None:
        """Begin no further calls. Those that have begun end, and can still be taken."""
        self._over = True
        self._feed.taken(self)
        self._feed.close()

    # --- inside ------------------------------------------------------------------------------------------------------

    def _ended(self, timeout: float | None) -> Iterator[tuple[int, Future[R]]]:
        import queue  # noqa: PLC0415 - not needed to import a flow

        self._feed.taken(self)
        deadline = None if timeout is None else time.monotonic() + timeout
        ended: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
        fresh = list(self._ahead)
        while self._ahead:
            for future in fresh:
                future.add_done_callback(ended.put)
                if future._work is not None:
                    port.runtime().before_wait(future, timeout)
            try:
                future = ended.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"{len(self._ahead)} tasks have not ended within {timeout} s") from None
            fresh, number = [], self._ahead.get(future)
            if number is not None:  # else somebody else has taken it
                fresh = self._take(future)
                yield number, future

    def _take(self, future: Future[R]) -> list[Future[R]]:
        """Give one away; the calls that have begun in its place."""
        del self._ahead[future]
        return self._fill()

    def _fill(self) -> list[Future[R]]:
        begun: list[Future[R]] = []
        while not self._over and len(self._ahead) < self._feed.window:
            fresh = list(self._feed.take())
            self._over = not fresh
            for future in fresh:
                self._ahead[future] = self._begun
                self._begun += 1
            begun += fresh
        return begun

    def _finish(self) -> None:
        error, self._feed.error = self._feed.error, None
        if error is not None:
            raise error
