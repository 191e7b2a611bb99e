"""Every hook, typed, one sentence each: the manual for plugin authors. Hook specification 1.0.

Arguments are only ever added; an implementation may take any subset of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from hub.plugins import Context, Loop, Panel, PresetText
    from hub.web.api.op import Api

HOOKSPEC_VERSION = "1.0"
hookspec = pluggy.HookspecMarker("hub")
hookimpl = pluggy.HookimplMarker("hub")


@hookspec
def hub_startup(ctx: Context) -> None:
    """Called once in each process after its plugins are loaded; `ctx.process` says which kind it is."""


@hookspec
def hub_shutdown(ctx: Context, reason: str) -> None:
    """Called once before a process ends in good order."""


@hookspec
def hub_routes(ctx: Context) -> Iterable[BaseRoute | Api]:  # type: ignore[empty-body]
    """Give routes, or an `Api` of typed operations, that the web process serves."""


@hookspec
def hub_cli(ctx: Context) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Give commands as name -> import string of a Cyclopts app; it is imported when the command is used."""


@hookspec
def hub_loops(ctx: Context) -> Iterable[Loop]:  # type: ignore[empty-body]
    """Give upkeep loops; each is one step that is called when woken and at its interval."""


@hookspec
def hub_commands(ctx: Context) -> Iterable[Any]:  # type: ignore[empty-body]
    """Give operations (`hub.runtime.commands.Op`) that `apply` can carry out."""


@hookspec
def hub_presets(ctx: Context) -> Iterable[PresetText]:  # type: ignore[empty-body]
    """Give webhook presets as YAML texts."""


@hookspec(firstresult=True)
def hub_webhook_verify(ctx: Context, source: Mapping[str, Any], request: Any, secrets: Any) -> Any:
    """Verify a request of a `plugin:<name>` preset; None: not mine. An error counts as not verified."""


@hookspec
def hub_run_state(ctx: Context, event: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Called after the commit of every flow run transition, at least once, from the effects outbox."""


@hookspec
def hub_ui_panels(ctx: Context, view: str, subject: Mapping[str, Any]) -> Iterable[Panel]:  # type: ignore[empty-body]
    """Give panels for a dashboard page (`view` is its name, `subject` what it shows)."""


@hookspec
def hub_health(ctx: Context) -> Iterable[Mapping[str, Any]]:  # type: ignore[empty-body]
    """Give health checks as {"name", "ok", "detail"} for /readyz and `hub doctor`."""
