"""How what an operation changed was before, and is after: for the audit trail, without anything secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from hub.runtime.commands.registry import Op
from hub.store.base import Tx
from hub.types import ID_PATTERN, Scope, rfc3339

MAX_VALUE = 4096
"""A value of more characters is only said to be otherwise."""
HIDDEN = re.compile(r"secret|password|digest|sealed|token|key_id|^key$|^fields$|parameters$|^value$")
"""Columns that hold, or may hold, something that is not for the audit trail: that they changed is told, not how."""
UNTOLD = frozenset({"updated_at", "updated_by", "version", "last_used_at", "session_epoch"})
_ID = re.compile(ID_PATTERN)


def row_of(tx: Tx, op: Op, command: Any, made: str = "") -> dict[str, Any] | None:
    """The row that an operation is about, as it is now: the one of its result, or else of its target."""
    table = op.watches
    if table is None:
        return None
    scope: Scope = command.scope
    named = str(command.target or command.args.get("name", ""))
    for target in (made, named):
        column = table.c.get("id" if _ID.match(target) else "name")
        if target and column is not None:
            query = select(table).where(column == target, table.c.workspace_id == scope.workspace_id)
            row = tx.conn.execute(query).mappings().first()
            if row is not None:
                return dict(row)
    return None


def changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, secret: frozenset[str]
) -> dict[str, list[Any]]:
    """By field the value before and the one after. What is made anew has none, what is gone has all that it was."""
    if before is None:
        return {}
    found = {}
    for name, was in before.items():
        now = after[name] if after is not None else None
        if was != now and name not in UNTOLD and not (after is None and name in ("id", "workspace_id")):
            hidden = name in secret or HIDDEN.search(name) or isinstance(was, bytes) or isinstance(now, bytes)
            found[name] = ["(not told)", "(not told)"] if hidden else [_shown(name, was), _shown(name, now)]
    return found


def _shown(name: str, value: Any) -> Any:
    if name.endswith("_at") and isinstance(value, int):
        return rfc3339(value)
    return value if len(json.dumps(value, default=str)) <= MAX_VALUE else "(too long to be kept here)"
