"""Operations on runs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from hub.engine.run import Cancel, Pause, Resume, Signal
from hub.errors import ConflictError, ContentionError, NotFoundError
from hub.runtime import orchestrator
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import runs
from hub.store.base import Tx
from hub.store.tables import Deployment
from hub.types import DEFAULT_WORKSPACE, derived_id, new_id

_DEPLOYMENTS = Deployment.__table__  # type: ignore[attr-defined]


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


class Why(BaseModel):
    """A sentence that goes into the run's history."""

    model_config = ConfigDict(extra="forbid")
    message: str = Field("", max_length=500)


def create(tx: Tx, command: Command, args: CreateRun) -> dict[str, Any]:
    """Make a run of the deployment named by the target (its name or id); nothing is published here."""
    deployment = find_deployment(tx, command)
    if args.idempotency_key:
        known = tx.conn.execute(
            select(runs.TABLE.c.id, runs.TABLE.c.name).where(
                runs.TABLE.c.workspace_id == command.scope.workspace_id,
                runs.TABLE.c.idempotency_key == args.idempotency_key,
            )
        ).first()
        if known is not None:
            return {"id": known.id, "name": known.name, "created": False}
    parameters = {**deployment["parameters"], **args.parameters}
    check_parameters(deployment, parameters)
    run_id = args.run_id or (
        derived_id(DEFAULT_WORKSPACE, command.scope.workspace_id, args.idempotency_key)
        if args.idempotency_key
        else new_id()
    )
    name = args.name or f"{deployment['name']}-{run_id[-6:]}"
    row = {
        "id": run_id, "name": name, "flow_name": deployment["flow_name"], "deployment_id": deployment["id"],
        "deployment_name": deployment["name"], "entrypoint": deployment["entrypoint"], "queue": deployment["queue"],
        "parameters": parameters, "tags": sorted({*deployment["tags"], *args.tags}), "origin": args.origin,
        "origin_id": args.origin_id, "restart_of": args.restart_of, "idempotency_key": args.idempotency_key,
        "retry_policy": deployment["retry_policy"], "timeout_s": deployment["timeout_s"],
        "crash_retries": deployment["crash_retries"], "due_at": args.due_at if args.due_at is not None else tx.now,
    }  # fmt: skip
    created = runs.create(tx, command.scope, row)
    return {"id": run_id, "name": name, "created": created}


def find_deployment(tx: Tx, command: Command) -> dict[str, Any]:
    """The deployment that the command's target names, by id or by name."""
    target = command.target
    query = select(_DEPLOYMENTS).where(_DEPLOYMENTS.c.workspace_id == command.scope.workspace_id)
    query = query.where((_DEPLOYMENTS.c.name == target) | (_DEPLOYMENTS.c.id == target))
    found = tx.conn.execute(query).mappings().first()
    if found is None:
        raise NotFoundError(
            f"there is no deployment {target!r} in this workspace", hint="`hub deployments ls` lists them."
        )
    return dict(found)


def check_parameters(deployment: dict[str, Any], parameters: dict[str, Any]) -> None:
    """Refuse parameters that the stored schema refuses; the worker checks again by the type hints."""
    from hub.runtime.parameters import check_against_schema  # noqa: PLC0415 - parameters imports this package's users

    check_against_schema(parameters, deployment["parameter_schema"])


def _signal(tx: Tx, command: Command, signal: Signal) -> dict[str, Any]:
    transition = orchestrator.attempt(tx, command.scope, command.target, signal)
    if transition is None:
        raise ContentionError(f"run {command.target} was changed by somebody else at the same time", hint="Try again.")
    return {
        "id": command.target,
        "state_type": transition.state.type.value,
        "state_name": transition.state.name,
    }


def cancel(tx: Tx, command: Command, args: Why) -> dict[str, Any]:
    """Cancel: at once when nothing executes, else what executes it is told and the cancel is confirmed later.

    A cancel that came over a link before its run leaves a tombstone: the run exists, cancelled, and never starts.
    """
    message = args.message or f"cancelled by {command.scope.actor}"
    try:
        return _signal(tx, command, Cancel(message))
    except NotFoundError:
        if command.via != "link":
            raise
    row = {
        "id": command.target, "name": f"cancelled-{command.target[-6:]}", "flow_name": "", "origin": "link",
        "state_type": "CANCELLED", "state_name": "Cancelled", "state_message": message, "ended_at": tx.now,
    }  # fmt: skip
    if not runs.create(tx, command.scope, row):
        raise ConflictError(f"run {command.target} belongs to another workspace")
    return {"id": command.target, "state_type": "CANCELLED", "state_name": "Cancelled"}


def pause(tx: Tx, command: Command, args: Why) -> dict[str, Any]:
    """Hold a run that has not started."""
    return _signal(tx, command, Pause(args.message or f"paused by {command.scope.actor}"))


def resume(tx: Tx, command: Command, _args: Why) -> dict[str, Any]:
    """Let a paused run go on."""
    return _signal(tx, command, Resume())


OPS = (
    Op("run.create", CreateRun, create, "runs:write", frozenset({"parameters"})),
    Op("run.cancel", Why, cancel, "runs:write"),
    Op("run.pause", Why, pause, "runs:write"),
    Op("run.resume", Why, resume, "runs:write"),
)
