"""What a body says: JSON and forms from strangers, parsed under limits that no sender can argue with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from hub.errors import UsageError
from hub.types import Json

MAX_DEPTH = 64
MAX_KEYS = 10_000
MAX_FIELDS = 1_000
_INT64 = 2**63
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BodyError(UsageError):
    """A body is not what its preset expects, or is over a limit; the message says which."""

    code = "invalid-body"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed JSON body; `duplicate_keys` says that some object named a key twice (the last one counts)."""

    value: Json
    duplicate_keys: bool = False


def parse_json(body: bytes) -> Parsed:
    """Parse UTF-8 JSON. Integers beyond 64 bits and numbers beyond a double stay text.

    NaN and Infinity are refused. At most 64 levels and 10,000 keys. Lone surrogates become U+FFFD.
    Raises BodyError.
    """
    text = _decode(body)
    reader = _Reader()
    try:
        value = reader.read(text)
    except RecursionError:
        raise BodyError(f"the JSON nests deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise BodyError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if _SURROGATE_ESCAPE.search(body):
        value = _without_surrogates(value)
    return Parsed(value, reader.duplicates)


def parse_form(body: bytes) -> dict[str, str]:
    """Parse an URL-encoded form of at most 1,000 fields; of a field named twice the last value counts.

    Raises BodyError.
    """
    try:
        text = body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except UnicodeDecodeError:
        raise BodyError("the form is not UTF-8") from None
    except ValueError as error:
        raise BodyError(f"not a form: {error}") from None
    return dict(pairs)


class _Reader:
    """One parse: counts keys while the C scanner works and notes duplicates."""

    def __init__(self) -> None:
        self.keys = 0
        self.duplicates = False

    def read(self, text: str) -> Json:
        value: Json = json.loads(
            text,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=self._object,
        )
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.keys += len(pairs)
        if self.keys > MAX_KEYS:
            raise BodyError(f"the JSON holds more than {MAX_KEYS} keys")
        made = dict(pairs)
        self.duplicates = self.duplicates or len(made) != len(pairs)
        return made


def _decode(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BodyError("the JSON is not UTF-8") from None


def _integer(digits: str) -> int | str:
    # Python refuses very long digit strings, other languages lose precision: text keeps them whole.
    if len(digits) > 20:
        return digits
    value = int(digits)
    return value if -_INT64 <= value < _INT64 else digits


def _number(digits: str) -> float | str:
    value = float(digits)
    return value if abs(value) != float("inf") else digits


def _refuse_constant(name: str) -> Json:
    raise BodyError(f"{name} is not JSON")


def _check_depth(value: Json) -> None:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, list | dict)]
        if not level:
            return
    raise BodyError(f"the JSON nests deeper than {MAX_DEPTH} levels")


def _children(value: Json) -> Iterator[Json]:
    if isinstance(value, dict):
        return iter(value.values())
    return iter(value) if isinstance(value, list) else iter(())


def _without_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", key): _without_surrogates(item) for key, item in value.items()}
    return value
