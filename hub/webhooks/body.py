"""What a body says: JSON and forms from strangers, parsed under limits that no sender can argue with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from hub.errors import UsageError
from hub.types import Json

MAX_DEPTH = 64
MAX_KEYS = 10_000
MAX_FIELDS = 1_000
_INT64 = 2**63
_DIGITS = bytes(48 if chr(byte) in "0123456789" else 32 for byte in range(256))
_MANY_DIGITS = b"0" * 18
"""What a number beyond 64 bits looks like when every digit is made a 0: much quicker to find than by pattern."""
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class BodyError(UsageError):
    """A body is not what its preset expects, or is over a limit; the message says which."""

    code = "invalid-body"


def parse_json(body: bytes) -> Json:
    """Parse UTF-8 JSON. Integers beyond 64 bits and numbers beyond a double stay text.

    NaN and Infinity are refused. At most 64 levels and 10,000 keys. Lone surrogates become U+FFFD; of a key that is
    written twice the last value counts. Raises BodyError.
    """
    text = _decode(body)
    reader = _EXACT if _MANY_DIGITS in body.translate(_DIGITS) else _PLAIN
    try:
        value: Json = _read(reader, text)
    except RecursionError:
        raise BodyError(f"the JSON nests deeper than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise BodyError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    # Cheap counts of bytes first: hardly any body needs to be walked.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH or (len(body) > MAX_KEYS and body.count(b":") > MAX_KEYS):
        _check_size(value)
    # A single byte is looked for ten times as fast as two.
    if b"\\" in body and _SURROGATE_ESCAPE.search(body):
        value = _without_surrogates(value)
    return value


def _read(reader: json.JSONDecoder, text: str) -> Any:
    """As `reader.decode`, whose looks for white space before and after take as long as the rest of a small body."""
    try:
        value, end = reader.scan_once(text, 0)  # type: ignore[attr-defined]  # unknown to typeshed
    except StopIteration:
        return reader.decode(text)
    return value if end == len(text) else reader.decode(text)


def has_duplicate_keys(body: bytes) -> bool:
    """Whether some object of a JSON body names a key twice. Raises BodyError."""
    found = False

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        made = dict(pairs)
        found = found or len(made) != len(pairs)
        return made

    parse_json(body)
    json.loads(_decode(body), object_pairs_hook=note, parse_int=str)
    return found


def parse_form(body: bytes) -> dict[str, str]:
    """Parse an URL-encoded form of at most 1,000 fields; of a field named twice the last value counts.

    Raises BodyError.
    """
    return dict(parse_pairs(body))


def parse_pairs(body: bytes) -> list[tuple[str, str]]:
    """Parse an URL-encoded form like `parse_form`, into all of its fields in their order. Raises BodyError."""
    try:
        text = body.decode("utf-8")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except UnicodeDecodeError:
        raise BodyError("the form is not UTF-8") from None
    except ValueError as error:
        raise BodyError(f"not a form: {error}") from None


def _decode(body: bytes) -> str:
    try:
        return body.decode().removeprefix("\ufeff")
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


_PLAIN = json.JSONDecoder(parse_float=_number, parse_constant=_refuse_constant)
_EXACT = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_refuse_constant)
"""For bodies with digits in such a row that they may not fit 64 bits."""


def _check_size(value: Json) -> None:
    level: list[Json] = [value]
    keys = 0
    for _ in range(MAX_DEPTH):
        keys += sum(len(item) for item in level if isinstance(item, dict))
        if keys > MAX_KEYS:
            raise BodyError(f"the JSON holds more than {MAX_KEYS} keys")
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
