"""Artifacts where their code runs: checked, made small enough for a row, written with the run's other facts."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import INLINE_BYTES, PLAIN, Stored
from hub.runtime.executor.root import Root
from hub.runtime.executor.session import Session
from hub.runtime.executor.texts import clean
from hub.runtime.journal import Fact
from hub.sdk.context import RunContext
from hub.states import StateType as S
from hub.store import artifacts, runs
from hub.store.base import Store
from hub.types import Id, Scope, derived_id, new_id

KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MAX_KEY = 100
MAX_BYTES = 16 * 1024 * 1024
MAX_DESCRIPTION = 20_000
MAX_COLUMNS = 500
MAX_URL = 4_000
_ATOMS = (str, bool, int, type(None))


@dataclass(frozen=True, slots=True)
class Made:
    """A checked artifact: its content as JSON."""

    kind: str
    key: str | None
    description: str | None
    data: bytes


def create(context: RunContext, kind: str, content: Any, key: str | None, description: str | None) -> Id:
    """Leave an artifact of a run: written with its facts, once for each call of each step."""
    made = checked(kind, content, key, description)
    session: Session = context.session
    root, flow = session.root, context.flow
    artifact_id = derived_id(flow.run_id, "artifact", context.step, kind, key or "", str(_ordinal(context, kind, key)))
    if root.store is None:
        return artifact_id
    owner = {
        "run_id": flow.run_id, "task_run_id": context.task_run_id, "flow_name": flow.flow_name,
        "task_name": context.task_name,
    }  # fmt: skip
    row = _row(artifact_id, made, root.places, root.scope, owner)
    root.artifacts.add(artifact_id)
    session.journal.put(Fact(also=lambda tx: artifacts.put(tx, root.scope, row)))
    return artifact_id


@dataclass(slots=True)
class Owner:
    """For a process that makes a call of a task beside its run: whose artifacts it leaves."""

    scope: Scope
    run_id: Id
    attempt: int
    step: str
    task_run_id: Id | None
    flow_name: str
    task_name: str | None
    made: dict[str, Any] | None = None


beside: ContextVar[Owner | None] = ContextVar("hub_artifacts_beside", default=None)
"""Set in such a process while it makes the call."""


def owner_of(context: RunContext) -> Owner | None:
    """Who a process beside the run shall write for; None where nothing is kept."""
    root: Root = context.session.root
    if root.store is None:
        return None
    flow = context.flow
    return Owner(
        root.scope, flow.run_id, flow.attempt, context.step, context.task_run_id, flow.flow_name, context.task_name
    )


def create_beside(store: Store, places: Places, made: Made, owner: Owner) -> Id:
    """Leave an artifact of a run from a process beside it; nothing of an attempt that was given up."""
    number = str(_ordinal(owner, made.kind, made.key))
    artifact_id = derived_id(owner.run_id, "artifact", owner.step, made.kind, made.key or "", number)
    whose = {name: getattr(owner, name) for name in ("run_id", "task_run_id", "flow_name", "task_name")}
    row = _row(artifact_id, made, places, owner.scope, whose)
    with store.write(durable=False) as tx:
        run = runs.get(tx, owner.scope, owner.run_id)
        if run is None or run.attempt != owner.attempt or run.state.type not in (S.RUNNING, S.CANCELLING):
            raise ConflictError(f"attempt {owner.attempt} of run {owner.run_id} was given up")
        artifacts.put(tx, owner.scope, row)
    return artifact_id


def create_outside(store: Store, scope: Scope, places: Places, made: Made) -> Id:
    """Leave an artifact that belongs to no run."""
    artifact_id = new_id()
    owner = dict.fromkeys(("run_id", "task_run_id", "flow_name", "task_name"))
    row = _row(artifact_id, made, places, scope, owner)
    with store.write() as tx:
        artifacts.put(tx, scope, row)
    return artifact_id


def move(
    context: RunContext | None, store: Store | None, scope: Scope, artifact_id: Id, progress: float,
    description: str | None,
) -> Id:  # fmt: skip
    """Move a progress bar. Raises NotFoundError for what is none."""
    made = checked("progress", progress, None, description)
    if store is None:
        return artifact_id
    values = _content(made) | ({} if description is None else {"description": made.description})
    done = float(progress) >= 100
    root: Root | None = context.session.root if context is not None else None
    if root is None or artifact_id not in root.artifacts:
        with store.read() as tx:
            found = artifacts.find(tx, scope, artifact_id)
        if found is None or found["kind"] != "progress":
            raise NotFoundError(
                f"there is no progress artifact {artifact_id!r}", hint="create_progress_artifact gives its id."
            )
    if context is not None:
        context.session.journal.put(
            Fact(also=lambda tx: artifacts.progress(tx, scope, artifact_id, values, done=done))
        )  # fmt: skip
    else:
        with store.write() as tx:
            artifacts.progress(tx, scope, artifact_id, values, done=done)
    return artifact_id


def checked(kind: str, content: Any, key: str | None, description: str | None) -> Made:
    """What an author gave, as JSON. Raises UsageError."""
    if key is not None and (not isinstance(key, str) or len(key) > MAX_KEY or KEY.fullmatch(key) is None):
        raise UsageError(
            f"key={key!r} is not a key of an artifact", hint="Write small letters, digits and dashes: 'daily-report'."
        )
    if description is not None and not isinstance(description, str):
        raise UsageError(f"the description of an artifact is a text, not {type(description).__name__}")
    if description is not None and len(description) > MAX_DESCRIPTION:
        raise UsageError(f"the description has {len(description)} characters, more than {MAX_DESCRIPTION}")
    data = json.dumps(_CHECKS[kind](content), separators=(",", ":"), allow_nan=False).encode()
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"the {kind} artifact has {len(data)} bytes, more than {MAX_BYTES}",
            hint="Return it from a task instead, and leave a part or a link as an artifact.",
        )
    told = None if description is None else clean(description, MAX_DESCRIPTION)
    return Made(kind, key, told, data)


# --- what each kind may hold -----------------------------------------------------------------------------------------


def _table(given: Any) -> dict[str, Any]:
    """Columns and rows, whatever form they had."""
    if isinstance(given, Mapping):
        columns = [str(name) for name in given]
        lists = [list(_listed(values, "a column")) for values in given.values()]
        if len({len(values) for values in lists}) > 1:
            raise UsageError("the columns of a table differ in length")
        rows: list[list[Any]] = [list(row) for row in zip(*lists, strict=True)]
    else:
        found = list(_listed(given, "a table"))
        if found and all(isinstance(row, Mapping) for row in found):
            names = dict.fromkeys(name for row in found for name in row)
            columns = [str(name) for name in names]
            rows = [[row.get(name) for name in names] for row in found]
        else:
            rows = [list(_listed(row, "a row of a table")) for row in found]
            columns = []
    wide = max([len(columns), *map(len, rows)], default=0)
    if wide > MAX_COLUMNS:
        raise UsageError(f"the table has {wide} columns, more than {MAX_COLUMNS}")
    return {"columns": columns, "rows": [[_cell(value) for value in row] for row in rows]}


def _listed(given: Any, what: str) -> Sequence[Any]:
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise UsageError(
            f"{what} cannot be a {type(given).__name__}",
            hint="Give a list of dictionaries, a dictionary of lists, or a list of lists.",
        )
    return given


def _cell(value: Any) -> Any:
    if type(value) in _ATOMS:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return clean(str(value))


def _markdown(given: Any) -> str:
    if not isinstance(given, str):
        raise UsageError(f"markdown is a text, not {type(given).__name__}")
    return given


def _link(given: Mapping[str, Any]) -> dict[str, Any]:
    told = given["text"]
    if told is not None and (not isinstance(told, str) or len(told) > 1000):
        raise UsageError("link_text is not a text of up to 1000 characters")
    return {"url": _url(given["url"]), "text": told}


def _image(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"url": _url(given["url"])}


def _url(given: Any) -> str:
    refused = UsageError(f"{str(given)[:200]!r} is not an address", hint="Give a whole one: https://example.org/a.")
    if not isinstance(given, str) or len(given) > MAX_URL or not given.isprintable() or " " in given:
        raise refused
    try:
        parts = urlsplit(given)
    except ValueError:
        raise refused from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refused
    return given


def _progress(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 100:
        raise UsageError(f"progress={given!r} is not a number from 0 to 100")
    return float(given)


_CHECKS = {"table": _table, "markdown": _markdown, "link": _link, "image": _image, "progress": _progress}


# --- pieces ----------------------------------------------------------------------------------------------------------


def _row(artifact_id: Id, made: Made, places: Places, scope: Scope, owner: Mapping[str, Any]) -> dict[str, Any]:
    values = _content(made)
    if len(made.data) > INLINE_BYTES:
        stored = Stored(made.data, PLAIN)
        stored = places.put(stored, places.default, owner["run_id"] or "none", f"artifact-{artifact_id}")
        values |= {"content": stored.data, "content_format": stored.format}
    return {
        "id": artifact_id, "key": made.key, "kind": made.kind, "description": made.description, **values, **owner,
        "created_by": str(scope.actor),
    }  # fmt: skip


def _content(made: Made) -> dict[str, Any]:
    digest = hashlib.sha256(made.data).hexdigest()
    return {"content": made.data, "content_format": PLAIN, "digest": digest, "size": len(made.data)}


def _ordinal(context: RunContext | Owner, kind: str, key: str | None) -> int:
    """Which of equal artifacts of this step it is: the same when the step is replayed."""
    if context.made is None:
        context.made = {}
    # One call of C each: threads of one step draw different numbers.
    counter = context.made.setdefault(f"{kind}:{key}", count())
    return int(next(counter))
