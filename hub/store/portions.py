"""Much work in short transactions, so that others who write get their turn in between."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from hub.store.base import Store, Tx

T = TypeVar("T")
HOLD_S = 0.005
"""Seconds after which a transaction takes no more items."""


def in_portions(store: Store, items: Iterable[T], write: Callable[[Tx, Iterator[T]], object]) -> None:
    """Call `write` with a transaction and some of the items until none is left; it must take all that it is given.

    Those who wait for a SQLite file look whether it is free (see `hub.store.turns`), so that it is left to them for as
    long as it was held. What a transaction did not commit is nobody's afterwards: the caller begins anew.
    """
    left = deque(items)
    while left:
        with store.write(durable=False) as tx:
            write(tx, _some(left, time.monotonic() + HOLD_S))
        if left and store.dialect == "sqlite":
            time.sleep(HOLD_S)


def _some(left: deque[T], until: float) -> Iterator[T]:
    while left:
        yield left.popleft()
        if time.monotonic() > until:
            return
