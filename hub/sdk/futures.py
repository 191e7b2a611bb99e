"""Futures of submitted tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Literal, TypeVar, overload

from hub.sdk import port
from hub.states import State, StateType
from hub.types import Id

R = TypeVar("R")
_PENDING = State(StateType.PENDING, "Pending")


class Departure(BaseException):
    """The run leaves this process and goes on later: whoever asks for the result leaves as well. For the runtime."""

    def met(self) -> Departure:
        """Somebody has asked; gives what is raised."""
        return self


class Future(Generic[R]):
    """The result of a task that was submitted and may still run.

    `result(timeout)` waits for it; in async code `await future` does. Given as an argument to another task, it is
    replaced by its result and noted as that task's upstream.
    """

    __slots__ = (
        "__weakref__", "_callbacks", "_error", "_lock", "_step", "_value", "_work", "name", "state", "task_run_id",
    )  # fmt: skip

    def __init__(self, task_run_id: Id, name: str) -> None:
        self.task_run_id = task_run_id
        self.name = name
        self.state: State = _PENDING
        self._lock = threading.Condition(threading.Lock())
        self._callbacks: list[Callable[[Future[R]], object]] | None = []
        self._value: Any = None
        self._error: BaseException | None = None
        # What the runtime knows about the work behind it; lets a waiter do the work itself.
        self._work: Any = None
        self._step = ""

    def __repr__(self) -> str:
        return f"<Future {self.name} {self.state.name}>"

    def done(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._callbacks is None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds (None: for ever) for its end; False when time ran out."""
        if self._callbacks is None:
            return True
        if self._work is not None:
            port.runtime().before_wait(self, timeout)
        with self._lock:
            return self._lock.wait_for(self.done, timeout)

    def join(self) -> None:
        """For the runtime: wait for its end and do nothing meanwhile."""
        with self._lock:
            self._lock.wait_for(self.done)

    @overload
    def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> R: ...
    @overload
    def result(self, timeout: float | None = None, *, raise_on_failure: bool) -> R | BaseException: ...
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R | BaseException:
        """The task's return value. Raises what the task raised, or TimeoutError after `timeout` seconds.

        `raise_on_failure=False` gives what the task raised instead of raising it. A skipped task gives None.
        """
        error = self.exception(timeout)
        if error is not None:
            if not raise_on_failure:
                return error
            raise error
        return self._value  # type: ignore[no-any-return]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the task raised, None if it returned. Raises TimeoutError after `timeout` seconds."""
        if not self.wait(timeout):
            raise TimeoutError(f"task {self.name} has not ended within {timeout} s")
        if isinstance(self._error, Departure):
            raise self._error.met()
        return self._error

    def add_done_callback(self, callback: Callable[[Future[R]], object]) -> None:
        """Call `callback(future)` when it ends, at once if it has; in the thread that ended it. Errors are logged."""
        with self._lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        self._call(callback)

    def __await__(self) -> Generator[Any, None, R]:
        return port.runtime().awaiting(self).__await__()

    def settle(self, state: State, value: Any = None, error: BaseException | None = None) -> bool:
        """For the runtime: end it. False when it had ended before."""
        with self._lock:
            callbacks, self._callbacks = self._callbacks, None
            if callbacks is None:
                return False
            self.state, self._value, self._error, self._work = state, value, error, None
            self._lock.notify_all()
        for callback in callbacks:
            self._call(callback)
        return True

    def _call(self, callback: Callable[[Future[R]], object]) -> None:
        try:
            callback(self)
        except Exception:
            import logging  # noqa: PLC0415 - only when something went wrong

            logging.getLogger("hub.run").exception("a callback of %s raised", self.name)


class Futures(list[Future[R]]):
    """The futures of `map`, in the order of its arguments."""

    @overload
    def result(self, timeout: float | None = None, raise_on_failure: Literal[True] = True) -> list[R]: ...
    @overload
    def result(self, timeout: float | None = None, *, raise_on_failure: bool) -> list[R | BaseException]: ...
    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[Any]:
        """All return values. Raises the first error by order, or TimeoutError when `timeout` seconds are over.

        `raise_on_failure=False` gives errors in the places of the values that they stand for.
        """
        deadline = _deadline(timeout)
        return [future.result(_left(deadline), raise_on_failure=raise_on_failure) for future in self]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for all; False when time ran out."""
        deadline = _deadline(timeout)
        ended = [future.wait(_left(deadline)) for future in self]
        return all(ended)


def wait(futures: Iterable[Future[Any]], timeout: float | None = None) -> tuple[set[Any], set[Any]]:
    """Wait up to `timeout` seconds for all; gives those that have ended and those that have not."""
    known = list(futures)
    Futures(known).wait(timeout)
    done = {future for future in known if future.done()}
    return done, set(known) - done


def as_completed(futures: Iterable[Future[R]], timeout: float | None = None) -> Iterator[Future[R]]:
    """Give futures in the order in which they end. Raises TimeoutError after `timeout` seconds.

    Takes what `map` gives, also over an iterator: then only as many calls as are under way are kept.
    """
    given = getattr(futures, "as_completed", None)
    return _as_completed(list(futures), timeout) if given is None else given(timeout)


def _as_completed(known: list[Future[R]], timeout: float | None) -> Iterator[Future[R]]:
    import queue  # noqa: PLC0415 - not needed to import a flow

    ended: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
    deadline = _deadline(timeout)
    for future in known:
        future.add_done_callback(ended.put)
    for future in known:
        if future._work is not None:
            port.runtime().before_wait(future, timeout)
    for left in range(len(known), 0, -1):
        try:
            yield ended.get(timeout=_left(deadline))
        except queue.Empty:
            raise TimeoutError(f"{left} of {len(known)} tasks have not ended within {timeout} s") from None


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
