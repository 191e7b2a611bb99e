"""Results as bytes: what a new attempt reads instead of running a task again.

JSON where a value comes back as it was; JSON with tags for tuples, sets, bytes, times and the like; by the return
type hint for models and dataclasses. Anything else lives in memory only. Over 64 KiB they go to files.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from hub.errors import UsageError
from hub.runtime.executor import serializers
from hub.sdk.artifacts import ArtifactId

_dumps = json.JSONEncoder(separators=(",", ":")).encode
_SMALL = 1 << 62
INLINE_BYTES = 64 * 1024
MAX_BYTES = 512 * 1024 * 1024
PLAIN, TAGGED, TYPED, IN_MEMORY, NOT_KEPT = "json", "json+tags", "json+type", "memory", "none"


@dataclass(frozen=True, slots=True)
class Stored:
    """A result as a row keeps it: bytes and their format; with `<store>:` before it, the bytes say where they are."""

    data: bytes | None
    format: str

    @property
    def kept(self) -> bool:
        """Whether a later attempt can read it."""
        return self.data is not None


NOTHING = Stored(b"null", PLAIN)
MEMORY = Stored(None, IN_MEMORY)
UNKEPT = Stored(None, NOT_KEPT)


class Unreadable(Exception):
    """A result that was kept cannot be read here; its task must run again."""


def encode(value: Any, hint: Any = None, serializer: str | None = None) -> Stored:
    """A value as bytes; MEMORY when it would not come back as it was. `hint` is the return type, if known.

    A `serializer` that is named must carry the value: raises UsageError when it cannot.
    """
    if serializer is None:
        return _as_json(value, hint)
    with serializers.told(serializer, value):
        stored = _written(value, hint, serializer)
        if not stored.kept:
            raise UsageError(_CHANGED)
    return stored


_CHANGED = (
    "it would not come back as it was; a return type hint that pydantic knows may carry it, "
    'and result_serializer="pickle" carries nearly everything'
)


def _written(value: Any, hint: Any, name: str) -> Stored:
    if name.startswith(serializers.COMPRESSED):
        inner = _written(value, hint, name.removeprefix(serializers.COMPRESSED))
        if inner.data is None:
            return inner
        return Stored(serializers.compress(inner.data), serializers.GZIP + inner.format)
    if name == serializers.JSON:
        return _as_json(value, hint)
    data = serializers.named(name).dump(value)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{len(data)} bytes are more than {MAX_BYTES}")
    return Stored(data, name)


def _as_json(value: Any, hint: Any) -> Stored:
    if value is None:
        return NOTHING
    if type(value) is int and -_SMALL < value < _SMALL:
        return Stored(b"%d" % value, PLAIN)
    try:
        if _plain(value):
            return _bounded(_dumps(value), PLAIN)
        return _bounded(_dumps(_tagged(value)), TAGGED)
    except (_NotTagged, RecursionError):
        pass
    return _typed(value, hint) if hint not in (None, Any) else MEMORY


def decode(stored: Stored, hint: Any = None, serializer: str | None = None) -> Any:
    """The value again. `serializer` is the one that the reader's options name. Raises Unreadable."""
    if stored.data is None:
        raise Unreadable("it was not kept")
    try:
        if stored.format.startswith(serializers.GZIP):
            inner = Stored(serializers.decompress(stored.data, MAX_BYTES), stored.format.removeprefix(serializers.GZIP))
            return decode(inner, hint, serializer)
        if stored.format == PLAIN:
            return json.loads(stored.data)
        if stored.format == TAGGED:
            return _untagged(json.loads(stored.data))
        if stored.format == TYPED:
            return TypeAdapter(hint).validate_json(stored.data)
        known = serializers.named(stored.format)
        if known.runs_code and serializers.innermost(serializer or "") != known.name:
            raise Unreadable(f"reading {known.name} may run code, and the task's options do not name it")
        return known.load(stored.data)
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001 - the code may have changed since; then the task runs again
        raise Unreadable(f"{stored.format}: {type(error).__name__}") from None


def _bounded(text: str, format_: str) -> Stored:
    return Stored(text.encode(), format_) if len(text) <= MAX_BYTES else MEMORY


def _typed(value: Any, hint: Any) -> Stored:
    try:
        adapter = TypeAdapter(hint)
        data = adapter.dump_json(value, warnings="error", by_alias=True)
        same = type(adapter.validate_json(data)) is type(value)
    except Exception:  # noqa: BLE001 - a type pydantic cannot carry stays in memory
        return MEMORY
    return Stored(data, TYPED) if same and len(data) <= MAX_BYTES else MEMORY


# --- what JSON gives back as it was ------------------------------------------------------------------------------

_ATOMS = frozenset({type(None), bool, int, str})


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is float:
        return math.isfinite(value)
    if kind is list:
        return all(map(_plain, value))
    if kind is dict:
        return all(type(key) is str and key[:1] != "$" for key in value) and all(map(_plain, value.values()))
    return False


class _NotTagged(Exception):
    pass


def _tagged(value: Any) -> Any:
    kind = type(value)
    if kind in _ATOMS or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [_tagged(item) for item in value]
    if kind is dict:
        if all(type(key) is str and key[:1] != "$" for key in value):
            return {key: _tagged(item) for key, item in value.items()}
        return {"$dict": [[_tagged(key), _tagged(item)] for key, item in value.items()]}
    for tag, (tagged_kind, write, _) in _TAGS.items():
        if kind is tagged_kind:
            return {tag: write(value)}
    if kind is ArtifactId:
        return str(value)
    if isinstance(value, PurePath):
        return {"$path": str(value)}
    raise _NotTagged


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    tag = next(iter(value), "")
    if tag[:1] != "$":
        return {key: _untagged(item) for key, item in value.items()}
    if tag == "$dict":
        return {_untagged(key): _untagged(item) for key, item in value[tag]}
    if tag == "$path":
        return Path(value[tag])
    return _TAGS[tag][2](value[tag])


def _items(value: Any) -> list[Any]:
    return [_tagged(item) for item in value]


_TAGS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "$tuple": (tuple, _items, lambda data: tuple(map(_untagged, data))),
    "$set": (set, _items, lambda data: set(map(_untagged, data))),
    "$frozenset": (frozenset, _items, lambda data: frozenset(map(_untagged, data))),
    "$bytes": (bytes, lambda value: base64.b64encode(value).decode(), base64.b64decode),
    "$float": (float, repr, float),
    "$complex": (complex, repr, complex),
    "$datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "$date": (date, date.isoformat, date.fromisoformat),
    "$time": (time, time.isoformat, time.fromisoformat),
    "$seconds": (
        timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda data: timedelta(*data),
    ),
    "$decimal": (Decimal, str, Decimal),
    "$uuid": (UUID, str, UUID),
}
