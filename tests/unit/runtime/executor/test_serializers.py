"""Serializers: what comes back, what is refused, and that nothing is unpickled unasked."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
from hub.errors import UsageError
from hub.runtime.executor import results, serializers
from hub.runtime.executor.results import Stored, Unreadable, decode, encode
from hub.serializers import Serializer
from hypothesis import given
from hypothesis import strategies as st


class Point:
    """JSON cannot carry it."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", ["pickle", "cloudpickle", "compressed/pickle", "compressed/compressed/pickle"])
def test_pickles_come_back_for_whoever_names_them(name: str) -> None:
    if "cloudpickle" in name:
        pytest.importorskip("cloudpickle")
    stored = encode([Point(1), {"a": (1, 2)}], None, name)
    assert decode(stored, None, name) == [Point(1), {"a": (1, 2)}]
    for other in (None, "json", "arrow"):
        with pytest.raises(Unreadable, match="may run code"):
            decode(stored, None, other)


def test_nothing_is_unpickled_unasked(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    data = pickle.dumps(Evil())
    for format_ in ("pickle", "cloudpickle"):
        with pytest.raises(Unreadable):
            decode(Stored(data, format_))
        with pytest.raises(Unreadable):
            decode(Stored(serializers.compress(data), f"gzip/{format_}"), None, "compressed/json")
    assert not (tmp_path / "ran").exists()
    decode(Stored(data, "pickle"), None, "pickle")
    assert (tmp_path / "ran").exists()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.binary(), lambda inner: st.lists(inner)))
def test_compressed_json_is_as_exact_as_json(value: Any) -> None:
    stored = encode(value, None, "compressed/json")
    assert stored.format.startswith("gzip/json")
    assert decode(stored) == value
    assert encode(value, None, "compressed/json") == stored


def test_compressed_is_smaller_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = encode("x" * 1_000_000, None, "compressed/json")
    assert len(stored.data or b"") < 5000
    monkeypatch.setattr(results, "MAX_BYTES", 1000)
    with pytest.raises(Unreadable, match="ValueError"):
        decode(stored)
    for damaged in (b"", b"no gzip", (stored.data or b"")[:100]):
        with pytest.raises(Unreadable):
            decode(Stored(damaged, stored.format))


@pytest.mark.parametrize("name", ["json", "pickle", "arrow", "parquet", "compressed/json", "compressed/pickle"])
def test_a_value_that_a_named_serializer_cannot_carry_is_refused(name: str) -> None:
    if name in ("arrow", "parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match=rf"the result \(lock\) cannot be written as {name}: ") as caught:
        encode(threading.Lock(), None, name)
    assert caught.value.code == "result-unserializable"


def test_an_unknown_serializer_is_named_with_those_there_are() -> None:
    for name in ("yaml", "compressed/yaml", "compressed/"):
        with pytest.raises(UsageError, match="no serializer") as caught:
            encode(1, None, name)
        assert "parquet" in caught.value.hint


@pytest.mark.parametrize("name", ["arrow", "parquet", "compressed/arrow"])
def test_data_frames_come_back_as_what_they_were(name: str) -> None:
    pytest.importorskip("pyarrow")
    import pandas
    import polars
    import pyarrow

    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pandas.Index([5, 7], name="day"))
    pandas.testing.assert_frame_equal(decode(encode(frame, None, name)), frame)
    frame = polars.DataFrame({"a": [1, None], "b": ["x", "y"]})
    back = decode(encode(frame, None, name))
    assert isinstance(back, polars.DataFrame)
    assert back.equals(frame)
    table = pyarrow.table({"a": [1, 2]}, metadata={"unit": "m"})
    assert decode(encode(table, None, name)).equals(table, check_metadata=True)
    empty = pandas.DataFrame({"a": pandas.Series([], dtype="int64")})
    pandas.testing.assert_frame_equal(decode(encode(empty, None, name)), empty)


def test_parquet_in_a_store_is_plain_parquet() -> None:
    pytest.importorskip("pyarrow")
    stored = encode(__import__("pandas").DataFrame({"a": [1]}), None, "parquet")
    assert (stored.data or b"")[:4] == b"PAR1"


def test_a_plugins_serializer_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Serializer("pairs", lambda value: repr(list(value.items())).encode(), lambda data: OrderedDict(eval(data)))
    monkeypatch.setitem(serializers._OWN, "pairs", own)
    value = OrderedDict(a=1)
    assert decode(encode(value, None, "compressed/pairs")) == value
