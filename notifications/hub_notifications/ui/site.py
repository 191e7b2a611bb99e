"""All pages of alerting, which come with the API of channels."""

from __future__ import annotations

from hub.web.ui.table import Pages
from starlette.routing import BaseRoute

from hub_notifications.ui import alerts, by_link, channel_forms, channels, deliveries, routes, silences

MODULES = (alerts, by_link, deliveries, channels, channel_forms, routes, silences)


def all_routes() -> list[BaseRoute]:
    """Every page."""
    pages = Pages()
    for module in MODULES:
        pages.include(module.pages)
    return pages.routes()
