"""SLAs in the store: made, changed, removed, and looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands import Command, Op
from hub.store import catalog, events, raw, runs
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import SlaRow
from hub.types import Scope, new_id
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import delete, func, or_, select

from hub_notifications import channels
from hub_notifications.conditions import Condition
from hub_notifications.slas import Sla, Verdict, condition, judge

SLAS = SlaRow.__table__
NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"
MAX_SLAS = 500
LOOK = 500
"""Runs of a flow that are looked at, the newest."""
_OTHERS = ("hooks", "tasks", "rollback")
"""Origins of runs that are parts of others."""
_COLUMNS = [runs.TABLE.c[name] for name in (
    "id", "name", "state_type", "state_name", "attempt", "created_at", "due_at", "started_at", "ended_at",
    "retries_used", "crashes",
)]  # fmt: skip


class SetSla(BaseModel):
    """An SLA as it should be."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    spec: Sla


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Looked:
    """An SLA's row and what a look at its runs came to."""

    row: dict[str, Any]
    sla: Sla
    verdict: Verdict


def set_sla(tx: Tx, command: Command, args: SetSla) -> dict[str, Any]:
    """Make an SLA, or make the one of that name be as given; a changed one counts from now on."""
    unknown = channels.unknown(tx, command.scope, args.spec.to)
    if unknown:
        hint = "`hub channels ls` lists channels and their tags; a tag is written tag:NAME."
        raise UsageError(f"no channel is meant by {', '.join(unknown)}", hint=hint)
    spec = args.spec.model_dump(mode="json", exclude_defaults=True)
    mine = SLAS.c.workspace_id == command.scope.workspace_id
    known = tx.conn.execute(select(SLAS).where(mine, SLAS.c.name == args.name)).mappings().first()
    if known is None:
        if tx.conn.execute(select(func.count()).where(mine)).scalar_one() >= MAX_SLAS:
            raise ConflictError(f"there are {MAX_SLAS} SLAs, more are not possible")
        row = {"id": new_id(), "workspace_id": command.scope.workspace_id, "name": args.name, "spec": spec}
        tx.insert(SLAS, {**row, "enabled": args.spec.enabled, "created_at": tx.now, "updated_at": tx.now})
        sla_id, verb = str(row["id"]), "created"
    else:
        sla_id, verb = known["id"], "updated"
        if known["spec"] == spec:
            return {"id": sla_id, "name": args.name}
        raw.put(tx, SLAS, {"spec": spec, "enabled": args.spec.enabled, "updated_at": tx.now}, {"id": sla_id})
    events.append(tx, command.scope, f"hub.sla.{verb}", subject=sla_id, name=args.name)
    return {"id": sla_id, "name": args.name}


def remove_sla(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete an SLA; its alert is over with the next look."""
    row = find(tx, command.scope, command.target)
    tx.conn.execute(delete(SLAS).where(SLAS.c.id == row["id"]))
    events.append(tx, command.scope, "hub.sla.deleted", subject=row["id"], name=row["name"])
    return {"id": row["id"], "name": row["name"]}


def find(tx: Tx, scope: Scope, target: str) -> dict[str, Any]:
    """An SLA by its id or name. Raises NotFoundError."""
    query = select(SLAS).where(SLAS.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query.where(or_(SLAS.c.id == target, SLAS.c.name == target))).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no SLA {target!r}", hint="`hub slas ls` lists them.")
    return dict(row)


def listed(tx: Tx, scope: Scope, *, limit: int, cursor: str | None) -> Page[dict[str, Any]]:
    """SLAs, newest first."""
    query = select(SLAS).where(SLAS.c.workspace_id == scope.workspace_id)
    return page(tx, query, SLAS.c.id, limit=limit, cursor=cursor, make=dict)


def look_at(tx: Tx, row: dict[str, Any]) -> Looked:
    """Judge an SLA by its runs as they are now."""
    sla, table, scope = Sla.model_validate(row["spec"]), runs.TABLE, Scope(row["workspace_id"])
    same = table.c.flow_name == sla.flow
    if sla.deployment:
        of = select(catalog.DEPLOYMENTS.c.id).where(
            catalog.DEPLOYMENTS.c.workspace_id == scope.workspace_id, catalog.DEPLOYMENTS.c.name == sla.deployment
        )
        same = table.c.deployment_id == (tx.conn.execute(of).scalar() or "")
    query = select(*_COLUMNS).where(table.c.workspace_id == scope.workspace_id, same, table.c.origin.not_in(_OTHERS))
    found = [dict(one) for one in tx.conn.execute(query.order_by(table.c.id.desc()).limit(LOOK)).mappings()]
    verdict = judge(sla, found, tx.now, since=row["updated_at"], more=len(found) == LOOK)
    return Looked(row, sla, verdict)


def broken(tx: Tx) -> Iterator[Condition]:
    """What is wrong now: every SLA that is broken."""
    for row in tx.conn.execute(select(SLAS).where(SLAS.c.enabled)).mappings().all():
        looked = look_at(tx, dict(row))
        if looked.verdict.is_broken:
            yield condition(row["workspace_id"], row["name"], looked.sla, looked.verdict)


OPS = (
    Op("sla.set", SetSla, set_sla, "channels:write"),
    Op("sla.rm", Nothing, remove_sla, "channels:write"),
)
