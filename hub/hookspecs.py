"""Every hook, typed, one sentence each: the manual for plugin authors. Hook specification 1.0.

Arguments are only ever added; an implementation may take any subset of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pydantic import SecretStr
    from starlette.routing import BaseRoute

    from hub.actions import Action
    from hub.channels import ChannelKind
    from hub.connections import ConnectionKind
    from hub.consumers import ConsumerKind
    from hub.plugins import Context, DocsPage, Loop, Panel, PresetText
    from hub.resultstores import ResultStoreKind
    from hub.serializers import Serializer
    from hub.verdicts import Message, Parsed, Patch, Principal, Reject, Skip
    from hub.web.api.op import Api
    from hub.webhooks.elsewhere import Forwarder

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
def hub_sections(ctx: Context) -> Iterable[Any]:  # type: ignore[empty-body]
    """Give sections of `hub.yaml` (`hub.runtime.definitions.section.Section`): what `hub apply` can declare."""


@hookspec
def hub_presets(ctx: Context) -> Iterable[PresetText]:  # type: ignore[empty-body]
    """Give webhook presets as YAML texts."""


@hookspec
def hub_connection_kinds(ctx: Context) -> Iterable[ConnectionKind]:  # type: ignore[empty-body]
    """Give kinds of connection (`hub.connections.ConnectionKind`): typed settings of a service, secrets included."""


@hookspec
def hub_consumers(ctx: Context) -> Iterable[ConsumerKind]:  # type: ignore[empty-body]
    """Give kinds of consumer (`hub.consumers.ConsumerKind`): brokers whose messages come in as requests do."""


@hookspec
def hub_result_stores(ctx: Context) -> Iterable[ResultStoreKind]:  # type: ignore[empty-body]
    """Give result stores (`hub.resultstores.ResultStoreKind`), each on connections of one kind."""


@hookspec
def hub_serializers(ctx: Context) -> Iterable[Serializer]:  # type: ignore[empty-body]
    """Give serializers (`hub.serializers.Serializer`) for results that are no JSON."""


@hookspec
def hub_channel_kinds(ctx: Context) -> Iterable[ChannelKind]:  # type: ignore[empty-body]
    """Give kinds of channel (`hub.channels.ChannelKind`): schemes of addresses that alerts can be sent to."""


@hookspec
def hub_actions(ctx: Context) -> Iterable[Action]:  # type: ignore[empty-body]
    """Give actions (`hub.actions.Action`): tasks that people, flows and automations find by a name."""


@hookspec(firstresult=True)
def hub_secret_resolve(ctx: Context, ref: str) -> SecretStr | str | None:
    """Give the secret that a reference such as `vault:path#key` means; None: not mine. An error: it is unavailable."""


@hookspec(firstresult=True)
def hub_webhook_verify(ctx: Context, source: Mapping[str, Any], request: Any, secrets: Any) -> Any:
    """Verify a request of a `plugin:<name>` preset; None: not mine. An error counts as not verified."""


@hookspec(firstresult=True)
def hub_webhook_parse(ctx: Context, source: Mapping[str, Any], request: Any) -> Iterable[Parsed] | None:
    """Find the events of a verified request whose preset names this plugin. An error makes it a dead letter."""


@hookspec(firstresult=True)
def hub_webhook_sign(ctx: Context, source: Mapping[str, Any], request: Any, secret: Any) -> Any:
    """Sign a request of a `plugin:<name>` preset as its provider would, for `hub trigger`; None: not mine."""


@hookspec
def hub_webhook_forwarders(ctx: Context) -> Iterable[Forwarder]:  # type: ignore[empty-body]
    """Give forwarders (`hub.webhooks.elsewhere.Forwarder`): who takes what comes to addresses of no source here."""


@hookspec(firstresult=True)
def hub_trigger_match(ctx: Context, event: Mapping[str, Any], automation: Mapping[str, Any]) -> Skip | None:
    """Say whether an automation whose trigger names this plugin means an event; None: it does. An error is told."""


@hookspec
def hub_run_before(ctx: Context, run: Mapping[str, Any], flow: Mapping[str, Any]) -> Patch | Reject | None:
    """Look at a run before it is made; change it, refuse it, or None. Each plugin sees what those before it made."""


@hookspec
def hub_run_state(ctx: Context, event: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Called after the commit of every flow run transition, at least once, from the effects outbox."""


@hookspec
def hub_task_state(ctx: Context, changes: Sequence[Mapping[str, Any]]) -> None:
    """Called after the commit with states that task runs have entered, in order, each at least once, in batches."""


@hookspec
def hub_export_redact(ctx: Context, events: Sequence[Mapping[str, Any]]) -> Iterable[str] | None:
    """Name those, by their ids, that must not leave for a plane with their content; after an error none of them may."""


@hookspec
def hub_task_wrap(ctx: Context, task: Mapping[str, Any]) -> AbstractContextManager[Any] | None:
    """Give a context manager for one call of a task's function, in the process that calls it; trusted plugins only."""


@hookspec(firstresult=True)
def hub_alert_render(ctx: Context, alert: Mapping[str, Any], channel: Mapping[str, Any]) -> Message | None:
    """Write a message about alerts for a channel; None or an error: the channel's template or the hub writes it."""


@hookspec
def hub_alert_sent(
    ctx: Context, alert: Mapping[str, Any], channel: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    """Called after every attempt to deliver a message about alerts; `result` has `status` and `error`."""


@hookspec(firstresult=True)
def hub_auth_authenticate(ctx: Context, request: Mapping[str, Any]) -> Principal | None:
    """Say who sends a request that neither a token nor a session of the hub's vouches for; None: not known to me."""


@hookspec
def hub_ui_panels(ctx: Context, view: str, subject: Mapping[str, Any]) -> Iterable[Panel]:  # type: ignore[empty-body]
    """Give panels for a dashboard page (`view` is its name, `subject` what it shows)."""


@hookspec
def hub_health(ctx: Context) -> Iterable[Mapping[str, Any]]:  # type: ignore[empty-body]
    """Give health checks as {"name", "ok", "detail"} for /readyz and `hub doctor`."""


@hookspec
def hub_docs_pages(ctx: Context) -> Iterable[DocsPage]:  # type: ignore[empty-body]
    """Give pages in Markdown (`hub.plugins.DocsPage`) that `hub plugins docs` shows beside what the plugin brings."""
