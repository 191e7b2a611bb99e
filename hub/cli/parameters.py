"""Parameters on a command line: `-p day=2026-01-31 -p n=3 -p 'names=["a","b"]'`, or a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter

from hub.errors import UsageError

Pairs: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(name=("--param", "-p"), help="A parameter as name=value; the value is JSON, or else text. Repeatable."),
]
File: TypeAlias = Annotated[
    Path | None, Parameter(name="--params", help="A JSON file with an object of parameters; -p wins over it.")
]


def parse(pairs: Sequence[str], file: Path | None = None, *, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The parameters. Where `schema` says that one is a string, its text is taken as it is ("007" stays "007")."""
    found = _read(file) if file else {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"-p {pair!r} is not name=value.", hint="Write it as -p day=2026-01-31.")
        found[name] = text if _is_text(name, schema or {}) else value_of(text)
    return found


def whole(
    pairs: Sequence[str], file: Path | None, value: str | None, *, called: str = "value",
    schema: Mapping[str, Any] | None = None, text_only: bool = False,
) -> Any:  # fmt: skip
    """A value given by --value as a whole, else put together of -p and --params."""
    if value is None:
        return parse(pairs, file, schema=schema)
    if pairs or file is not None:
        raise UsageError(f"--value is the whole {called}, so -p means nothing beside it", hint="Give one of the two.")
    return value_of(value, text_only=text_only)


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as JSON: {error}.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{file} must hold a JSON object of parameters, not {type(value).__name__}.")
    return value


def value_of(text: str, *, text_only: bool = False) -> Any:
    """A value as typed: JSON, or else text. `text_only`: the text as it is."""
    if text_only:
        return text
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON; they stay text and the type hints decide


def _is_text(name: str, schema: Mapping[str, Any]) -> bool:
    kind: Mapping[str, Any] = schema.get("properties", {}).get(name, {})
    return kind.get("type") == "string"
