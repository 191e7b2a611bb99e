"""Plugins over the API."""

from __future__ import annotations

from typing import Any

from hub.runtime import plugin_reports
from hub.web.api.fields import NoBody, NoQuery, Out
from hub.web.api.op import Api, Call

api = Api()


class BreakerOut(Out):
    """A hook of a plugin that is skipped, or tried again after it was."""

    hook: str
    state: str
    errors: int
    last_error: str


class ActionOut(Out):
    """What a plugin can do: a task by its name; `parameters` is the JSON schema of what it takes."""

    name: str
    summary: str
    parameters: dict[str, Any]


class PluginOut(Out):
    """A plugin. `state` is loaded, failed, disabled or incompatible; `problem` says why it is not loaded."""

    name: str
    version: str
    distribution: str
    state: str
    summary: str
    import_ms: float
    hooks: list[str]
    actions: list[ActionOut]
    problem: str
    errors: int
    last_error: str
    breakers: list[BreakerOut]


class Plugins(Out):
    """All of them: there are never so many that they need pages."""

    items: list[PluginOut]
    next_cursor: str | None = None


@api.op("GET", "/api/v1/plugins", out=Plugins, scope="plugins:read")
def list_plugins(call: Call[NoBody, NoQuery]) -> Plugins:
    """List installed plugins, what is wrong with them, and what failed in any process lately."""
    with call.store.read() as tx:
        rows = plugin_reports.listing(tx, call.services.plugins)
    return Plugins(items=[PluginOut.model_validate(row) for row in rows])
