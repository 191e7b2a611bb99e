"""`with tags(...)`: tags of everything that is called in a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hub.errors import UsageError

_around: ContextVar[tuple[str, ...]] = ContextVar("hub_tags", default=())


@contextmanager
def tags(*names: str) -> Iterator[None]:
    """Give these tags to all flows and tasks that are called or submitted in the block, besides their own.

    Raises UsageError for what is no text of 1 to 100 characters.
    """
    if not all(isinstance(name, str) and 0 < len(name) <= 100 for name in names):
        raise UsageError(f"tags{names!r} are not tags", hint="Give texts of up to 100 characters: tags('nightly').")
    token = _around.set(tuple(dict.fromkeys((*_around.get(), *names))))
    try:
        yield
    finally:
        _around.reset(token)


def with_those_around(own: tuple[str, ...]) -> tuple[str, ...]:
    """A flow's or task's own tags and those of the blocks around its call."""
    around = _around.get()
    return tuple(dict.fromkeys((*own, *around))) if around else own
