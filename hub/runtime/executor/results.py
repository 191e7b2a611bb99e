"""Results as bytes: what a new attempt reads instead of running a task again.

JSON where a value comes back as it was; JSON with tags for tuples, sets, bytes, times and the like; by the return
type hint for models and dataclasses. Anything else lives in memory only. Over 64 KiB they go to files.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from hub.errors import UnavailableError
from hub.types import Id, new_id

INLINE_BYTES = 64 * 1024
MAX_BYTES = 512 * 1024 * 1024
PLAIN, TAGGED, TYPED, IN_FILE, IN_MEMORY, NOT_KEPT = "json", "json+tags", "json+type", "file:", "memory", "none"


@dataclass(frozen=True, slots=True)
class Stored:
    """A result as a row keeps it: bytes and their format."""

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


def encode(value: Any, hint: Any = None) -> Stored:
    """A value as bytes; MEMORY when it would not come back as it was. `hint` is the return type, if known."""
    if value is None:
        return NOTHING
    try:
        if _plain(value):
            return _bounded(json.dumps(value, separators=(",", ":")), PLAIN)
        return _bounded(json.dumps(_tagged(value), separators=(",", ":")), TAGGED)
    except (_NotTagged, RecursionError):
        pass
    return _typed(value, hint) if hint not in (None, Any) else MEMORY


def decode(stored: Stored, hint: Any = None) -> Any:
    """The value again. Raises Unreadable."""
    if stored.data is None:
        raise Unreadable("it was not kept")
    try:
        if stored.format == PLAIN:
            return json.loads(stored.data)
        if stored.format == TAGGED:
            return _untagged(json.loads(stored.data))
        if stored.format == TYPED:
            return TypeAdapter(hint).validate_json(stored.data)
    except Exception as error:  # noqa: BLE001 - the code may have changed since; then the task runs again
        raise Unreadable(f"{type(error).__name__}") from None
    raise Unreadable(f"format {stored.format!r}")


def put(stored: Stored, folder: Path, run_id: Id, name: str) -> Stored:
    """Move a large result to `folder/run_id/name.json`, safely on the disk before its row says so."""
    if stored.data is None or len(stored.data) <= INLINE_BYTES:
        return stored
    place = f"{run_id}/{name}.json"
    try:
        _write_once(folder / place, stored.data)
    except OSError as error:
        raise UnavailableError(
            f"a result of {len(stored.data)} bytes cannot be written to {folder}: {error.strerror}",
            hint="Free some space, or choose another place with HUB_HOME.",
            code="results-unwritable",
        ) from None
    return Stored(place.encode(), IN_FILE + stored.format)


def get(stored: Stored, folder: Path) -> Stored:
    """The result with its bytes, read from its file when it is in one. Raises Unreadable."""
    if not stored.format.startswith(IN_FILE) or stored.data is None:
        return stored
    path = folder / stored.data.decode()
    if ".." in path.parts:
        raise Unreadable("its file has an odd name")
    try:
        return Stored(path.read_bytes(), stored.format.removeprefix(IN_FILE))
    except OSError as error:
        raise Unreadable(f"its file cannot be read: {error.strerror}") from None


def _write_once(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{new_id()}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: a result that stands is never replaced.
        os.link(part, path)
    except FileExistsError:
        return
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
