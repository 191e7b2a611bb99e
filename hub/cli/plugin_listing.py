"""Installed plugins without a hub: what manifests say, and what was set and reported in the database.

Nothing is imported for it, neither a plugin nor the store: SQLAlchemy and the tables alone take longer than a listing
may. So two tables are read by hand here, and where that does not go, the caller asks the API in its process.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from hub.pluginconfig import Stored
from hub.plugins import list_manifests
from hub.runtime.plugin_rows import PREFIX, joined, rows_of
from hub.settings import Settings
from hub.types import DEFAULT_WORKSPACE, now_us

_SET = "SELECT workspace_id, plugin, enabled FROM plugin_settings"
_REPORTS = "SELECT name, value FROM site_values"


def listed(settings: Settings) -> dict[str, Any] | None:
    """The plugins as `GET /plugins` gives them; None when the database cannot be read in this way."""
    try:
        with _connected(settings) as connection:
            set_rows = connection.execute(_SET).fetchall() if connection else []
            values = connection.execute(_REPORTS).fetchall() if connection else []
    except (OSError, ImportError, sqlite3.Error):  # the store says better what it is
        return None
    stored = {plugin: Stored(bool(enabled)) for place, plugin, enabled in set_rows if place == DEFAULT_WORKSPACE}
    texts = [value for name, value in values if name.startswith(PREFIX)]
    reports = [json.loads(text) if isinstance(text, str) else text for text in texts]
    rows = joined(rows_of(list_manifests(settings, stored=stored), {}), reports, now_us())
    items = [{**{name: value for name, value in row.items() if name != "clashes"}, "actions": []} for row in rows]
    return {"items": items, "safe_mode": settings.safe_mode}


@contextlib.contextmanager
def _connected(settings: Settings) -> Iterator[Any]:
    """A connection that only reads; None where there is no database yet."""
    path = settings.sqlite_path
    if path is None:
        import psycopg

        url = settings.resolved_database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        try:
            with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
                yield connection
        except psycopg.Error as error:
            raise OSError(str(error)) from error
    elif not path.exists():
        yield None
    else:
        # Not mode=ro, which leaves the files of the log behind where no hub runs.
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)) as opened:
            opened.execute("PRAGMA query_only=ON")
            yield opened
