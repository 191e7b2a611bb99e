"""How alerts enter the hub: by the same hooks as anybody's plugin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hub.hookspecs import hookimpl
from hub.plugins import Context, Loop
from hub.types import Scope

from hub_notifications import firing
from hub_notifications.facts import failed_tasks
from hub_notifications.messages import MAX_LINE, run_title
from hub_notifications.rules import AlertEvent, judge, judge_tasks, wants_tasks


@hookimpl
def hub_run_state(ctx: Context, event: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Raise or resolve the alert that a transition means; the same event twice changes nothing."""
    told = judge(event, run)
    scope = Scope(run["workspace_id"])
    tasks: list[AlertEvent] = []
    if run["ended_at"] is not None and wants_tasks(run):
        with ctx.store.read() as tx:
            tasks = judge_tasks(run, failed_tasks(tx, run["id"]))
        with ctx.store.write() as tx:
            for one in tasks:
                firing.fire(tx, scope, one)
    if told is None:
        return
    if told.status == "resolved":
        with ctx.store.read() as tx:
            is_firing = firing.anything_firing(tx, scope)
        if is_firing:
            with ctx.store.write() as tx:
                firing.resolve(tx, scope, told.about, but=[one.key for one in tasks])
        return
    with ctx.store.write() as tx:
        logs = [str(line["message"])[:MAX_LINE] for line in firing.last_logs(tx, scope, run["id"])]
        told = replace(told, title=run_title(told.kind, run), context={**told.context, "logs": logs})
        firing.fire(tx, scope, told)


@hookimpl
def hub_loops(ctx: Context) -> Iterable[Loop]:
    """Conditions are looked for, alerts are routed, and brought to their channels, each by a loop."""
    from hub_notifications.deliver import Deliverer  # noqa: PLC0415 - only upkeep sends
    from hub_notifications.router import Router  # noqa: PLC0415 - only upkeep routes
    from hub_notifications.watching import of_slas, of_the_hub  # noqa: PLC0415 - only upkeep looks

    return [
        Loop("alert routing", Router(ctx.store).step, topics=(firing.TOPIC,), interval=1.0),
        Loop("alerts", Deliverer(ctx.store, ctx.settings).step, topics=("deliveries",), interval=1.0),
        of_the_hub(ctx.store).loop(),
        of_slas(ctx.store).loop(),
    ]


@hookimpl
def hub_commands() -> Iterable[Any]:
    """The operations on channels, alerts and what decides where they go."""
    # Not every process changes channels.
    from hub_notifications import alert_ops, message_ops, ops, route_ops, sla_ops  # noqa: PLC0415

    return [*ops.OPS, *alert_ops.OPS, *message_ops.OPS, *route_ops.OPS, *sla_ops.OPS]


@hookimpl
def hub_sections(ctx: Context) -> Iterable[Any]:
    """What `hub.yaml` can declare of alerts."""
    from hub_notifications.declared import sections  # noqa: PLC0415 - only `hub apply` and the API need it

    return sections(ctx.settings)


@hookimpl
def hub_routes() -> Iterable[Any]:
    """The API of channels, alerts and deliveries, and of what decides where they go."""
    from hub_notifications import api, route_api, schemes, sla_api, texts_api  # noqa: PLC0415 - only the web process serves it

    return [
        schemes.api,
        api.api,
        route_api.api,
        sla_api.api,
        texts_api.api,
    ]  # the first one's paths are those of no channel
