"""What each process has seen of its plugins, written down for `hub plugins ls`: a plugin fails where it runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import delete, select

from hub.actions import Action
from hub.errors import FlowLoadError, HubError, NotFoundError
from hub.pluginconfig import Stored, fields
from hub.plugins import Plugins, config_model
from hub.redacting import redacted
from hub.runtime import contributed, parameters, plugging, process
from hub.runtime.plugin_rows import FRESH_S, PREFIX, is_live, joined, rows_of
from hub.store import plugin_settings
from hub.store.base import Store, Tx
from hub.store.tables import SiteValue
from hub.types import SECOND, Micros, now_us

log = logging.getLogger("hub.plugins")
_VALUES = SiteValue.__table__
TOPIC = plugin_settings.TOPIC
INTERVAL = 2.0
"""Seconds between two looks of a process at what was set for its plugins."""
_RENEW_S = FRESH_S / 3


class Reporter:
    """One process's plugins: obeys what is set for them, and writes down how they stand.

    A report is written when it changed, and now and then to say that it still stands.
    """

    def __init__(self, store: Store, plugins: Plugins) -> None:
        self._store = store
        self._plugins = plugins
        me = process.identity()
        self._name = f"{PREFIX}{plugins.context.process}/{me.host}/{me.pid}"
        self._who = str(me)
        self._last: list[dict[str, Any]] = []
        self._at: Micros = 0
        self._generation: tuple[int, int] | None = None
        self._resets: dict[str, int] = {}
        self._looked = self._settled = 0.0

    def step(self) -> bool:
        """Look at what is set, and write if there is something new. Never says that there is more."""
        self._obey()
        rows = _rows(self._plugins)
        now = now_us()
        if rows == self._last and now - self._at < _RENEW_S * SECOND:
            return False
        with self._store.write(durable=False) as tx:
            value = {"at": tx.now, "process": self._plugins.context.process, "who": self._who, "rows": rows}
            tx.upsert(_VALUES, {"name": self._name, "value": value}, keys=["name"])
            clear_old(tx)
        self._last, self._at = rows, now
        return False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Step beside what is done within: for a process without loops."""
        stop = threading.Event()

        def work() -> None:
            self.step_if_due(0.0)
            while not stop.wait(INTERVAL):
                self.step_if_due(0.0)

        thread = threading.Thread(target=work, name="plugin reports", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(5.0)

    def step_if_due(self, after: float = INTERVAL) -> None:
        """Step, if the last time is so many seconds ago; a database that is away is no matter."""
        now = time.monotonic()
        if self._looked and now - self._looked < after:
            return
        self._looked = now
        try:
            self.step()
        except HubError as error:
            log.debug("plugins are not reported: %s", error.detail)

    def _obey(self) -> None:
        with self._store.read() as tx:
            generation = plugin_settings.generation(tx)
            lacks = self._plugins.lacks and time.monotonic() - self._settled > _RENEW_S
            if generation == self._generation and not lacks:
                return
            stored = plugging.read(tx)
        resets = {name: one.reset_at for name, one in stored.items()}
        if self._generation is not None:
            for name in [name for name, at in resets.items() if at > self._resets.get(name, 0)]:
                self._plugins.hooks.reset(name)
        before = self._plugins.table
        self._plugins.settle(stored)
        self._settled = time.monotonic()
        if self._generation is not None or self._plugins.table != before:
            contributed.renew()
        self._generation, self._resets = generation, resets


_mine: Reporter | None = None


def begin(store: Store, plugins: Plugins) -> None:
    """Report for this process, a worker's child, from now on: whenever it `look`s."""
    global _mine
    _mine = Reporter(store, plugins)
    _mine.step_if_due(0.0)


def look() -> None:
    """Between two runs of a worker: see what was set for plugins, and write how they stand."""
    if _mine is not None:
        _mine.step_if_due()


def listing(tx: Tx, plugins: Plugins) -> list[dict[str, Any]]:
    """Every plugin as this process sees it, with what any live process has to say about it."""
    plugins.settle(plugging.read(tx), asks=False)
    reports = tx.conn.execute(select(_VALUES.c.value).where(_VALUES.c.name.startswith(PREFIX, autoescape=True)))
    rows = joined(_rows(plugins), list(reports.scalars()), tx.now)
    actions = _actions(plugins)
    return [{**row, "actions": actions.get(row["name"], []) if row["hooks"] else []} for row in rows]


def one(tx: Tx, plugins: Plugins, name: str) -> dict[str, Any]:
    """The row of a plugin, with what its configuration is here. Raises NotFoundError.

    Of several of one name it is the one that has its place. `fields` is empty where there is none, or its model
    cannot be had, which `config_problem` says then.
    """
    rows = [row for row in listing(tx, plugins) if row["name"] == name]
    if not rows:
        raise NotFoundError(f"there is no plugin {name[:100]!r}", hint="`hub plugins ls` lists them.")
    row = next((row for row in rows if not row["clashes"]), rows[0])
    kept = plugin_settings.find(tx, name)
    stored = plugging.opened(tx, kept) if kept is not None else Stored()
    found: dict[str, Any] = {"fields": [], "config_problem": stored.problem, "revision": stored.version}
    if row["configurable"]:
        try:
            manifest = plugging.installed(name)
            resolved = plugging.resolved(manifest, stored.fields)
            found["fields"] = fields(name, config_model(manifest), resolved)
            found["config_problem"] = stored.problem or redacted(resolved.problem)
        except ValueError as error:
            found["config_problem"] = str(error)
    changed = {"updated_by": kept["updated_by"], "updated_at": kept["updated_at"]} if kept else {}
    return {**row, "updated_by": "", "updated_at": None, **changed, **found}


def clear_old(tx: Tx) -> None:
    """Forget reports of processes that ended."""
    for name, value in tx.conn.execute(select(_VALUES).where(_VALUES.c.name.startswith(PREFIX))).all():
        if not is_live(value, tx.now):
            tx.conn.execute(delete(_VALUES).where(_VALUES.c.name == name))


def _rows(plugins: Plugins) -> list[dict[str, Any]]:
    return rows_of(plugins.table, plugins.hooks.health_of_hooks())


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
