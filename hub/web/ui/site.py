"""All routes of the dashboard. The plugin `dashboard` hands them to the web process through `hub_routes`."""

from __future__ import annotations

from starlette.routing import BaseRoute

from hub.web.auth import SIGNED_IN
from hub.web.matrix import Access, Declared
from hub.web.ui.assets import asset
from hub.web.ui.live import stream
from hub.web.ui.pages import (
    answers,
    artifacts,
    assets,
    automations,
    bookmarks,
    dead_letters,
    deployments,
    device,
    endpoints,
    events,
    home,
    outgoing,
    plugins,
    provider,
    receipts,
    replays,
    runs,
    session,
    source_catalog,
    source_limits,
    sources,
    users,
    variables,
    wizard,
    workers,
)
from hub.web.ui.table import Pages

MODULES = (
    home, runs, answers, artifacts, assets, deployments, variables, workers, plugins, wizard, sources, source_limits,
    source_catalog, receipts, dead_letters, replays, bookmarks, events, automations, endpoints, outgoing, users,
    device, provider, session,
)  # fmt: skip


def routes() -> list[BaseRoute]:
    """Static files, the stream, and every page."""
    pages = Pages()
    for module in MODULES:
        pages.include(module.pages)
    fixed: list[BaseRoute] = [
        Declared("/ui/static/{name}", asset, Access(None, "style sheets, scripts and pictures; nothing of anybody's")),
        Declared("/ui/stream", stream, Access(SIGNED_IN)),
    ]
    return [*fixed, *pages.routes()]
