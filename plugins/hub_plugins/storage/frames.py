"""Tables as bytes: Parquet, Arrow's file format and CSV, read and written by pyarrow (extra `arrow`)."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any, Literal, TypeAlias

from hub.errors import PermanentError, UsageError

Format: TypeAlias = Literal["parquet", "arrow", "csv"]
Library: TypeAlias = Literal["pandas", "polars", "arrow"]
CONTENT_TYPES: dict[Format, str] = {
    "parquet": "application/vnd.apache.parquet", "arrow": "application/vnd.apache.arrow.file", "csv": "text/csv"
}  # fmt: skip
_ENDINGS: dict[str, Format] = {".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow", ".csv": "csv"}


def format_of(key: str, given: Format | None) -> Format:
    """What was given, or what the key's ending says. Raises UsageError."""
    found = given or next((kind for ending, kind in _ENDINGS.items() if key.endswith(ending)), None)
    if found is None:
        raise UsageError(f"{key} does not say which format it has", hint="Give format='parquet', 'arrow' or 'csv'.")
    return found


def read(data: bytes, kind: Format, library: Library, columns: list[str] | None, *, where: str) -> Any:
    """The table in these bytes. Raises PermanentError when they are none, UsageError without its columns."""
    pyarrow = _needed("pyarrow", "hubspoke[arrow]")
    try:
        table = _parsed(data, kind)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise PermanentError(f"{where} is no {kind}: {' '.join(str(error).split())[:300]}") from None
    if columns is not None:
        strange = [name for name in columns if name not in table.column_names]
        if strange:
            raise UsageError(
                f"{where} has no column {', '.join(strange)}", hint=f"It has {', '.join(table.column_names)}."
            )
        table = table.select(columns)
    if library == "arrow":
        return table
    return table.to_pandas() if library == "pandas" else _needed("polars", "polars").from_arrow(table)


def _parsed(data: bytes, kind: Format) -> Any:
    if kind == "parquet":
        return import_module("pyarrow.parquet").read_table(io.BytesIO(data))
    if kind == "arrow":
        return import_module("pyarrow.feather").read_table(io.BytesIO(data))
    return import_module("pyarrow.csv").read_csv(io.BytesIO(data))


def write(frame: Any, kind: Format) -> bytes:
    """A DataFrame of pandas or polars, an Arrow table, or a list of dicts. Raises UsageError for anything else."""
    table, out = _table(frame), io.BytesIO()
    if kind == "parquet":
        import_module("pyarrow.parquet").write_table(table, out)
    elif kind == "arrow":
        import_module("pyarrow.feather").write_feather(table, out)
    else:
        import_module("pyarrow.csv").write_csv(table, out)
    return out.getvalue()


def _table(frame: Any) -> Any:
    pyarrow = _needed("pyarrow", "hubspoke[arrow]")
    if isinstance(frame, pyarrow.Table):
        return frame
    try:
        if hasattr(frame, "to_arrow"):  # polars
            return frame.to_arrow()
        if hasattr(frame, "to_dict") and hasattr(frame, "columns"):  # pandas
            return pyarrow.Table.from_pandas(frame, preserve_index=False)
        if isinstance(frame, list) and all(isinstance(row, dict) for row in frame):
            return pyarrow.Table.from_pylist(frame)
    except (pyarrow.ArrowException, ValueError, TypeError) as error:
        raise UsageError(f"the rows make no table: {' '.join(str(error).split())[:300]}") from None
    raise UsageError(f"a {type(frame).__name__} is no table", hint="Give a DataFrame, an Arrow table, a list of dicts.")


def _needed(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise PermanentError(f"it needs the package {name}: pip install '{package}'") from None
