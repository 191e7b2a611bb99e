"""Ordinals of calls, and the table of fingerprints that they are counted in."""

from __future__ import annotations

import threading

import pytest
from hub.runtime.executor.ordinals import Counters, Fingerprints, Ordinals
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("counting", [Ordinals, Counters])
@given(keys=st.lists(st.text(max_size=2)))
def test_equal_keys_are_counted_from_zero(counting: type[Ordinals | Counters], keys: list[str]) -> None:
    ordinals, seen = counting(), dict[str, int]()
    for key in keys:
        assert ordinals.take(key) == seen.get(key, 0)
        seen[key] = seen.get(key, 0) + 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1).filter(lambda n: n not in (0, 1))))
def test_fingerprints_are_a_set(numbers: list[int]) -> None:
    held = Fingerprints()
    assert [held.add(number) for number in numbers] == [number not in numbers[:at] for at, number in enumerate(numbers)]
    assert len(held) == len(set(numbers))


def test_a_hundred_thousand_take_three_megabytes_at_most() -> None:
    held = Fingerprints()
    assert all(held.add(hash(str(number))) for number in range(100_000))
    assert held._table.itemsize * len(held._table) <= 3_200_000


@pytest.mark.parametrize("counting", [Ordinals, Counters])
def test_threads_take_each_number_once(counting: type[Ordinals | Counters]) -> None:
    ordinals, taken = counting(), list[int]()

    def take() -> None:
        taken.extend(ordinals.take("same") for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(4000))
