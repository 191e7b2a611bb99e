"""What was set for plugins. A row counts its versions; its secret fields are sealed together, and opened only here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update

from hub.errors import ContentionError
from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import PluginSetting
from hub.types import DEFAULT_WORKSPACE, Scope, new_id

TABLE = PluginSetting.__table__
TOPIC = "plugins"
_MINE = TABLE.c.workspace_id == DEFAULT_WORKSPACE
"""Plugins are the installation's, so what is set for them belongs to its first workspace."""


def find(tx: Tx, plugin: str) -> dict[str, Any] | None:
    """The row of a plugin, its secrets still sealed; None when nothing was set for it."""
    found = tx.conn.execute(select(TABLE).where(_MINE, TABLE.c.plugin == plugin)).mappings().first()
    return None if found is None else dict(found)


def listing(tx: Tx) -> list[dict[str, Any]]:
    """All rows: there are no more than plugins that somebody has set something for."""
    return [dict(row) for row in tx.conn.execute(select(TABLE).where(_MINE)).mappings()]


def generation(tx: Tx) -> tuple[int, int]:
    """Something that differs whenever anything was set."""
    # Asked before every run: not through SQLAlchemy.
    text = "SELECT COUNT(*), SUM(version) FROM plugin_settings WHERE workspace_id = ?"
    many, versions = raw.fetch(tx, text, (DEFAULT_WORKSPACE,))[0]
    return int(many), int(versions or 0)


def secrets_of(tx: Tx, row: Mapping[str, Any]) -> dict[str, str]:
    """The secret fields of a row, open. Raises UnavailableError when the key is not here."""
    if row["sealed"] is None:
        return {}
    opened: dict[str, str] = json.loads(tx.keyring.open(row["sealed"], context=_context(row), key_id=row["key_id"]))
    return opened


def put(
    tx: Tx,
    scope: Scope,
    plugin: str,
    *,
    enabled: bool | None = None,
    fields: tuple[Mapping[str, Any], Mapping[str, str]] | None = None,
    reset: bool = False,
) -> dict[str, Any]:
    """Set what is given, `fields` as (open, secret) ones; gives the row.

    Raises ContentionError when somebody else was quicker.
    """
    known = find(tx, plugin)
    row = dict(known) if known else _new(plugin, tx.now)
    row |= {"updated_by": str(scope.actor), "updated_at": tx.now}
    if enabled is not None:
        row["enabled"] = enabled
    if reset:
        row["reset_at"] = tx.now
    if fields is not None:
        plain, secrets = fields
        sealed = tx.keyring.seal(json.dumps(dict(secrets)), context=_context(row)) if secrets else None
        row |= {"fields": dict(plain), "secret_fields": sorted(secrets), "sealed": sealed,
                "key_id": tx.keyring.key_id if secrets else ""}  # fmt: skip
    if known is None:
        won = tx.insert_ignore(TABLE, row)
    else:
        row["version"] += 1
        where = (TABLE.c.id == row["id"], TABLE.c.version == known["version"])
        won = tx.conn.execute(update(TABLE).where(*where).values(**row).returning(TABLE.c.id)).first() is not None
    if not won:
        raise ContentionError(f"what is set for the plugin {plugin} was changed at the same time", hint="Try again.")
    tx.wake(TOPIC)
    return row


def _new(plugin: str, now: int) -> dict[str, Any]:
    return {
        "id": new_id(), "workspace_id": DEFAULT_WORKSPACE, "plugin": plugin, "enabled": True, "fields": {},
        "secret_fields": [], "sealed": None, "key_id": "", "version": 1, "reset_at": 0, "created_at": now,
    }  # fmt: skip


def _context(row: Mapping[str, Any]) -> str:
    return f"plugin_settings:{row['id']}"
