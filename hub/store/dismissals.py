"""What the hub proposed for a source and a person has dismissed: not proposed again until that is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from sqlalchemy import delete, func, select

from hub.errors import ConflictError, NotFoundError
from hub.store.base import Tx
from hub.store.tables import Dismissal
from hub.types import Id, Scope, derived_id

TABLE = Dismissal.__table__
Kind: TypeAlias = Literal["schema", "preset"]
MAX_DISMISSED = 500
"""Of a source."""


def put(tx: Tx, scope: Scope, source: Mapping[str, Any], kind: Kind, about: str) -> dict[str, Any]:
    """Remember it; who dismissed it first, and when, stays. Raises ConflictError when there are too many."""
    row = {
        "id": derived_id(source["id"], "dismissed", kind, about), "workspace_id": source["workspace_id"],
        "source_id": source["id"], "kind": kind, "about": about, "dismissed_by": str(scope.actor),
        "dismissed_at": tx.now,
    }  # fmt: skip
    if not tx.insert_ignore(TABLE, row):
        return dict(tx.conn.execute(select(TABLE).where(TABLE.c.id == row["id"])).mappings().one())
    count = select(func.count()).where(TABLE.c.source_id == source["id"])
    if tx.conn.execute(count).scalar_one() > MAX_DISMISSED:
        raise ConflictError(
            f"the source {source['name']} has {MAX_DISMISSED} dismissed proposals, more it cannot have",
            hint="Take some back: `hub webhooks catalog dismissed` lists them.",
        )
    return row


def remove(tx: Tx, source: Mapping[str, Any], kind: Kind, about: str) -> None:
    """Let it be proposed again. Raises NotFoundError."""
    where = (TABLE.c.source_id == source["id"], TABLE.c.kind == kind, TABLE.c.about == about)
    if not tx.conn.execute(delete(TABLE).where(*where)).rowcount:
        raise NotFoundError(
            f"no {kind} {about!r} of the source {source['name']} was dismissed",
            hint="`hub webhooks catalog dismissed` lists what was.",
        )


def remove_all(tx: Tx, source_id: Id) -> None:
    """Forget all of a source."""
    tx.conn.execute(delete(TABLE).where(TABLE.c.source_id == source_id))


def listing(tx: Tx, source_id: Id, kind: Kind | None = None) -> list[dict[str, Any]]:
    """What was dismissed of a source, with who and when, by kind and what it is about."""
    query = select(TABLE).where(TABLE.c.source_id == source_id).order_by(TABLE.c.kind, TABLE.c.about)
    query = query if kind is None else query.where(TABLE.c.kind == kind)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def of(tx: Tx, source_id: Id, kind: Kind) -> frozenset[str]:
    """What of a kind was dismissed."""
    return frozenset(row["about"] for row in listing(tx, source_id, kind))
