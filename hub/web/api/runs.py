"""Runs over the API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from hub.errorclasses import ErrorClass
from hub.errors import ConflictError, NotFoundError
from hub.runtime import compensations
from hub.runtime.commands import Command, apply
from hub.runtime.why import why
from hub.states import StateType
from hub.store import catalog, kept, run_details, runs
from hub.types import ID_PATTERN
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "runs:read", "runs:write"
MaybeId = Annotated[str | None, Field(default=None, pattern=ID_PATTERN)]


class RunQuery(PageQuery):
    """Which runs. `state` may be given several times; `deployment` is a name or an id."""

    state: list[StateType] = Field(default_factory=list, max_length=9)
    deployment: str | None = Field(default=None, min_length=1, max_length=100, pattern=NO_NUL)
    flow: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)
    name: str | None = Field(default=None, min_length=1, max_length=400, pattern=NO_NUL)
    parent_run_id: MaybeId = None


class LogQuery(PageQuery):
    """Which lines: later than the line with the id `after`, at least of `level` (10 debug to 50 critical)."""

    after: int | None = Field(default=None, ge=0, le=2**62)
    level: int = Field(default=0, ge=0, le=100)
    task_run_id: MaybeId = None


class WhyIn(In):
    """A sentence for the run's history."""

    message: str = Field(default="", max_length=500, pattern=NO_NUL)


class CancelIn(WhyIn):
    """`alone`: runs that it has started, and that execute elsewhere, go on."""

    alone: bool = False


class RestartIn(In):
    """From where a run is done again.

    `from_task`: a task run's id or name, or a task's name: it and what began after it. `fresh`: everything. Neither:
    what has not completed.
    """

    from_task: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)
    fresh: bool = False


class Reason(Out):
    """Why a run is where it is. `rule` is stable; `holder` is who has what it waits for."""

    rule: str
    sentence: str
    holder: str
    expected_at: Moment | None
    hint: str


class RunListed(Out):
    """A run in a list."""

    id: str
    name: str
    flow_name: str
    deployment_id: str | None
    deployment_name: str | None
    entrypoint: str | None
    parent_run_id: str | None
    restart_of: str | None
    restart_from: str | None
    home: str
    queue: str
    origin: str
    origin_id: str | None
    created_by: str
    tags: list[str]
    state_type: StateType
    state_name: str
    state_message: str
    version: int
    attempt: int
    retries_used: int
    crashes: int
    created_at: Moment
    due_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    updated_at: Moment
    error_type: str | None
    error_class: ErrorClass | None
    error_message: str | None


class RunOut(RunListed):
    """A run with its parameters and its error's traceback. `result_format` null: no result is kept."""

    parameters: dict[str, Any]
    parent_task_run_id: str | None
    idempotency_key: str | None
    retry_policy: dict[str, Any]
    crash_retries: int
    timeout_s: float | None
    error_trace: str | None
    result_format: str | None


class TaskResult(Out):
    """Where the result of a task run is. `store` null: in its row."""

    store: str | None
    key: str | None
    bytes: int
    sha256: str | None
    serializer: str


class TaskOut(Out):
    """A task run. `result` null: none is kept; `upstream` are the task runs that it was made from."""

    id: str
    run_id: str
    task_name: str
    name: str
    parent_task_run_id: str | None
    upstream: list[str]
    state_type: StateType
    state_name: str
    state_message: str
    run_attempt: int
    attempt: int
    retries_used: int
    created_at: Moment
    due_at: Moment | None
    started_at: Moment | None
    ended_at: Moment | None
    error_type: str | None
    error_class: ErrorClass | None
    error_message: str | None
    error_trace: str | None
    result_format: str | None
    result: TaskResult | None


class StateOut(Out):
    """A state that a run was in, and who brought it there."""

    type: StateType
    name: str
    message: str
    attempt: int
    at: Moment
    actor: str
    task_run_id: str | None


class LogOut(Out):
    """A line that a run wrote; `level` as in Python's logging."""

    id: int
    at: Moment
    level: int
    logger: str
    message: str
    attempt: int
    task_run_id: str | None


class CompensationOut(Out):
    """A step of a transaction with hooks that undo it.

    `state`: staged (undone unless its transaction commits), committed, rolling_back, done (it is undone), failed.
    """

    id: str
    run_id: str
    owner_run_id: str
    task_run_id: str | None
    task_name: str
    name: str
    path: str
    state: str
    tries: int
    error: str | None
    created_at: Moment
    ended_at: Moment | None


class CompensationsOut(Out):
    """What of a run is or was to be undone, oldest first; the run that does it, if one does; a sentence about both."""

    items: list[CompensationOut]
    rollback_run_id: str | None
    summary: str


class RunState(Out):
    """A run's state after what was asked."""

    id: str
    state_type: StateType
    state_name: str


class ControlledOut(Out):
    """What flow control made of a request: `decision` is delayed, merged, dropped or cancelled (an older run)."""

    control: str
    decision: str
    reason: str


class RunMade(Out):
    """A new run; `created` false: the same key had made it before, or the request is part of it.

    A request that was dropped is a run that is cancelled already, or the one that its key had made.
    """

    id: str
    name: str
    created: bool
    flow_control: ControlledOut | None = None


@api.op("GET", "/api/v1/runs", query=RunQuery, out=Page[RunListed], scope=READ, errors=[NotFoundError])
def list_runs(call: Call[NoBody, RunQuery]) -> Page[RunListed]:
    """List runs, newest first."""
    query = call.query
    with call.store.read() as tx:
        deployment_id = None
        if query.deployment is not None:
            deployment_id = catalog.deployment(tx, call.scope, query.deployment)["id"]
        found = run_details.listing(
            tx,
            call.scope,
            states=query.state,
            deployment_id=deployment_id,
            flow_name=query.flow,
            name=query.name,
            parent_run_id=query.parent_run_id,
            limit=query.limit,
            cursor=query.cursor,
        )
    return Page[RunListed].of(found)


@api.op("GET", "/api/v1/runs/{run_id}", out=RunOut, scope=READ, errors=[NotFoundError])
def get_run(call: Call[NoBody, NoQuery]) -> RunOut:
    """Show a run."""
    return RunOut.model_validate(_run(call))


@api.op("GET", "/api/v1/runs/{run_id}/tasks", query=PageQuery, out=Page[TaskOut], scope=READ, errors=[NotFoundError])
def list_run_tasks(call: Call[NoBody, PageQuery]) -> Page[TaskOut]:
    """List the task runs of a run, in the order they were made."""
    run = _run(call)
    with call.store.read() as tx:
        found = run_details.tasks(tx, call.scope, run["id"], limit=call.query.limit, cursor=call.query.cursor)
    items = [{**row, "result": _kept(row)} for row in found.items]
    return Page[TaskOut].model_validate({"items": items, "next_cursor": found.next_cursor})


@api.op(
    "GET", "/api/v1/runs/{run_id}/compensations", out=CompensationsOut, scope=READ, errors=[NotFoundError]
)  # fmt: skip
def list_run_compensations(call: Call[NoBody, NoQuery]) -> CompensationsOut:
    """List the steps of a run's transactions that have hooks to undo them, and what became of each."""
    run = _run(call)
    with call.store.read() as tx:
        found = compensations.of_run(tx, call.scope, run["id"])
    return CompensationsOut.model_validate(asdict(found))


@api.op("GET", "/api/v1/runs/{run_id}/states", out=list[StateOut], scope=READ, errors=[NotFoundError])
def list_run_states(call: Call[NoBody, NoQuery]) -> list[StateOut]:
    """List every state a run was in, oldest first."""
    run = _run(call)
    with call.store.read() as tx:
        found = runs.history(tx, call.scope, run["id"])
    return [StateOut.model_validate(row) for row in found]


@api.op("GET", "/api/v1/runs/{run_id}/logs", query=LogQuery, out=Page[LogOut], scope=READ, errors=[NotFoundError])
def list_run_logs(call: Call[NoBody, LogQuery]) -> Page[LogOut]:
    """List what a run wrote, oldest line first."""
    run, query = _run(call), call.query
    with call.store.read() as tx:
        found = run_details.logs(
            tx,
            call.scope,
            run["id"],
            after=query.after,
            level=query.level,
            task_run_id=query.task_run_id,
            limit=query.limit,
            cursor=query.cursor,
        )
    return Page[LogOut].of(found)


@api.op("GET", "/api/v1/runs/{run_id}/why", out=Reason, scope=READ, errors=[NotFoundError])
def why_run(call: Call[NoBody, NoQuery]) -> Reason:
    """Say why a run is where it is: the rule, the holder, and when it is expected to go on."""
    return Reason.model_validate(asdict(why(call.store, call.services.settings, call.scope, call.path["run_id"])))


@api.op(
    "POST",
    "/api/v1/runs/{run_id}/cancel",
    body=CancelIn,
    out=RunState,
    scope=WRITE,
    errors=[NotFoundError, ConflictError],
)
def cancel_run(call: Call[CancelIn, NoQuery]) -> RunState:
    """Cancel a run.

    At once when nothing of it executes; else what executes it is told, and the state is CANCELLING until it has ended.
    What it has started is cancelled with it. A nested run is cancelled without its caller, which may go on.
    """
    return _signal(call, "run.cancel")


@api.op(
    "POST", "/api/v1/runs/{run_id}/pause", body=WhyIn, out=RunState, scope=WRITE, errors=[NotFoundError, ConflictError]
)
def pause_run(call: Call[WhyIn, NoQuery]) -> RunState:
    """Hold a run that has not started."""
    return _signal(call, "run.pause")


@api.op(
    "POST", "/api/v1/runs/{run_id}/resume", body=WhyIn, out=RunState, scope=WRITE, errors=[NotFoundError, ConflictError]
)
def resume_run(call: Call[WhyIn, NoQuery]) -> RunState:
    """Let a paused run go on, and one whose code waits for somebody to resume it."""
    return _signal(call, "run.resume")


@api.op(
    "POST", "/api/v1/runs/{run_id}/restart", body=RestartIn, out=RunMade, status=201, scope=WRITE,
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def restart_run(call: Call[RestartIn, NoQuery]) -> RunMade:
    """Start a run again, as a new run with the same parameters; a final state itself never changes."""
    command = Command("run.restart", call.scope, call.path["run_id"], call.body.model_dump(), id=call.command_id)
    return RunMade.model_validate(apply(call.store, command).result)


def _kept(row: dict[str, Any]) -> dict[str, Any] | None:
    found = kept.reference(row["reference"], row["result_format"])
    if found is not None:
        return {**asdict(found), "bytes": found.size}
    if row["size"] is None:
        return None
    return {"store": None, "key": None, "bytes": row["size"], "sha256": None, "serializer": row["result_format"]}


def _signal(call: Call[Any, NoQuery], op: str) -> RunState:
    args = call.body.model_dump()
    outcome = apply(call.store, Command(op, call.scope, call.path["run_id"], args, id=call.command_id))
    return RunState.model_validate(outcome.result)


def _run(call: Call[Any, Any]) -> dict[str, Any]:
    with call.store.read() as tx:
        found = runs.row(tx, call.scope, call.path["run_id"])
    if found is None:
        hint = "`hub runs ls` lists them."
        raise NotFoundError(f"there is no run {call.path['run_id']} in this workspace", hint=hint)
    return dict(found)
