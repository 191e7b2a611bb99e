"""Reports of plugins: the latest of each live process, none of those that ended long ago."""

from __future__ import annotations

from pathlib import Path

from hub.plugins import load_plugins
from hub.runtime import plugin_reports
from hub.settings import load_settings
from hub.store import Store
from hub.store.tables import SiteValue

VALUES = SiteValue.__table__  # type: ignore[attr-defined]


def test_reports_of_ended_processes_are_forgotten(store: Store, tmp_path: Path) -> None:
    settings = load_settings({"home": tmp_path, "plugins": "none"}, environ={})
    with store.write() as tx:
        tx.insert(VALUES, {"name": "plugins/upkeep/old/1", "value": {"at": 0, "process": "upkeep", "rows": []}})
        tx.insert(VALUES, {"name": "other", "value": 1})
    plugin_reports.Reporter(store, load_plugins(settings, process="upkeep", store=store)).step()
    with store.read() as tx:
        names = set(tx.conn.execute(VALUES.select().with_only_columns(VALUES.c.name)).scalars())
    assert "plugins/upkeep/old/1" not in names
    assert "other" in names
    assert len([name for name in names if name.startswith("plugins/")]) == 1
