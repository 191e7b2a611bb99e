"""Serializers by name: the hub's own, and those of plugins. Their libraries are imported when they are used."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from hub.errors import UsageError
from hub.runtime import contributed
from hub.serializers import Serializer

COMPRESSED = "compressed/"
GZIP = "gzip/"
JSON = "json"


def named(name: str) -> Serializer:
    """The serializer of that name. Raises UsageError."""
    found = _OWN.get(name) or contributed.installed().serializers.get(name)
    if found is None:
        known = sorted([JSON, *_OWN, *contributed.installed().serializers])
        raise UsageError(
            f"there is no serializer {name!r}",
            hint=f"Known: {', '.join(known)}; any of them as compressed/<name>.",
        )
    return found


def innermost(name: str) -> str:
    """`x` of `compressed/x`."""
    while name.startswith(COMPRESSED):
        name = name.removeprefix(COMPRESSED)
    return name


def compress(data: bytes) -> bytes:
    """As gzip, which every Python and every tool reads; the same bytes for the same data."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def decompress(data: bytes, limit: int) -> bytes:
    """The bytes again. Raises ValueError for what is damaged or would be larger than `limit`."""
    unpacker = zlib.decompressobj(31)
    try:
        found = unpacker.decompress(data, limit)
    except zlib.error as error:
        raise ValueError(f"it cannot be decompressed: {error}") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError(f"it is cut off, or larger than {limit} bytes")
    return found


# --- data frames -------------------------------------------------------------------------------------------------

_MADE_OF = b"hub.made_of"


def _as_table(value: Any) -> Any:
    """A pandas, polars or pyarrow frame as a pyarrow table that says which one it was."""
    arrow = _library("pyarrow", "arrow")
    kind = type(value).__module__.partition(".")[0]
    if kind == "pandas" and type(value).__name__ == "DataFrame":
        table = arrow.Table.from_pandas(value)
    elif kind == "polars" and type(value).__name__ == "DataFrame":
        table = value.to_arrow()
    elif isinstance(value, arrow.Table):
        table = value
    else:
        raise TypeError("it is no data frame of pandas, polars or pyarrow")
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _MADE_OF: kind.encode()})


def _from_table(table: Any) -> Any:
    metadata = dict(table.schema.metadata or {})
    kind = metadata.pop(_MADE_OF, b"pyarrow")
    if kind == b"pandas":
        return table.to_pandas()
    if kind == b"polars":
        return import_module("polars").from_arrow(table)
    return table.replace_schema_metadata(metadata or None)


def _to_arrow(value: Any) -> bytes:
    table, sink = _as_table(value), io.BytesIO()
    with import_module("pyarrow.ipc").new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _from_arrow(data: bytes) -> Any:
    _library("pyarrow", "arrow")
    with import_module("pyarrow.ipc").open_stream(data) as reader:
        return _from_table(reader.read_all())


def _to_parquet(value: Any) -> bytes:
    table, sink = _as_table(value), io.BytesIO()
    import_module("pyarrow.parquet").write_table(table, sink)
    return sink.getvalue()


def _from_parquet(data: bytes) -> Any:
    _library("pyarrow", "arrow")
    return _from_table(import_module("pyarrow.parquet").read_table(io.BytesIO(data)))


def _cloudpickled(value: Any) -> bytes:
    data: bytes = _library("cloudpickle", "").dumps(value)
    return data


def _library(name: str, extra: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        wanted = f"'hubspoke[{extra}]'" if extra else name
        raise UsageError(f"it needs the package {name}", hint=f"pip install {wanted}") from None


def _unpickled(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 - only for a task whose own options say so


_OWN = {
    known.name: known
    for known in (
        Serializer("pickle", pickle.dumps, _unpickled, runs_code=True),
        Serializer("cloudpickle", _cloudpickled, _unpickled, runs_code=True),
        Serializer("arrow", _to_arrow, _from_arrow),
        Serializer("parquet", _to_parquet, _from_parquet),
    )
}


@contextmanager
def told(name: str, value: Any) -> Iterator[None]:
    """Whatever a serializer raises, as an error that says which value and how."""
    try:
        yield
    except Exception as error:
        reason = getattr(error, "detail", None) or f"{type(error).__name__}: {error}"
        raise UsageError(
            f"the result ({type(value).__qualname__}) cannot be written as {name}: {reason}"[:1000],
            hint=getattr(error, "hint", "") or "Return something else, or name another result_serializer.",
            code="result-unserializable",
        ) from error
