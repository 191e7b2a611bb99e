"""Names of steps: equal inputs, equal names; in every process."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pytest
from hub.runtime.executor.digests import step_key
from hub.sdk.futures import Future
from pydantic import BaseModel


class Colour(Enum):
    RED = 1


class Model(BaseModel):
    a: int


@dataclass
class Point:
    x: Any


def key(*args: Any, **kwargs: Any) -> str:
    return step_key("", "t", args, kwargs)


UNHASHABLE = key(threading.Lock())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True), (1, 1.0), (1, "1"), ("1", b"1"), ([1, 2], (1, 2)), ([[1], 2], [[1, 2]]), ({"a": 1}, {"a": 2}),
        ({1}, {2}), (None, "None"), (Point(1), Point(2)), (Model(a=1), Model(a=2)), (date(2026, 1, 1), "2026-01-01"),
        (["a\x1eb"], ["a", "b"]), (Colour.RED, "Colour.RED"), ({"a": 1, "b": 2}, {"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_different_inputs_give_different_names(one: Any, other: Any) -> None:
    assert key(one) != key(other)
    assert UNHASHABLE not in (key(one), key(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [2]}, {"b": [2], "a": 1}), ({"x", "y", "z"}, {"z", "y", "x"}), (Point([1]), Point([1])),
        (Model(a=1), Model(a=1)), (Colour.RED, Colour.RED), (object(), threading.Lock()),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_equal_inputs_give_equal_names_and_what_cannot_be_hashed_counts_as_equal(one: Any, other: Any) -> None:
    assert key(one) == key(other)


def test_keyword_order_and_parents_count_as_they_should() -> None:
    assert key(a=1, b=2) == key(b=2, a=1)
    assert step_key("p", "t", (), {}) != step_key("", "t", (), {})
    assert step_key("", "u", (), {}) != step_key("", "t", (), {})


def test_a_future_counts_as_the_step_that_makes_it() -> None:
    first, second, same = Future[int]("1", "a"), Future[int]("2", "b"), Future[int]("3", "c")
    first._step, second._step, same._step = "x:0", "x:1", "x:0"
    assert key(first) == key(same) != key(second)


def test_names_are_the_same_in_another_process() -> None:
    code = (
        "from hub.runtime.executor.digests import step_key; "
        "print(step_key('', 't', ({'b', 'a', 'c'}, {'k': [1.5, 'ü']}), {'x': None}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == key({"c", "b", "a"}, {"k": [1.5, "ü"]}, x=None)


def test_a_value_that_holds_itself_counts_as_unhashable() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert key(loop) == UNHASHABLE
