"""Results: what comes back as it was, what does not, and files."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hub.errors import UnavailableError
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import MEMORY, Stored, Unreadable, decode, encode
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel


class Order(BaseModel):
    id: int
    day: date


@dataclass
class Point:
    x: int


PLAIN = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
KEYS = st.text() | st.integers() | st.tuples(st.integers())
VALUES = st.recursive(
    PLAIN | st.binary() | st.dates() | st.decimals(allow_nan=False) | st.uuids() | st.timedeltas(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner)
        | st.frozensets(st.integers(), max_size=1)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_kept_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    back = decode(encode(value))
    assert back == value
    assert repr(back) == repr(value)


@pytest.mark.parametrize(
    ("value", "format_"),
    [
        (None, "json"), ({"a": [1, 2.5, "x", None]}, "json"), ((1, 2), "json+tags"), ({1: 2}, "json+tags"),
        ({"$tuple": [1]}, "json+tags"), (float("inf"), "json+tags"), ({"a", "b"}, "json+tags"),
        (datetime(2026, 1, 2, tzinfo=UTC), "json+tags"), (time(1, 2), "json+tags"), (timedelta(1, 2, 3), "json+tags"),
        (Decimal("1.10"), "json+tags"), (UUID(int=5), "json+tags"), (Path("/a/b"), "json+tags"), (b"\0", "json+tags"),
        (1 + 2j, "json+tags"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_common_types_have_a_format(value: Any, format_: str) -> None:
    stored = encode(value)
    assert stored.format == format_
    assert decode(stored) == value


def test_models_and_dataclasses_are_kept_by_their_return_type() -> None:
    for value, hint in ((Order(id=1, day=date(2026, 1, 1)), Order), (Point(3), Point), ([Point(1)], list[Point])):
        stored = encode(value, hint)
        assert stored.format == "json+type"
        assert decode(stored, hint) == value
        assert encode(value) == MEMORY
        assert encode(value, str) == MEMORY


def test_what_cannot_be_kept_says_so() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for value in (threading.Lock(), object(), loop, lambda: 1, [object()]):
        assert encode(value) == MEMORY
        assert not encode(value, object).kept
    with pytest.raises(Unreadable):
        decode(MEMORY)
    with pytest.raises(Unreadable, match="pickle"):
        decode(Stored(b"", "pickle"))
    with pytest.raises(Unreadable):
        decode(Stored(b"{", "json"))


def test_results_in_a_store_come_back_or_are_known_to_be_gone(tmp_path: Path) -> None:
    places = Places(tmp_path)
    stored = places.put(encode("x" * 70_000), "local", "run", "a-1")
    assert (stored.format, places.put(stored, "local", "run", "a-1")) == ("local:json", stored)
    assert decode(places.get(stored)) == "x" * 70_000
    again = places.put(encode("y" * 70_000), "local", "run", "a-1")
    assert again.data != stored.data
    assert decode(places.get(stored)) == "x" * 70_000
    file = tmp_path / json.loads(stored.data or b"")["key"]
    file.write_bytes(b"what is this")
    with pytest.raises(Unreadable, match="not what was put"):
        places.get(stored)
    file.unlink()
    with pytest.raises(Unreadable, match="not in local any more"):
        places.get(stored)
    for wrong in (b"{", b"[]", b'{"key": "../../etc/passwd", "sha256": ""}'):
        with pytest.raises(Unreadable):
            places.get(Stored(wrong, "local:json"))


def test_a_folder_that_cannot_be_written_is_a_clear_error() -> None:
    with pytest.raises(UnavailableError, match="result store local: a result of 70002 bytes cannot be kept"):
        Places(Path("/proc/nowhere")).put(encode("x" * 70_000), "local", "run", "a-1")
