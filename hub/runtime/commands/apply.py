"""`apply`: check, do, note, commit - once for every command id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ValidationError
from sqlalchemy import select

from hub.errors import ContentionError, HubError, UnavailableError, UsageError
from hub.runtime.commands.registry import Op, find
from hub.store import events
from hub.store.base import Store, Tx
from hub.store.tables import AuditEntry, CommandOutcome
from hub.types import Id, Scope, new_id

Via: TypeAlias = Literal["api", "cli", "ui", "link", "automation", "schedule", "system"]
_OUTCOMES = CommandOutcome.__table__  # type: ignore[attr-defined]
_AUDIT = AuditEntry.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody wants done. The same `id` is done once, however often it arrives."""

    op: str
    scope: Scope
    target: str = ""
    args: Mapping[str, Any] = field(default_factory=dict, repr=False)
    id: Id = field(default_factory=new_id)
    via: Via = "api"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command. `repeated`: it had been applied before, this is the first outcome."""

    command_id: Id
    status: Literal["accepted", "rejected"]
    code: str = ""
    result: dict[str, Any] = field(default_factory=dict, repr=False)
    repeated: bool = False


Guard: TypeAlias = Callable[[Tx], None]
"""Looks, in the transaction of the command, whether it may still be obeyed; raises HubError if not."""


def apply(store: Store, command: Command, *, guard: Guard | None = None) -> Outcome:
    """Carry out a command in one transaction: effect, audit row and outcome together.

    Raises the HubError of a refusal; a command that came over a link is instead answered with a rejected outcome,
    which is kept, so that the plane learns it. Only what may work later (UnavailableError) is raised there too.
    """
    for _ in range(3):
        try:
            op = find(command.op)
            return _once(store, command, op, _checked(op, command), guard)
        except ContentionError:
            continue
        except HubError as error:
            if command.via != "link" or isinstance(error, UnavailableError):
                raise  # what may work later is no answer to the plane yet
            return _rejected(store, command, error)
    raise ContentionError(f"{command.op} met others three times in a row", hint="Try again.")


def _once(store: Store, command: Command, op: Op, args: BaseModel, guard: Guard | None) -> Outcome:
    with store.write() as tx:
        earlier = _earlier(tx, command)
        if earlier is not None:
            return earlier
        if guard is not None:
            guard(tx)
        result = op.handler(tx, command, args)
        _note(
            tx,
            command,
            "accepted",
            "",
            {name: value for name, value in result.items() if name not in op.secret},
        )
        detail = args.model_dump(mode="json", exclude=set(op.secret), exclude_defaults=True)
        target = command.target or str(result.get("id", ""))
        row = {
            "id": new_id(), "workspace_id": command.scope.workspace_id, "at": tx.now, "actor": str(command.scope.actor),
            "op": command.op, "target": target, "detail": detail,
        }  # fmt: skip
        tx.insert(_AUDIT, row)
    return Outcome(command.id, "accepted", "", result)


def _rejected(store: Store, command: Command, error: HubError) -> Outcome:
    with store.write() as tx:
        earlier = _earlier(tx, command)
        if earlier is not None:
            return earlier
        _note(tx, command, "rejected", error.code, {"detail": error.detail})
    return Outcome(command.id, "rejected", error.code, {"detail": error.detail})


def _note(tx: Tx, command: Command, status: str, code: str, result: dict[str, Any]) -> None:
    scope = command.scope
    row = {
        "command_id": command.id, "workspace_id": scope.workspace_id, "op": command.op, "target": command.target,
        "via": command.via, "actor": str(scope.actor), "status": status, "code": code, "result": result, "at": tx.now,
    }  # fmt: skip
    tx.insert(_OUTCOMES, row)
    if command.via == "link":
        events.append(
            tx, scope, "hub.command.answered", subject=command.target, command_id=command.id, op=command.op,
            status=status, code=code,
        )  # fmt: skip


def _earlier(tx: Tx, command: Command) -> Outcome | None:
    query = select(_OUTCOMES).where(
        _OUTCOMES.c.command_id == command.id, _OUTCOMES.c.workspace_id == command.scope.workspace_id
    )
    row = tx.conn.execute(query).mappings().first()
    return None if row is None else Outcome(row["command_id"], row["status"], row["code"], row["result"], repeated=True)


def _checked(op: Op, command: Command) -> BaseModel:
    try:
        return op.args.model_validate(dict(command.args))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
        raise UsageError(f"{command.op}: {wrong}") from None
