"""Keeping what a task or a flow gave: as bytes, in its row or in a result store."""

from __future__ import annotations

import typing
from typing import Any
from weakref import WeakKeyDictionary

from hub.runtime.executor import results
from hub.runtime.executor.results import Stored
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Life
from hub.sdk.functions import Wrapped
from hub.sdk.options import Options
from hub.types import Id

_NEEDS_NO_HINT = frozenset({int, str, bool})
"""JSON gives them back as they were, whatever their function says that it returns."""


def encoded(session: Session, options: Options, value: Any, made_by: Wrapped, task_run_id: Id | None) -> Stored:
    """A result as its row says it, should it fit there; see `in_store`."""
    if not options.persist or session.root.store is None:
        return results.UNKEPT
    if value is None:
        return results.NOTHING
    hint = None if type(value) in _NEEDS_NO_HINT else hint_of(made_by)
    stored = results.encode(value, hint, options.result_serializer or session.result_serializer)
    if stored.data is None:
        session.log(task_run_id, 20, "hub", _UNKEPT.format(type(value).__qualname__))
    return stored


def in_store(session: Session, options: Options, stored: Stored) -> bool:
    """Whether a result belongs into a result store: because it is large, or because its author says so."""
    data = stored.data
    if data is None or stored is results.NOTHING:
        return False
    return len(data) > results.INLINE_BYTES or (options.result_store or session.result_store) is not None


def keep(
    session: Session, options: Options, value: Any, made_by: Wrapped, *, part: str, task_run_id: Id | None
) -> Life:  # fmt: skip
    """Keep a result where it belongs; gives what its row says of it. Raises UnavailableError as `put` does."""
    stored = encoded(session, options, value, made_by, task_run_id)
    if in_store(session, options, stored):
        stored = yield from put(session, options, stored, part)
    return stored


def put(session: Session, options: Options, stored: Stored, part: str) -> Life:
    """Put a result there; gives what its row says then. Raises UnavailableError when it cannot be kept."""
    places = session.root.places
    name, run_id = options.result_store or session.result_store or places.default, session.info.run_id
    return (yield Blocking(lambda: places.put(stored, name, run_id, part)))


_UNKEPT = (
    "the result ({}) is not JSON and lives in memory only: a new attempt of the run would run this task again. "
    "A return type hint that pydantic knows, or persist=False, ends this line."
)


_hints: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_UNSEEN = object()


def hint_of(wrapped: Wrapped) -> Any:
    """The return type of a function, None when there is none to be had."""
    fn = wrapped.fn
    found = _hints.get(fn, _UNSEEN)
    if found is _UNSEEN:
        try:
            hint = typing.get_type_hints(fn, include_extras=True).get("return")
            # What is kept of a generator is the list of its items.
            found = list[typing.get_args(hint)[0]] if wrapped.generates else hint  # type: ignore[misc]
        except Exception:  # noqa: BLE001 - hints are any expression
            found = None
        _hints[fn] = found
    return found
