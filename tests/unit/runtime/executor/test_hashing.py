"""Digests: equal for equal values in every process, different for different ones, refused for the rest."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hub import task
from hub.runtime.executor.caching import difference
from hub.runtime.executor.hashing import Unhashable, code_digest, digest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: int
    tags: tuple[str, ...] = ()


@dataclass
class Spot:
    x: int
    tags: tuple[str, ...] = ()


class Model(BaseModel):
    a: int
    when: date | None = None


def adder(n: int) -> Any:
    return lambda x: x + n


VALUES: list[Any] = [
    None, True, False, 0, 1, 1.0, 1.5, -0.0, 0.0, "1", "", b"", b"1", "a", ("a",), ["a"], {"a"}, [], (), {}, set(),
    [[]], ["a", "b"], ["ab"], ["a,b"], {"a": 1}, {"a": "1"}, {1: "a"}, {"a": {"b": 1}}, [("a", 1)], 1j,
    float("nan"), ...,
    date(2026, 1, 2), datetime(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC), timedelta(1),
    Decimal("1"), Decimal("1.0"), UUID(int=1), Path("a"), Colour.RED, Colour.BLUE, Point(1), Point(2), Spot(1),
    Model(a=1), Model(a=1, when=date.min),
    Point, len, print, adder(1), adder(2), functools.partial(int, base=2), functools.partial(int, base=8), range(3),
    range(4), lambda x: x, lambda x: x + 1, lambda x, y=1: x, lambda x, y=2: x, task(lambda: 1), slice(1, 2),
]  # fmt: skip


def test_different_values_have_different_digests() -> None:
    digests = [digest(value) for value in VALUES]
    same = {d: [VALUES[n] for n, other in enumerate(digests) if other == d] for d in digests if digests.count(d) > 1}
    assert same == {}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@given(plain, plain)
def test_equal_representations_mean_equal_digests(one: Any, other: Any) -> None:
    def written(value: Any) -> Any:
        if isinstance(value, dict):
            return ("dict", sorted(((repr(k), written(v)) for k, v in value.items()), key=repr))
        if isinstance(value, list | tuple):
            return (type(value).__name__, [written(item) for item in value])
        return (type(value).__name__, repr(value))

    assert (digest(one) == digest(other)) == (written(one) == written(other))


def test_digests_are_the_same_in_another_process() -> None:
    code = "from hub.runtime.executor.hashing import digest; print(digest([{'b': {1, 'x', 2.5}, 'a': (None, b'y')}]))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert found == {digest([{"a": (None, b"y"), "b": {2.5, "x", 1}}])}


def loop() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


class Odd:
    """Equal to nothing, known by nothing."""


@pytest.mark.parametrize(
    "value",
    [threading.Lock(), Odd(), [1, {"a": Odd()}], Point(Odd()), loop(), iter([1]), open, adder(Odd()), Odd().__eq__],  # type: ignore[arg-type]
    ids=["lock", "object", "inside", "dataclass", "loop", "iterator", "builtin", "closure", "method"],
)
def test_what_cannot_be_told_apart_is_refused(value: Any) -> None:
    if value is open:
        assert digest(value) != digest(print)
        return
    with pytest.raises(Unhashable):
        digest(value)


def test_the_code_of_a_function_counts_and_not_its_layout() -> None:
    def compiled(text: str) -> str:
        space: dict[str, Any] = {}
        exec(text, space)
        return code_digest(space["f"].__code__)

    one = compiled("def f(x):\n    return x + 1\n")
    assert compiled("\n\n# a comment\ndef f(x):  # another\n\n    return (x + 1)\n") == one
    for other in ("x + 2", "x - 1", "y + 1", "x + 1.0", "[x + 1 for _ in x]", "(lambda: x + 1)()"):
        assert compiled(f"def f(x, y=0):\n    return {other}\n") != one


def test_arrays_and_frames_have_digests() -> None:
    import numpy
    import pandas

    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert digest(frame) == digest(frame.copy())
    changed = [
        frame.rename(columns={"a": "c"}), frame.assign(a=[1, 3]), frame.iloc[::-1], frame.set_index("a"),
        frame.astype({"a": "int32"}), frame["a"], frame["b"],
    ]  # fmt: skip
    arrays = [numpy.array([1, 2]), numpy.array([1.0, 2]), numpy.array([[1, 2]]), numpy.int64(1), numpy.array(["a"])]
    assert len({digest(value) for value in [frame, *changed, *arrays]}) == 1 + len(changed) + len(arrays)
    with pytest.raises(Unhashable):
        digest(pandas.DataFrame({"a": [threading.Lock()]}))


def test_arrays_and_frames_that_differ_in_what_is_easily_missed() -> None:
    import numpy
    import pandas

    one = pandas.Series([1, "a"], dtype=object)
    frame = pandas.DataFrame({"a": [1]})
    kinds = [pandas.Series(pandas.Categorical(["a"], categories=["a", other])) for other in "bc"]
    pairs: list[tuple[Any, Any]] = [
        (one, pandas.Series(["1", "a"], dtype=object)), (one, one.rename("name")), (frame, frame.rename_axis("i")),
        (pandas.DataFrame({1: [1]}), pandas.DataFrame({"1": [1]})), (kinds[0], kinds[1]),
        (pandas.CategoricalIndex(kinds[0]), pandas.CategoricalIndex(kinds[1])),
        (pandas.Timestamp("2026-01-01"), pandas.Timestamp("2026-01-02")), (pandas.NaT, pandas.Timedelta(1)),
        (pandas.Series([1, 2]), pandas.Index([1, 2])),
        (numpy.zeros(1, [("a", "i4")]), numpy.zeros(1, [("b", "i4")])),
        (numpy.zeros(1, [("a", "i4")]), numpy.zeros(1, [("a", "f4")])),
        (numpy.ma.array([1, 2], mask=[0, 1]), numpy.ma.array([1, 999_999], mask=[0, 0])),
    ]  # fmt: skip
    for here, there in pairs:
        assert digest(here) != digest(there), (here, there)
        assert digest(here) == digest(here.copy() if hasattr(here, "copy") else here)


def test_whatever_a_value_raises_it_has_no_digest() -> None:
    @dataclass
    class Unset:
        x: int = field(init=False)

    def inner() -> object:
        return later

    for value in (Unset(), inner):
        with pytest.raises(Unhashable):
            digest(value)
    later = 1
    assert digest(inner)


def test_frames_of_other_libraries() -> None:
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    values = [polars.DataFrame({"a": [1, 2]}), polars.DataFrame({"a": [2, 1]}), pyarrow.table({"a": [1, 2]})]
    assert len({digest(value) for value in values}) == 3
    assert digest(values[0]) == digest(polars.concat([values[0][:1], values[0][1:]]))


def test_the_difference_names_parts_and_what_is_in_them() -> None:
    ours = {"task": "t", "inputs": {"day": "1", "n": "2"}, "task_source": "a"}
    theirs = {"task": "t", "inputs": {"day": "3", "n": "2", "x": "1"}, "run_id": "r"}
    assert difference(ours, theirs) == ["inputs.day", "inputs.x", "run_id", "task_source"]
