"""The overview's panels, drawn from one read of the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.plugins import Panel
from hub.runtime.scopes import allows
from hub.store.base import Store
from hub.types import Scope
from hub.web.ui.charts import stacked
from hub.web.ui.templating import render

from hub_plugins.dashboard import attention, counts

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("COMPLETED", "CANCELLED", "CRASHED", "FAILED")
"""From the bottom of a column upwards."""


def overview(store: Store, scope: Scope) -> Iterator[Panel]:
    """The panels of the first page, in the order of what a person asks first."""
    with store.read() as tx:
        day = counts.last_day(store, tx, scope)
        now_counts, new = counts.current(tx, scope), counts.is_new(tx, scope)
        wrong = attention.items(tx, scope, now_counts) if allows(scope.actor.scopes, "runs:read") else []
        workers, plans, now = counts.workers(tx, scope), counts.next_schedules(tx, scope), tx.now
    yield _panel("", "tiles", 10, day=day, counts=now_counts, workers=workers)
    if new:
        yield _panel("First steps", "first-steps", 15)
    yield _panel("Needs attention", "attention", 20, items=wrong, now=now)
    chart = stacked([(hour.label, hour.counts) for hour in day.hours], KINDS)
    yield _panel("Runs that ended in the last 24 hours", "day", 30, chart=chart, day=day, kinds=KINDS)
    yield _panel("Workers", "workers", 60, workers=workers, now=now)
    yield _panel("Next by schedule", "schedules", 70, plans=plans, now=now)


def _panel(title: str, template: str, order: int, **context: Any) -> Panel:
    return Panel(title, str(render(f"overview/{template}.html", context, TEMPLATES)), order)
