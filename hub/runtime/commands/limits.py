"""Operations on named limits."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import delete, update

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import events, limit_lists, limits
from hub.store.base import Tx
from hub.types import SECOND, new_id

NAME = r"^(tag:)?[A-Za-z0-9][A-Za-z0-9 ._-]{0,94}$"


class SetLimit(BaseModel):
    """A limit as it should be: `slots` at once, `rate` in `period_s` seconds, or both. Slots 0: closed."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    slots: int | None = Field(None, ge=0, le=100_000)
    rate: int | None = Field(None, ge=1, le=10_000)
    period_s: float = Field(1.0, ge=0.001, le=31 * 86_400)

    @model_validator(mode="after")
    def _limits_something(self) -> SetLimit:
        if self.slots is None and self.rate is None:
            raise ValueError("a limit has slots, a rate, or both")
        return self


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create(tx: Tx, command: Command, args: SetLimit) -> dict[str, Any]:
    """Make a limit."""
    row = {
        "id": new_id(), "workspace_id": command.scope.workspace_id, "tickets": 0, "created_at": tx.now,
        "updated_at": tx.now, **_values(args),
    }  # fmt: skip
    if not tx.insert_ignore(limits.TABLE, row):
        raise ConflictError(
            f"there is already a limit named {args.name!r}", hint=f"`hub limits set {args.name} ...` changes it."
        )
    return _done(tx, command, "created", row)


def set_(tx: Tx, command: Command, args: SetLimit) -> dict[str, Any]:
    """Make a limit, or make the one of that name be as given. Who holds it keeps it, even when it shrinks."""
    found = limit_lists.find(tx, command.scope, args.name)
    if found is None:
        return create(tx, command, args)
    values = {**_values(args), "updated_at": tx.now}
    tx.conn.execute(update(limits.TABLE).where(limits.TABLE.c.id == found["id"]).values(**values))
    return _done(tx, command, "updated", {**found, **values})


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a limit. Who holds it goes on; who waits for it gets an error, or goes on where it was not strict."""
    found = limit_lists.find(tx, command.scope, command.target)
    if found is None:
        raise NotFoundError(f"there is no limit {command.target!r}", hint="`hub limits ls` lists them.")
    tx.conn.execute(delete(limits.TABLE).where(limits.TABLE.c.id == found["id"]))
    tx.conn.execute(delete(limits.SLOTS).where(limits.SLOTS.c.limit_id == found["id"]))
    return _done(tx, command, "deleted", found)


def _values(args: SetLimit) -> dict[str, Any]:
    period = int(args.period_s * SECOND) if args.rate is not None else 0
    return {"name": args.name, "slots": args.slots, "rate": args.rate, "period_us": period}


def _done(tx: Tx, command: Command, verb: str, row: dict[str, Any]) -> dict[str, Any]:
    told = {name: row[name] for name in ("name", "slots", "rate", "period_us")}
    events.append(tx, command.scope, f"hub.limit.{verb}", subject=row["id"], **told)
    tx.wake("limits")
    return {"id": row["id"], **told}


OPS = (
    Op("limit.create", SetLimit, create, "queues:write"),
    Op("limit.set", SetLimit, set_, "queues:write", watches=limits.TABLE),
    Op("limit.delete", Nothing, remove, "queues:write", watches=limits.TABLE),
)
