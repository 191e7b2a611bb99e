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
REST_S = 0.0015
"""Seconds in which everybody who waits for the file looks at it."""
LONGEST_REST_S = 0.02
LEAST_S = 0.001
"""Seconds that it takes them in any case: whoever goes second has to get on."""


def in_portions(
    store: Store, items: Iterable[T], write: Callable[[Tx, Iterator[T]], object], *, first: bool = False
) -> None:
    """Call `write` with a transaction and some of the items until none is left; it must take all that it is given.

    With `first` the first item is a portion of its own, since somebody waits for it.

    Those who wait for a SQLite file look whether it is free (see `hub.store.turns`), so that it is left to them in
    between; for one that goes first (see `hub.store.precedence`) a transaction ends sooner, and then the file, the
    processor and the cache are left to it for longer. What a transaction did not commit is nobody's afterwards: the
    caller begins anew.
    """
    left = deque(items)
    hold_s = 0.0 if first else HOLD_S
    while left:
        store.give_way()
        began = time.monotonic()
        with store.write(durable=False) as tx:
            write(tx, _some(store, tx, left, began + hold_s))
            is_wanted = store.is_wanted()
        hold_s = HOLD_S
        if left and (is_wanted or store.dialect == "sqlite"):
            held_s = time.monotonic() - began
            time.sleep(min(LONGEST_REST_S, 4 * held_s) if is_wanted else min(REST_S, held_s))


def _some(store: Store, tx: Tx, left: deque[T], until: float) -> Iterator[T]:
    while left:
        yield left.popleft()
        now = time.monotonic()
        if tx.holds or now > until or (now > until - HOLD_S + LEAST_S and store.is_wanted()):
            return
