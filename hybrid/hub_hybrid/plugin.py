"""The hooks: endpoints and pages for the web process, loops for upkeep, operations, and two commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hub.hookspecs import hookimpl
from hub.plugins import Context, Loop, Panel
from hub.runtime.commands import Op

from hub_hybrid import addresses, links, placing, sites, working
from hub_hybrid.retention import Keeper
from hub_hybrid.supervisor import Pace, Supervisor

if TYPE_CHECKING:
    from hub.web.api.op import Api
    from hub.webhooks.elsewhere import Forwarder
    from starlette.routing import BaseRoute

_running: list[Supervisor] = []


@hookimpl
def hub_routes(ctx: Context) -> Iterable[BaseRoute | Api]:
    """The sync endpoints, and sites and links over the API."""
    from hub_hybrid import api, site_api, work_api  # noqa: PLC0415 - only the web process needs them
    from hub_hybrid.plane import Plane  # noqa: PLC0415

    plane = Plane(ctx.store, ctx.settings.sync_sessions)
    return [*plane.routes(), api.api, site_api.api, work_api.api]


@hookimpl
def hub_webhook_forwarders(ctx: Context) -> Iterable[Forwarder]:
    """Take webhooks for the sources of sites."""
    from hub_hybrid.forwarding import Forwards  # noqa: PLC0415 - only the web process needs it

    return [Forwards(ctx.store, ctx.settings)]


@hookimpl
def hub_ui_panels(ctx: Context, view: str, subject: Mapping[str, Any]) -> Iterable[Panel]:
    """On the page of a webhook source: its addresses at planes."""
    if view != "source":
        return ()
    from hub_hybrid.ui.link_pages import panel_of_source  # noqa: PLC0415 - only the web process needs it

    return panel_of_source(ctx.store, subject["scope"], subject["source"])


@hookimpl
def hub_loops(ctx: Context) -> Iterable[Loop]:
    """The links' agents, and the clean-up of what sites reported."""
    supervisor = Supervisor(ctx.store, Pace.of(ctx.settings))
    _running.append(supervisor)
    given = [supervisor.loop(), Keeper(ctx.store, ctx.settings).loop()]
    return [*given, working.Drainer(ctx.store, ctx.settings).loop()] if ctx.settings.sync_takes_runs else given


@hookimpl
def hub_shutdown(ctx: Context, reason: str) -> None:  # noqa: ARG001 - the hook's arguments
    """Say goodbye to the planes."""
    while _running:
        _running.pop().stop()


@hookimpl
def hub_commands() -> Iterable[Op]:
    """Operations on links and sites."""
    return [*links.OPS, *addresses.OPS, *sites.OPS, *placing.OPS, *working.OPS]
