"""All routes of the dashboard. The plugin `dashboard` hands them to the web process through `hub_routes`."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from hub.web.ui.assets import asset
from hub.web.ui.live import stream
from hub.web.ui.pages import (
    alerts,
    automations,
    channels,
    deployments,
    events,
    home,
    receipts,
    runs,
    session,
    sources,
    workers,
)
from hub.web.ui.table import Pages

MODULES = (home, runs, deployments, workers, sources, receipts, events, automations, alerts, channels, session)


def routes() -> list[BaseRoute]:
    """Static files, the stream, and every page."""
    pages = Pages()
    for module in MODULES:
        pages.include(module.pages)
    fixed: list[BaseRoute] = [Route("/ui/static/{name}", asset), Route("/ui/stream", stream)]
    return [*fixed, *pages.routes()]
