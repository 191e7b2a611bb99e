"""Operations on runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from hub.engine.run import Cancel, Complete, Pause, Reject, Resume, Signal
from hub.errors import ConflictError, ContentionError, NotFoundError, UsageError
from hub.runtime import actionruns, contributed, lanes, orchestrator, sagas, waits
from hub.runtime.admission import submit
from hub.runtime.commands import actions, answers
from hub.runtime.commands.apply import Command
from hub.runtime.commands.controls import Controlled
from hub.runtime.commands.registry import Op
from hub.runtime.naming import default_name
from hub.runtime.requests import Own, Request
from hub.states import TERMINAL, StateType
from hub.store import raw, runs, tasks, transactions
from hub.store import waits as points
from hub.store.base import Tx
from hub.store.tables import Deployment
from hub.types import Id, new_id

_DEPLOYMENTS = Deployment.__table__


class CreateRun(BaseModel):
    """Start a deployment. The same `idempotency_key` gives the same run; `due_at` in microseconds."""

    model_config = ConfigDict(extra="forbid")
    parameters: dict[str, Any] = Field(default_factory=dict)
    run_id: str | None = None
    name: str | None = Field(None, max_length=200)
    due_at: int | None = None
    idempotency_key: str | None = Field(None, max_length=200)
    tags: list[str] = Field(default_factory=list, max_length=50)
    origin: Literal["api", "cli", "ui", "schedule", "automation", "link", "restart"] = "api"
    origin_id: str | None = None
    restart_of: str | None = None
    restart_from: str | None = None
    caused_by: str | None = Field(None, max_length=36)  # the event that made an automation ask for it
    flow_control: Controlled | None = None


class Restart(BaseModel):
    """`from_task`: the task run (its id, its name, or its task's name) from which on everything is done again.

    Without it what completed is taken over; `fresh`: nothing is.
    """

    model_config = ConfigDict(extra="forbid")
    from_task: str | None = Field(None, min_length=1, max_length=200)
    fresh: bool = False


class Why(BaseModel):
    """A sentence that goes into the run's history."""

    model_config = ConfigDict(extra="forbid")
    message: str = Field("", max_length=500)


class CancelRun(Why):
    """`alone`: runs that it has started, and that execute elsewhere, go on."""

    alone: bool = False


class SetState(Why):
    """The state that a run is to have. All others say what becomes of its attempts, which can only happen."""

    state: Literal["SCHEDULED", "PAUSED", "CANCELLED", "COMPLETED", "FAILED"]


def create(tx: Tx, command: Command, args: CreateRun) -> dict[str, Any]:
    """Make a run of the deployment named by the target (its name or id); nothing is published here."""
    deployment = find_deployment(tx, command)
    known = _made_before(tx, command, args.idempotency_key)
    if known is not None:
        return known
    run_id = args.run_id or new_id()
    name = args.name or default_name(deployment["name"], run_id)
    args = _looked_at(command, args, deployment, run_id, name)
    parameters = {**deployment["parameters"], **args.parameters}
    row = {
        "id": run_id, "name": name, "flow_name": deployment["flow_name"], "deployment_id": deployment["id"],
        "deployment_name": deployment["name"], "entrypoint": deployment["entrypoint"], "queue": deployment["queue"],
        "parameters": parameters, "tags": sorted({*deployment["tags"], *args.tags}), "origin": args.origin,
        "origin_id": args.origin_id, "restart_of": args.restart_of, "restart_from": args.restart_from,
        "idempotency_key": args.idempotency_key,
        "retry_policy": deployment["retry_policy"], "timeout_s": deployment["timeout_s"],
        "lane": lanes.lane_for(deployment, parameters), "crash_retries": deployment["crash_retries"],
        "state_hooks": deployment["state_hooks"], "alerts": deployment["alerts"],
        "export": deployment["export"],
        "due_at": args.due_at if args.due_at is not None else tx.now,
    }  # fmt: skip
    request = Request(tx, command.scope, deployment, row, args.parameters, _own(args.flow_control), args.caused_by)
    made = submit(request, again=args.restart_of is not None)
    # Not created: it is part of another, or somebody with the same key was faster by a hair.
    lost = not made["created"] and made["id"] == run_id
    return (_made_before(tx, command, args.idempotency_key) if lost else None) or made


def _looked_at(command: Command, args: CreateRun, deployment: dict[str, Any], run_id: Id, name: str) -> CreateRun:
    """What is asked for, as the plugins have it. Raises RefusedError where one says no."""
    hooks = contributed.hooks()
    if not hooks.gates_runs:
        return args
    before = {**deployment["parameters"], **args.parameters}
    run = {
        "id": run_id, "name": name, "parameters": before, "tags": sorted({*deployment["tags"], *args.tags}),
        "origin": args.origin, "origin_id": args.origin_id, "actor": str(command.scope.actor), "due_at": args.due_at,
    }  # fmt: skip
    flow = {
        "name": deployment["flow_name"], "deployment": deployment["name"], "entrypoint": deployment["entrypoint"],
        "queue": deployment["queue"], "parameter_schema": deployment["parameter_schema"],
    }  # fmt: skip
    made = hooks.run_before(run, flow)
    if made is run:
        return args
    # What no plugin touched is not asked for either: there the deployment's defaults hold.
    changed = {key: value for key, value in made["parameters"].items() if key not in before or value != before[key]}
    return args.model_copy(update={"parameters": {**args.parameters, **changed}, "tags": made["tags"]})


def _own(asked: Controlled | None) -> Own:
    return Own() if asked is None else Own(asked.owner, asked.controls.stored(), asked.keys, asked.batched)


def _made_before(tx: Tx, command: Command, idempotency_key: str | None) -> dict[str, Any] | None:
    """The run that was made with this key; None without a key, too."""
    if not idempotency_key:
        return None
    query = select(runs.TABLE.c.id, runs.TABLE.c.name).where(
        runs.TABLE.c.workspace_id == command.scope.workspace_id, runs.TABLE.c.idempotency_key == idempotency_key
    )
    known = tx.conn.execute(query).first()
    if known is None:
        return None
    return {"id": known.id, "name": known.name, "created": False, "flow_control": None}


def find_deployment(tx: Tx, command: Command) -> dict[str, Any]:
    """The deployment that the command's target names, by id or by name."""
    target, where = command.target, {"workspace_id": command.scope.workspace_id}
    guard, also = "(name = ? OR id = ?)", (target, target)
    found = raw.select_rows(tx, _DEPLOYMENTS, raw.names_of(_DEPLOYMENTS), where, guard=guard, also=also)
    if not found:
        raise NotFoundError(
            f"there is no deployment {target!r} in this workspace", hint="`hub deployments ls` lists them."
        )
    return found[0]


def _signal(tx: Tx, command: Command, signal: Signal) -> dict[str, Any]:
    transition = orchestrator.attempt(tx, command.scope, command.target, signal)
    if transition is None:
        raise ContentionError(f"run {command.target} was changed by somebody else at the same time", hint="Try again.")
    return {
        "id": command.target,
        "state_type": transition.state.type.value,
        "state_name": transition.state.name,
    }


def cancel(tx: Tx, command: Command, args: CancelRun) -> dict[str, Any]:
    """Cancel: at once when nothing executes, else what executes it is told and the cancel is confirmed later.

    What it has started and has not ended is cancelled with it: nested runs, chunks of its tasks, children, and theirs.
    A cancel that came over a link before its run leaves a tombstone: the run exists, cancelled, and never starts.
    """
    message = args.message or f"cancelled by {command.scope.actor}"
    try:
        done = _signal(tx, command, Cancel(message))
        if not args.alone:
            orchestrator.cancel_below(tx, command.scope, command.target, "the run that started it was cancelled")
        return done
    except NotFoundError:
        if command.via != "link":
            raise
    row = {
        "id": command.target, "name": default_name("cancelled", command.target), "flow_name": "", "origin": "link",
        "state_type": "CANCELLED", "state_name": "Cancelled", "state_message": message, "ended_at": tx.now,
    }  # fmt: skip
    if not runs.create(tx, command.scope, row):
        raise ConflictError(f"run {command.target} belongs to another workspace")
    return {"id": command.target, "state_type": "CANCELLED", "state_name": "Cancelled"}


def pause(tx: Tx, command: Command, args: Why) -> dict[str, Any]:
    """Hold a run that has not started."""
    return _signal(tx, command, Pause(args.message or f"paused by {command.scope.actor}"))


def resume(tx: Tx, command: Command, _args: Why) -> dict[str, Any]:
    """Let a paused run go on, and one whose code waits for that, with or without a process."""
    held = points.open_of(tx, command.scope, command.target)
    run = runs.get(tx, command.scope, command.target)
    if run is None or not held or run.state.name == "Paused":
        return _signal(tx, command, Resume())
    mine = [point for point in held if point.kind == "pause"]
    if not mine:
        raise ConflictError(
            f"run {run.id} waits for {held[0].kind} {held[0].key!r}, which resuming does not give", code="not_resumable"
        )
    for point in mine:
        waits.answer(tx, command.scope, point, None, f"resumed by {command.scope.actor}")
    state = (runs.get(tx, command.scope, command.target) or run).state
    return {"id": run.id, "state_type": state.type.value, "state_name": state.name}


def set_state(tx: Tx, command: Command, args: SetState) -> dict[str, Any]:
    """Say which state a run is to have; the rules decide whether it can, and how it gets there.

    What it has started and has not ended is cancelled when it ends so.
    """
    message = args.message or f"set by {command.scope.actor}"
    if args.state == "CANCELLED":
        return cancel(tx, command, CancelRun(message=message))
    if args.state == "SCHEDULED":
        return resume(tx, command, Why(message=message))
    if args.state == "PAUSED":
        return pause(tx, command, Why(message=message))
    if args.state == "FAILED":
        done = _signal(tx, command, Reject(message))
    else:
        run = runs.get(tx, command.scope, command.target)
        attempt, epoch = (run.attempt, run.epoch) if run else (0, 0)
        done = _signal(tx, command, Complete(attempt, epoch, message=message, declared=True))
    below = f"the run that started it was set to {done['state_name']}"
    orchestrator.cancel_below(tx, command.scope, command.target, below)
    return done


def restart(tx: Tx, command: Command, args: Restart) -> dict[str, Any]:
    """Start an ended run again, as a new run with the same parameters. What completed is taken over, if wanted."""
    old = runs.row(tx, command.scope, command.target)
    if old is None:
        raise NotFoundError(f"there is no run {command.target} in this workspace", hint="`hub runs ls` lists them.")
    if StateType(old["state_type"]) not in TERMINAL:
        raise ConflictError(
            f"run {old['id']} is {old['state_name']}; only a run that has ended can be started again",
            hint=f"Wait for its end, or `hub runs cancel {old['id']}` first.", code="not_final",
        )  # fmt: skip
    if old["origin"] == transactions.ROLLBACK:
        return _rollback_again(tx, command, args, old)
    if transactions.unfinished(tx, command.scope, old["id"]):
        raise ConflictError(
            f"run {old['id']} is being rolled back: what it did would be undone while it is done again",
            hint=f"`hub runs show {old['id']}` says how far that is.", code="rolling_back",
        )  # fmt: skip
    is_action = old["entrypoint"] == actionruns.ENTRYPOINT
    if old["deployment_id"] is None and not is_action:
        raise ConflictError(
            f"run {old['id']} has no deployment, so nobody knows how to start it again",
            hint="Call the flow again where it was called.",
        )
    if args.fresh and args.from_task is not None:
        raise UsageError("fresh does everything again, so from_task means nothing", hint="Give one of the two.")
    since = tasks.START if args.fresh else None
    if args.from_task is not None:
        since = tasks.find(tx, command.scope, old["id"], args.from_task)
    if is_action:
        return _action_again(tx, command, old, since)
    made = CreateRun.model_validate({
        "parameters": old["parameters"], "tags": old["tags"], "origin": "restart", "origin_id": old["id"],
        "restart_of": old["id"], "restart_from": since,
    })  # fmt: skip
    return create(tx, replace(command, target=old["deployment_id"]), made)


def _action_again(tx: Tx, command: Command, old: dict[str, Any], since: str | None) -> dict[str, Any]:
    asked = actions.RunAction(
        parameters=old["parameters"]["parameters"], origin="restart", origin_id=old["id"], restart_of=old["id"],
        restart_from=since,
    )  # fmt: skip
    return actions.run(tx, replace(command, target=old["parameters"]["action"]), asked)


def _rollback_again(tx: Tx, command: Command, args: Restart, old: dict[str, Any]) -> dict[str, Any]:
    if args.fresh or args.from_task is not None:
        raise UsageError("a rollback undoes what is left, so fresh and from_task mean nothing")
    return sagas.again(tx, command.scope, old)


OPS = (
    Op("run.create", CreateRun, create, "runs:write", frozenset({"parameters"})),
    Op("run.restart", Restart, restart, "runs:write"),
    Op("run.cancel", CancelRun, cancel, "runs:write"),
    Op("run.pause", Why, pause, "runs:write"),
    Op("run.resume", Why, resume, "runs:write"),
    Op("run.set_state", SetState, set_state, "runs:write"),
    *answers.OPS,
)
