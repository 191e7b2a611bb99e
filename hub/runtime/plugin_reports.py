"""What each process has seen of its plugins, written down for `hub plugins ls`: a plugin fails where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from hub.actions import Action
from hub.errors import FlowLoadError
from hub.plugins import Plugins
from hub.runtime import parameters, process
from hub.store.base import Store, Tx
from hub.store.tables import SiteValue
from hub.types import SECOND, Micros, now_us

_VALUES = SiteValue.__table__
_PREFIX = "plugins/"
FRESH_S = 30.0
"""A report that was not renewed for that long is of a process that has ended."""
_RENEW_S = FRESH_S / 3


class Reporter:
    """Writes one process's report when it changed, and now and then to say that it still stands."""

    def __init__(self, store: Store, plugins: Plugins) -> None:
        self._store = store
        self._plugins = plugins
        me = process.identity()
        self._name = f"{_PREFIX}{plugins.context.process}/{me.host}/{me.pid}"
        self._last: list[dict[str, Any]] = []
        self._at: Micros = 0

    def step(self) -> bool:
        """Write if there is something new. Never says that there is more."""
        rows = _rows(self._plugins)
        now = now_us()
        if rows == self._last and now - self._at < _RENEW_S * SECOND:
            return False
        with self._store.write(durable=False) as tx:
            value = {"at": tx.now, "process": self._plugins.context.process, "rows": rows}
            tx.upsert(_VALUES, {"name": self._name, "value": value}, keys=["name"])
            clear_old(tx)
        self._last, self._at = rows, now
        return False


def listing(tx: Tx, plugins: Plugins) -> list[dict[str, Any]]:
    """Every plugin as this process sees it, with what any live process has to say about it."""
    found = {(row["name"], row["distribution"]): row for row in _rows(plugins)}
    names = select(_VALUES).where(_VALUES.c.name.startswith(_PREFIX, autoescape=True))
    for report in tx.conn.execute(names).mappings():
        if tx.now - report["value"]["at"] <= FRESH_S * SECOND:
            for row in report["value"]["rows"]:
                _merge(found, row, report["value"]["process"])
    actions = _actions(plugins)
    rows = [found[key] for key in sorted(found)]
    return [{**row, "actions": actions.get(row["name"], []) if row["hooks"] else []} for row in rows]


def clear_old(tx: Tx) -> None:
    """Forget reports of processes that ended."""
    for name, value in tx.conn.execute(select(_VALUES).where(_VALUES.c.name.startswith(_PREFIX))).all():
        if tx.now - value["at"] > 10 * FRESH_S * SECOND:
            tx.conn.execute(delete(_VALUES).where(_VALUES.c.name == name))


def _rows(plugins: Plugins) -> list[dict[str, Any]]:
    counted = plugins.hooks.health_of_hooks()
    # Of several plugins of one name one is loaded, and what is counted is its.
    rows = [(row, counted.get(row.name, []) if row.works else []) for row in plugins.table]
    return [
        {
            "name": row.name, "version": row.version, "distribution": row.distribution, "state": row.state,
            "summary": row.manifest.summary if row.manifest else "", "import_ms": row.import_ms,
            "hooks": list(row.hooks), "problem": row.problem,
            "errors": sum(b["errors"] for b in breakers),
            "breakers": [b for b in breakers if b["state"] != "closed"],
            "last_error": next((b["last_error"] for b in breakers if b["last_error"]), ""),
        }
        for row, breakers in rows
    ]  # fmt: skip


def _actions(plugins: Plugins) -> dict[str, list[dict[str, Any]]]:
    """What the plugins of this process offer, by plugin."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, action in sorted(plugins.hooks.actions().items()):
        found.setdefault(name.partition(".")[0], []).append(
            {"name": name, "summary": action.summary, "parameters": _schema(action)}
        )
    return found


def _schema(action: Action) -> dict[str, Any]:
    try:
        return parameters.schema(action.task)
    except FlowLoadError as error:
        return {"description": error.detail}


def _merge(found: dict[tuple[str, str], dict[str, Any]], row: Mapping[str, Any], where: str) -> None:
    known = found.setdefault((row["name"], row["distribution"]), dict(row))
    if row["state"] not in ("loaded", "disabled") and known["state"] in ("loaded", "degraded"):
        known.update(state=row["state"], problem=f"in {where}: {row['problem']}")
    known["errors"] = max(known["errors"], row["errors"])
    known["hooks"] = sorted({*known["hooks"], *row["hooks"]})
    known["breakers"] = known["breakers"] or row["breakers"]
    if row["last_error"] and not known["last_error"]:
        known["last_error"] = f"in {where}: {row['last_error']}"
