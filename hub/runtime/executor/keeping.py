"""Keeping what a task or a flow gave: as bytes, in its row or in a result store."""

from __future__ import annotations

from typing import Any

from hub.runtime.executor import results
from hub.runtime.executor.results import Stored
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Life
from hub.sdk.options import Options
from hub.types import Id


def keep(session: Session, options: Options, value: Any, hint: Any, *, part: str, task_run_id: Id | None) -> Life:
    """Gives what the row says of a result. Raises UnavailableError when it cannot be kept where it should be."""
    if not options.persist or session.root.store is None:
        return results.UNKEPT
    store = options.result_store or session.result_store
    if value is None:
        return results.NOTHING
    stored = results.encode(value, hint, options.result_serializer or session.result_serializer)
    if not stored.kept:
        session.log(task_run_id, 20, "hub", _UNKEPT.format(type(value).__qualname__))
        return stored
    assert stored.data is not None
    if store is None and len(stored.data) <= results.INLINE_BYTES:
        return stored
    return (yield from _put(session, stored, store, part))


def _put(session: Session, stored: Stored, store: str | None, part: str) -> Life:
    places = session.root.places
    name, run_id = store or places.default, session.info.run_id
    return (yield Blocking(lambda: places.put(stored, name, run_id, part)))


_UNKEPT = (
    "the result ({}) is not JSON and lives in memory only: a new attempt of the run would run this task again. "
    "A return type hint that pydantic knows, or persist=False, ends this line."
)
