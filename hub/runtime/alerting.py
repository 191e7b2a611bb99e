"""Alerts that code has asked for: given to the plugin of alerts in the order in which they were asked for.

Flows run in processes that know no such plugin, and must not fail for want of it: they leave a note (`alert.ask`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from hub.errors import HubError, UnavailableError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.alerts import KIND
from hub.store import effects, runs
from hub.store.base import Store, Tx
from hub.types import Actor, Id, JsonObject, Scope, derived_id

if TYPE_CHECKING:
    from hub.plugins import Context
    from hub.runtime.effects import Deed

log = logging.getLogger("hub.alerts")
ACTOR = Actor("system", "alerts")
RAISED = "raised"
"""The kind of these alerts."""


def asked(ctx: Context, rows: Sequence[Mapping[str, Any]]) -> list[Deed]:
    """Raise them, end them."""
    done: set[Id] = set()
    return [partial(_tell, ctx.store, row, done) for row in rows]


def _tell(store: Store, row: Mapping[str, Any], done: set[Id]) -> None:
    asked, scope = row["payload"], Scope(row["workspace_id"], ACTOR)
    with store.read() as tx:
        if _earlier(tx, row) - done:
            raise UnavailableError("another one about the same comes first")
        run = runs.by_ids(tx, [asked["run_id"]]).get(asked["run_id"]) if asked["run_id"] else None
    op, args = ("alert.resolve", _over(asked)) if asked["resolve"] else ("alert.raise", _firing(row, asked, run))
    try:
        apply(store, Command(op, scope, args=args, id=derived_id(row["id"], "told"), via="system"))
    except HubError as error:
        if error.code != "unsupported":
            raise
        log.info("an alert is dropped, since no plugin of alerts is installed: %s", asked["title"])
    done.add(row["id"])


def _earlier(tx: Tx, row: Mapping[str, Any]) -> set[Id]:
    """What was asked for before about the same, and is not done: the end must not overtake the beginning."""
    table = effects.TABLE
    still = (table.c.kind == KIND, table.c.done_at.is_(None), table.c.dead_at.is_(None), table.c.id < row["id"])
    found = tx.conn.execute(select(table.c.id, table.c.payload).where(*still).limit(1000))
    return {one.id for one in found if one.payload["about"] == row["payload"]["about"]}


def _over(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"about": asked["about"], "kind": RAISED}


def _firing(row: Mapping[str, Any], asked: Mapping[str, Any], run: Mapping[str, Any] | None) -> dict[str, Any]:
    labels: dict[str, str] = {"task": asked["task"]} if asked["task"] else {}
    context: JsonObject = {"task": asked["task"] or None}
    to = asked["to"]
    if run is not None:
        labels |= {"flow": run["flow_name"], "deployment": run["deployment_name"] or "", "queue": run["queue"]}
        told = {"id": run["id"], "name": run["name"], "state": run["state_name"], "attempt": run["attempt"]}
        context |= {"run": told, "tags": list(run["tags"])}
        to = to or run["alerts"].get("to", [])
    return {
        "title": asked["title"], "body": asked["body"], "severity": asked["severity"], "kind": RAISED,
        "about": asked["about"], "occurrence": row["key"], "run_id": asked["run_id"],
        "labels": {**labels, **asked["labels"]}, "context": context, "channels": to,
    }  # fmt: skip
