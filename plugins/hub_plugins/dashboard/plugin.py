"""Brings the dashboard's pages to the web process, and draws the panels of its overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.hookspecs import hookimpl
from hub.plugins import Context, Panel
from hub.web.ui.site import routes
from starlette.routing import BaseRoute

from hub_plugins.dashboard.panels import overview


@hookimpl(trylast=True)
def hub_routes() -> Iterable[BaseRoute]:
    """Every page under /ui. After those of other plugins: the last one answers every other address there."""
    return routes()


@hookimpl
def hub_ui_panels(ctx: Context, view: str, subject: Mapping[str, Any]) -> Iterable[Panel]:
    """The overview: what runs, how the last day went, what needs attention, who works, what comes next."""
    return overview(ctx.store, subject["scope"]) if view == "home" else ()
