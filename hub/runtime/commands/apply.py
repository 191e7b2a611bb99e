"""`apply`: check, do, note, commit - once for every command id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ValidationError

from hub.errors import ContentionError, HubError, UnavailableError, UsageError
from hub.runtime.commands import differing
from hub.runtime.commands.registry import Op, find
from hub.store import events, raw
from hub.store.base import Store, Tx
from hub.store.portions import in_portions
from hub.store.tables import AuditEntry, CommandOutcome
from hub.types import Id, Scope, new_id

Via: TypeAlias = Literal["api", "cli", "ui", "link", "automation", "schedule", "system"]
_OUTCOMES = CommandOutcome.__table__
_AUDIT = AuditEntry.__table__


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
Then: TypeAlias = Callable[[Tx, "Outcome"], None]
"""Writes down, in the transaction of the command, what came of it."""


def apply(store: Store, command: Command, *, guard: Guard | None = None, then: Then | None = None) -> Outcome:
    """Carry out a command in one transaction: effect, audit row and outcome together, and what `then` writes.

    Raises the HubError of a refusal; a command that came over a link is instead answered with a rejected outcome,
    which is kept, so that the plane learns it. Only what may work later (UnavailableError) is raised there too.
    """
    for _ in range(3):
        try:
            op = find(command.op)
            args = _checked(op, command)
            with store.write() as tx:
                return _once(tx, command, op, args, guard, then)
        except ContentionError:
            continue
        except HubError as error:
            if command.via != "link" or isinstance(error, UnavailableError):
                raise  # what may work later is no answer to the plane yet
            return _rejected(store, command, error)
    raise ContentionError(f"{command.op} met others three times in a row", hint="Try again.")


def apply_all(store: Store, commands: Iterable[tuple[Command, Then | None]]) -> list[Outcome]:
    """Carry out many commands of the hub's own in few transactions, the first in one of its own; the outcomes in their
    order. What is to be written with one is not written where it had been applied before.

    A power cut may take back the last of them: whoever gives them must give them again until he has kept that they are
    done. Raises what any of them raises. What those before it did may have been kept: give each to `apply` then, which
    answers for these with what came of them.
    """
    found: list[Outcome] = []

    def carry_out(tx: Tx, some: Iterable[tuple[Command, Then | None]]) -> None:
        for command, then in some:
            op = find(command.op)
            found.append(_once(tx, command, op, _checked(op, command), then=then))

    in_portions(store, commands, carry_out, first=True)
    return found


def apply_in(tx: Tx, command: Command) -> Outcome:
    """Carry out a command as a part of somebody's transaction, who sees to it that this happens once."""
    op = find(command.op)
    return _carry_out(tx, command, op, _checked(op, command))


def _once(
    tx: Tx, command: Command, op: Op, args: BaseModel, guard: Guard | None = None, then: Then | None = None
) -> Outcome:
    earlier = _earlier(tx, command)
    if earlier is not None:
        return earlier
    if guard is not None:
        guard(tx)
    outcome = _carry_out(tx, command, op, args)
    if then is not None:
        then(tx, outcome)
    return outcome


def _carry_out(tx: Tx, command: Command, op: Op, args: BaseModel) -> Outcome:
    before = differing.row_of(tx, op, command)
    result = op.handler(tx, command, args)
    changes = differing.changes(before, differing.row_of(tx, op, command, str(result.get("id", ""))), op.secret)
    _note(tx, command, "accepted", "", {name: value for name, value in result.items() if name not in op.secret})
    detail = args.model_dump(mode="json", exclude=set(op.secret), exclude_defaults=True)
    target = command.target or str(result.get("id", ""))
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "at": tx.now, "actor": str(command.scope.actor),
        "op": command.op, "target": target, "detail": detail, "via": command.via,
        "address": command.scope.actor.address, "changes": changes,
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
    if not tx.insert_ignore(_OUTCOMES, row):
        # Another process carries out the same command at this moment: what came of it there is the outcome.
        raise ContentionError(f"{command.op} is being carried out by another process", hint="Try again.")
    if command.via == "link":
        events.append(
            tx, scope, "hub.command.answered", subject=command.target, command_id=command.id, op=command.op,
            status=status, code=code,
        )  # fmt: skip


def _earlier(tx: Tx, command: Command) -> Outcome | None:
    row = raw.select_one(
        tx, _OUTCOMES, raw.names_of(_OUTCOMES), {"command_id": command.id, "workspace_id": command.scope.workspace_id}
    )
    return None if row is None else Outcome(row["command_id"], row["status"], row["code"], row["result"], repeated=True)


def _checked(op: Op, command: Command) -> BaseModel:
    try:
        return op.args.model_validate(dict(command.args))
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])) or "arguments", e["msg"]) for e in error.errors()]
        wrong = "; ".join(f"{place}: {says}" for place, says in faults)
        raise UsageError(f"{command.op}: {wrong}", field=faults[0][0]) from None
