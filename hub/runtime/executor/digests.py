"""Names for steps that are the same in every attempt: who called, what, with which inputs, for which time."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from pathlib import PurePath
from typing import Any
from uuid import UUID

from hub.sdk.annotations import AllowFailure, Quote
from hub.sdk.artifacts import ArtifactId
from hub.sdk.futures import Future

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})
_TEXTS = (date, datetime, time, timedelta, Decimal, UUID, PurePath)
_MAX_PARTS = 100_000


class _Unhashable(Exception):
    pass


def step_key(parent: str, task_key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Digest of the parent step, the task and its inputs; inputs that cannot be hashed count as equal."""
    try:
        inputs = _inputs(args, kwargs)
    except (_Unhashable, RecursionError):
        inputs = "?"
    whole = f"{parent}\x1f{task_key}\x1f{inputs}"
    return blake2b(whole.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    if not kwargs and _ATOMS.issuperset(map(type, args)):
        return repr(args)
    parts: list[str] = []
    _write(args, parts)
    for name in sorted(kwargs):
        parts.append(name)
        _write(kwargs[name], parts)
    return "\x1e".join(parts)


def _write(value: Any, parts: list[str]) -> None:
    if len(parts) > _MAX_PARTS:
        raise _Unhashable
    kind = type(value)
    if kind in _ATOMS or kind is ArtifactId:
        parts.append(repr(value))
    elif kind in (list, tuple):
        parts.append(f"{kind.__name__}{len(value)}")
        for item in value:
            _write(item, parts)
    elif kind is dict:
        parts.append(f"dict{len(value)}")
        for key, item in _sorted(value.items()):
            parts.append(key)
            _write(item, parts)
    elif kind in (set, frozenset):
        parts.append(f"set{len(value)}")
        parts.extend(key for key, _ in _sorted((item, None) for item in value))
    else:
        _write_object(value, parts)


def _sorted(items: Any) -> list[tuple[str, Any]]:
    keyed = []
    for key, item in items:
        inner: list[str] = []
        _write(key, inner)
        keyed.append(("\x1d".join(inner), item))
    return sorted(keyed, key=lambda pair: pair[0])


def _write_object(value: Any, parts: list[str]) -> None:
    name = f"{type(value).__qualname__}"
    if isinstance(value, Future):
        # Not its value, which is not known yet, but the step that makes it: the same in every attempt.
        parts.append(f"future:{value._step}")
    elif isinstance(value, Quote):
        # Left alone, as its author asked: calls that differ in it alone are told apart by their order.
        parts.append("quote")
    elif isinstance(value, AllowFailure):
        parts.append("allow")
        _write(value.value, parts)
    elif isinstance(value, Enum):
        parts.append(f"{name}.{value.name}")
    elif isinstance(value, _TEXTS):
        parts.append(f"{name}:{value!r}")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts.append(name)
        for field in dataclasses.fields(value):
            _write(getattr(value, field.name), parts)
    elif hasattr(type(value), "model_fields"):
        parts.append(name)
        for field_name in type(value).model_fields:
            _write(getattr(value, field_name), parts)
    elif isinstance(value, type) or callable(value):
        parts.append(f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', name)}")
    else:
        raise _Unhashable
