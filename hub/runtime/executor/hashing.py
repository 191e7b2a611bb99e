"""Digests of values that are equal for equal values, in every process and on every machine.

What has no such digest (a client, a lock, an open file) is refused by name rather than guessed at: a wrong digest
would give somebody the result of another call.
"""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from importlib import import_module
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any
from uuid import UUID

from hub.sdk.artifacts import ArtifactId
from hub.sdk.decorated import Decorated

_ATOMS = frozenset({type(None), bool, int, float, complex, type(...)})
_TEXTS = frozenset({date, datetime, time, timedelta, Decimal, UUID, range, slice})


class Unhashable(Exception):
    """A value has no digest; its text is the type's name."""


def digest(value: Any) -> str:
    """32 hexadecimal characters. Raises Unhashable."""
    hasher = blake2b(digest_size=16)
    try:
        _feed(value, hasher.update)
    except RecursionError:
        raise Unhashable(f"{type(value).__qualname__}, nested too deep") from None
    except Unhashable:
        raise
    except Exception as error:  # noqa: BLE001 - an attribute that is not set, a library that refuses: it is uncached
        raise Unhashable(f"{type(value).__qualname__} ({type(error).__name__})") from None
    return hasher.hexdigest()


Update = Callable[[bytes], object]


def _feed(value: Any, update: Update) -> None:
    kind = type(value)
    if kind in _ATOMS:
        _tell(update, kind.__name__, repr(value).encode())
    elif kind in (str, ArtifactId):
        _tell(update, "str", value.encode("utf-8", "surrogatepass"))
    elif kind in (bytes, bytearray):
        _tell(update, "bytes", bytes(value))
    elif kind in (list, tuple):
        _sequence(update, kind.__name__, value)
    elif kind is dict:
        _sequence(update, "dict", sorted((digest(key), digest(item)) for key, item in value.items()))
    elif kind in (set, frozenset):
        _sequence(update, "set", sorted(map(digest, value)))
    elif kind in _TEXTS:
        _tell(update, kind.__name__, repr(value).encode())
    else:
        _feed_object(value, kind, update)


def _tell(update: Update, tag: str, data: bytes) -> None:
    # The length keeps one value's end from being the next one's beginning.
    update(f"{tag}:{len(data)}:".encode())
    update(data)


def _sequence(update: Update, tag: str, items: Iterable[Any]) -> None:
    items = list(items)
    _tell(update, tag, str(len(items)).encode())
    for item in items:
        _feed(item, update)


def _feed_object(value: Any, kind: type, update: Update) -> None:
    name = f"{kind.__module__}.{kind.__qualname__}"
    library = kind.__module__.partition(".")[0]
    if isinstance(value, Enum):
        _tell(update, "enum", f"{name}.{value.name}".encode())
    elif isinstance(value, PurePath):
        _tell(update, "path", str(value).encode())
    elif isinstance(value, type):
        _tell(update, "type", f"{value.__module__}.{value.__qualname__}".encode())
    elif isinstance(value, Decorated):
        _tell(update, "decorated", value._wrapped.key.encode())
        _feed(value._wrapped.bound, update)
    elif library in _FRAMES:
        _FRAMES[library](value, name, update)
    elif dataclasses.is_dataclass(value):
        _sequence(update, name, [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)])
    elif hasattr(kind, "model_fields"):
        more = getattr(value, "__pydantic_extra__", None) or {}
        _sequence(update, name, [*((field, getattr(value, field)) for field in kind.model_fields), more])
    else:
        _feed_callable(value, name, update)


def _feed_callable(value: Any, name: str, update: Update) -> None:
    if isinstance(value, FunctionType):
        _tell(update, "function", f"{value.__module__}.{value.__qualname__}".encode())
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        _sequence(update, "made of", [value.__defaults__, value.__kwdefaults__, cells])
        feed_code(value.__code__, update)
    elif isinstance(value, MethodType):
        _sequence(update, "method", [value.__self__, value.__func__])
    elif isinstance(value, functools.partial):
        _sequence(update, "partial", [value.func, list(value.args), value.keywords])
    elif isinstance(value, BuiltinFunctionType) and (value.__self__ is None or hasattr(value.__self__, "__spec__")):
        _tell(update, "builtin", f"{value.__module__}.{value.__qualname__}".encode())
    else:
        raise Unhashable(name.removeprefix("builtins."))


def feed_code(code: CodeType, update: Update) -> None:
    """What a function does: neither where it stands nor how it is laid out."""
    _tell(update, "code", code.co_code)
    _sequence(update, "names", [code.co_names, code.co_varnames, code.co_freevars, code.co_argcount, code.co_flags])
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            feed_code(constant, update)
        else:
            _feed(constant, update)


def code_digest(code: CodeType) -> str:
    """The digest of a function's code. Raises Unhashable."""
    hasher = blake2b(digest_size=16)
    feed_code(code, hasher.update)
    return hasher.hexdigest()


# --- arrays and data frames ----------------------------------------------------------------------------------------


def _numpy(value: Any, name: str, update: Update) -> None:
    if not hasattr(value, "dtype") or not hasattr(value, "tobytes"):
        raise Unhashable(name)
    if value.dtype.hasobject:
        _sequence(update, name, [list(value.shape), value.tolist()])
    else:
        kind = value.dtype.str if value.dtype.names is None else repr(value.dtype)
        mask = value.mask.tobytes() if hasattr(value, "mask") else None
        _sequence(update, name, [kind, list(value.shape), value.tobytes(), mask])


def _pandas(value: Any, name: str, update: Update) -> None:
    if hasattr(value, "isoformat"):  # a Timestamp, a Timedelta, NaT
        _tell(update, name, repr(value).encode())
    elif hasattr(value, "columns") and hasattr(value, "iloc"):
        columns = [value.iloc[:, number] for number in range(value.shape[1])]
        _sequence(update, name, [value.columns, value.index, list(map(_column, columns))])
    elif hasattr(value, "iloc"):
        _sequence(update, name, [value.name, value.index, _column(value)])
    elif hasattr(value, "names"):
        _sequence(update, "index", [list(value.names), _column(value)])
    else:
        raise Unhashable(name)


def _column(values: Any) -> list[Any]:
    """A Series, without its index, or an Index as what has digests."""
    pandas = import_module("pandas")
    kind = str(values.dtype)
    if kind == "category":
        codes = values.cat.codes.to_numpy() if hasattr(values, "cat") else values.codes
        return [kind, values.dtype.ordered, values.dtype.categories, codes]
    # Of a column of objects pandas takes 1 and "1" for the same.
    if kind == "object" and pandas.api.types.infer_dtype(values, skipna=False) != "string":
        return [kind, values.tolist()]
    try:
        rows = pandas.util.hash_pandas_object(values, index=False).to_numpy()
    except TypeError as error:
        raise Unhashable(f"a column of pandas ({error})") from None
    return [kind, rows.tobytes()]


def _polars(value: Any, name: str, update: Update) -> None:
    frame = value.to_frame() if hasattr(value, "to_frame") else value
    if not hasattr(frame, "write_ipc"):
        raise Unhashable(name)
    sink = io.BytesIO()
    frame.rechunk().write_ipc(sink, compression="uncompressed")
    _tell(update, name, sink.getvalue())


def _pyarrow(value: Any, name: str, update: Update) -> None:
    if type(value).__name__ != "Table":
        raise Unhashable(name)
    sink = io.BytesIO()
    with import_module("pyarrow.ipc").new_stream(sink, value.schema) as writer:
        writer.write_table(value.combine_chunks())
    _tell(update, name, sink.getvalue())


_FRAMES: dict[str, Callable[[Any, str, Update], None]] = {
    "numpy": _numpy,
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
