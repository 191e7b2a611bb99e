"""Values that replay: made once for a place in the code, kept in the journal as a step, the same in every attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

from hub.engine.retry import NEVER
from hub.engine.run import Complete
from hub.runtime.executor import results
from hub.runtime.executor.digests import step_key
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Commit, Life, drive
from hub.runtime.executor.taskrecord import TaskRecord
from hub.sdk.context import RunContext, current
from hub.types import SECOND, new_id, now_us

T = TypeVar("T")
_TAKEN_OVER = "taken over from the run that this one repeats"


# --- what the SDK's door offers -------------------------------------------------------------------------------------


def now() -> datetime:
    """The time, in UTC; in a run that of its first coming here."""
    return _value("now", lambda: datetime.fromtimestamp(now_us() / SECOND, UTC))


def uuid() -> UUID:
    """A random UUID; in a run that of its first coming here."""
    return _value("uuid", uuid4)


def _value(name: str, make: Callable[[], T]) -> T:
    context = current.get()
    if context is None or not replays(context):
        return make()
    found: T = drive(once(context, step_of(context, name), name, make))
    return found


def replays(context: RunContext) -> bool:
    """Whether its code is that of a flow or a task, which later attempts come to again; that of a hook is not."""
    return context.task_run_id is not None or context is context.session.body


# --- lives ----------------------------------------------------------------------------------------------------------


def step_of(context: RunContext, name: str, key: str | None = None) -> str:
    """The journal key of this place in the code. It counts anew in each try of a task, so all tries have the same."""
    digest = _digest(context, name, key)
    return f"{digest}:{context.count(digest)}"


def step_to_come(context: RunContext, name: str, key: str | None = None) -> str:
    """What `step_of` will give next for the same place."""
    digest = _digest(context, name, key)
    return f"{digest}:{context.to_come(digest)}"


def _digest(context: RunContext, name: str, key: str | None) -> str:
    return step_key(context.step, f"hub:{name}", () if key is None else (key,), {})


def once(context: RunContext, key: str, name: str, make: Callable[[], Any], told: Callable[[Any], str] = str) -> Life:
    """The value of the step `key`, made if it is not known; `told` says it in a sentence for the step's row."""
    found = yield from known(context, key, name)
    if found:
        return found[0]
    value = make()
    yield from note(context, key, name, value, told(value))
    return value


def known(context: RunContext, key: str, name: str) -> Life:
    """The value of a step as a list of one, empty when it is not known."""
    session: Session = context.session
    session.branch.check()
    session.root.check_body(context)
    if key in session.values:
        return [session.values[key]]
    if key in session.earlier or key in session.restarted:
        recalled = yield Blocking(lambda: session.recall(key, None))
        if recalled is not None:
            if recalled.again:
                yield from note(context, key, name, recalled.value, _TAKEN_OVER)
            session.values[key] = recalled.value
            return [recalled.value]
    if session.root.recording is not None:
        session.root.recording.unknown(name, name)
    return []


def note(context: RunContext, key: str, name: str, value: Any, message: str) -> Life:
    """Keep the value of a step; it is committed when this returns."""
    session: Session = context.session
    before = session.earlier.get(key)
    record = TaskRecord(
        session, before.id if before is not None else new_id(), key, name, f"{name}-{session.names.take(name)}",
        context.task_run_id, NEVER, before, [],
    )  # fmt: skip
    record.stored = results.encode(value)
    record.started_at = record.created_at
    yield Commit(session.journal, record.signal(Complete(record.run.attempt, 0, "Completed", message)))
    session.values[key] = value
