"""What an author says of an argument: use it although it failed, or leave it alone."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


class AllowFailure(Generic[T]):
    """A future (or a list of them) whose failure is no obstacle."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


class Quote(Generic[T]):
    """An argument that is passed on as it is, unread."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


def allow_failure(future: Any) -> Any:
    """Let a task run although `future` fails: it gets the exception in place of the result.

    Takes what may hold futures, also a list for `map`. In `wait_for` the failure is waited for and passed over.
    """
    return AllowFailure(future)


def quote(value: T) -> T:
    """Keep the hub from looking into a large argument: it is neither searched for futures nor digested.

    Calls that differ in it alone count as equal, so that only their order tells them apart in a new attempt.
    """
    return cast("T", Quote(value))
