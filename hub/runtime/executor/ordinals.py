"""Counting calls that look alike, in a few bytes for each of them."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable
from itertools import count

_FIRST = 64


class Ordinals:
    """Counts calls that look alike, in the order in which their callers make them. Safe between threads.

    Most calls of a long flow are made once: of those only a fingerprint is kept. Two that share one (among a million
    calls there is one chance in thirty million) are told apart all the same, by their order too.
    """

    __slots__ = ("_lock", "_once", "_repeated")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._once = Fingerprints()
        self._repeated: dict[str, int] = {}

    def take(self, key: str) -> int:
        """The next number of `key`, from 0."""
        with self._lock:
            number = self._repeated.get(key)
            if number is None:
                if self._once.add(hash(key)):
                    return 0
                number = 1
            self._repeated[key] = number + 1
            return number


class Counters:
    """Counts what has few names, in any order. Safe between threads."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: dict[str, Callable[[], int]] = {}

    def take(self, name: str) -> int:
        """The next number of `name`, from 0."""
        # Each is a single C call: two threads get one counter and two numbers.
        counter = self._next.get(name) or self._next.setdefault(name, count().__next__)
        return counter()


class Fingerprints:
    """A set of 64-bit numbers in 16 to 32 bytes each, where Python's own takes about 80."""

    __slots__ = ("_count", "_table")

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * _FIRST))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, number: int) -> bool:
        """Whether it is new."""
        number = number & 0xFFFF_FFFF_FFFF_FFFF or 1  # 0 is a free place
        table = self._table
        mask = len(table) - 1
        place = number & mask
        while found := table[place]:
            if found == number:
                return False
            place = (place + 1) & mask
        table[place] = number
        self._count += 1
        if 2 * self._count > len(table):
            self._grow()
        return True

    def _grow(self) -> None:
        table = array("Q", bytes(16 * len(self._table)))
        mask = len(table) - 1
        for number in filter(None, self._table):
            place = number & mask
            while table[place]:
                place = (place + 1) & mask
            table[place] = number
        self._table = table
