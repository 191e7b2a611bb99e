"""How alerts enter the hub: by the same hooks as anybody's plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.hookspecs import hookimpl
from hub.plugins import Context, Loop
from hub.types import Scope

from hub_notifications import records
from hub_notifications.messages import run_message
from hub_notifications.rules import judge


@hookimpl
def hub_run_state(ctx: Context, event: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Raise or resolve the alert that a transition means; the same event twice changes nothing."""
    told = judge(event, run)
    if told is None:
        return
    scope = Scope(run["workspace_id"])
    if told.status == "resolved":
        with ctx.store.read() as tx:
            page = records.list_alerts(tx, scope, status="firing", limit=1, cursor=None)
        if page.items:
            with ctx.store.write() as tx:
                records.resolve(tx, scope, told.dedup_key)
        return
    with ctx.store.write() as tx:
        logs = records.last_logs(tx, scope, run["id"])
        records.raise_alert(tx, scope, told, run_message(told.kind, run, logs, run_link(ctx, run["id"])))


@hookimpl
def hub_loops(ctx: Context) -> Iterable[Loop]:
    """The delivery loop."""
    from hub_notifications.deliver import Deliverer  # noqa: PLC0415 - only upkeep sends

    return [Loop("alerts", Deliverer(ctx.store, ctx.settings).step, topics=("deliveries",), interval=1.0)]


@hookimpl
def hub_commands() -> Iterable[Any]:
    """The operations on channels."""
    from hub_notifications.ops import OPS  # noqa: PLC0415 - not every process changes channels

    return OPS


@hookimpl
def hub_routes() -> Iterable[Any]:
    """The API of channels, alerts and deliveries."""
    from hub_notifications.api import api  # noqa: PLC0415 - only the web process serves it

    return [api]


def run_link(ctx: Context, run_id: str) -> str:
    """Where the dashboard shows a run."""
    settings = ctx.settings
    base = settings.public_url.rstrip("/") or f"http://127.0.0.1:{settings.web_port}"
    return f"{base}/ui/runs/{run_id}"
