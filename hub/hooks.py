"""Typed callers, one per hook: what the hub asks its plugins, how long that may take, and what a failure means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hub.actions import NAME, Action
from hub.errors import RefusedError, UnavailableError
from hub.isolation import SKIPPED, Callers, Implementation, Result
from hub.references import MAX_SECRET
from hub.sdk.tasks import Task
from hub.verdicts import Message, Parsed, Patch, Principal, Reject, Skip

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from hub.channels import ChannelKind
    from hub.connections import ConnectionKind
    from hub.consumers import ConsumerKind
    from hub.plugins import DocsPage, Loop, Panel, PresetText
    from hub.resultstores import ResultStoreKind
    from hub.serializers import Serializer
    from hub.web.api.op import Api
    from hub.webhooks.elsewhere import Forwarder


GATE_S = 2.0
"""Seconds that all plugins together may look at a run before it is made: whoever asks for it waits."""
_LONGEST_TAG = 100
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class Hooks(Callers):
    """The callers of one process; made by `hub.plugins.load_plugins`. Their names are the hooks' without `hub_`."""

    _actions: dict[str, Action] | None = None

    def startup(self) -> list[Result]:
        """See hub_startup."""
        return self._collect("hub_startup", 5)

    def shutdown(self, reason: str) -> list[Result]:
        """See hub_shutdown."""
        return self._collect("hub_shutdown", 2, reason=reason)

    def routes(self) -> list[BaseRoute | Api]:
        """See hub_routes."""
        return self._flat("hub_routes", 5)

    def cli(self) -> dict[str, str]:
        """See hub_cli."""
        merged: dict[str, str] = {}
        for result in self._collect("hub_cli", 2):
            merged.update(result.value if result.ok and isinstance(result.value, Mapping) else {})
        return merged

    def loops(self) -> list[Loop]:
        """See hub_loops."""
        return self._flat("hub_loops", 5)

    def commands(self) -> list[Any]:
        """See hub_commands."""
        return self._flat("hub_commands", 5)

    def sections(self) -> list[Any]:
        """See hub_sections."""
        return self._flat("hub_sections", 5)

    def presets(self) -> list[PresetText]:
        """See hub_presets."""
        return self._flat("hub_presets", 5)

    def connection_kinds(self) -> list[ConnectionKind]:
        """See hub_connection_kinds."""
        return self._flat("hub_connection_kinds", 5)

    def consumers(self) -> list[ConsumerKind]:
        """See hub_consumers."""
        return self._flat("hub_consumers", 5)

    def result_stores(self) -> list[ResultStoreKind]:
        """See hub_result_stores."""
        return self._flat("hub_result_stores", 5)

    def serializers(self) -> list[Serializer]:
        """See hub_serializers."""
        return self._flat("hub_serializers", 5)

    def channel_kinds(self) -> list[ChannelKind]:
        """See hub_channel_kinds."""
        return self._flat("hub_channel_kinds", 5)

    def actions(self) -> dict[str, Action]:
        """See hub_actions; by `PLUGIN.NAME`, asked once in a process.

        What is no usable action is left out and counts as the plugin's error.
        """
        if self._actions is None:
            found: dict[str, Action] = {}
            for plugin, item in self._items("hub_actions", 5):
                wrong = _wrong_action(item) or (f"{plugin}.{item.name}" in found and "its name is taken")
                if wrong:
                    self._blame(plugin, "hub_actions", f"an action is left out: {wrong}: {item!r:.100}")
                else:
                    found[f"{plugin}.{item.name}"] = item
            self._actions = found
        return self._actions

    def secret_resolve(self, ref: str) -> SecretStr:
        """See hub_secret_resolve. Raises UnavailableError, which names the reference and never the value."""
        value, failed = self._ask("hub_secret_resolve", 5, fits=_is_secret, ref=ref)
        if value is not None:
            return value if isinstance(value, SecretStr) else SecretStr(value)
        why = "; ".join(f"{result.plugin}: {result.error}" for result in failed) or "no plugin here resolves it"
        raise UnavailableError(
            f"secret unavailable: {ref}: {why}",
            hint="`hub plugins ls` shows what is loaded; see docs/connections.md for what may be read.",
            code="secret-unavailable",
        )

    def webhook_verify(self, source: Mapping[str, Any], request: Any, secrets: Any) -> Any:
        """See hub_webhook_verify. The first answer that is not None; an error is None, which is "not verified"."""
        given = {"source": source, "request": request, "secrets": secrets}
        return self._first("hub_webhook_verify", 2, fits=lambda value: hasattr(value, "valid"), **given)

    def webhook_parse(self, source: Mapping[str, Any], request: Any) -> list[Parsed] | str | None:
        """See hub_webhook_parse; only the plugin that the source's preset names is asked.

        A text says why the request cannot be read; UnavailableError: not now.
        """
        asked = {"only": source["parser"], "source": source, "request": request}
        value, failed = self._ask("hub_webhook_parse", 2, fits=_are_events, **asked)
        if any(result.error == SKIPPED for result in failed):
            raise UnavailableError(f"plugin {source['parser']}: {SKIPPED}")
        return f"plugin {source['parser']}: {failed[0].error}" if failed else value

    def webhook_sign(self, source: Mapping[str, Any], request: Any, secret: Any) -> Any:
        """See hub_webhook_sign. The first answer that is not None; an error is None, which is "cannot be signed"."""
        return self._first("hub_webhook_sign", 2, source=source, request=request, secret=secret)

    def webhook_forwarders(self) -> list[Forwarder]:
        """See hub_webhook_forwarders."""
        return self._flat("hub_webhook_forwarders", 5)

    def trigger_match(self, event: Mapping[str, Any], automation: Mapping[str, Any]) -> Skip | None:
        """See hub_trigger_match; only the plugin that the automation names is asked.

        Raises UnavailableError where it gives no answer.
        """
        plugin = automation["plugin"]
        if not any(one.plugin == plugin for one in self._implementations("hub_trigger_match")):
            raise UnavailableError(f"the plugin {plugin} is not loaded here, or does not implement hub_trigger_match")
        given = {"only": plugin, "event": event, "automation": automation}
        value, failed = self._ask("hub_trigger_match", 2, fits=lambda said: isinstance(said, Skip), **given)
        if failed:
            raise UnavailableError(f"plugin {plugin}: {failed[0].error}")
        return value  # type: ignore[no-any-return]

    @property
    def gates_runs(self) -> bool:
        """Whether `run_before` can do anything."""
        return self.implemented("hub_run_before") or bool(self._fail_closed)

    def run_before(self, run: Mapping[str, Any], flow: Mapping[str, Any]) -> Mapping[str, Any]:
        """See hub_run_before; gives the run as it shall be. All plugins together have GATE_S seconds.

        Raises RefusedError: one says no, or one of `plugins_fail_closed` gives no answer.
        """
        needed = dict.fromkeys(self._fail_closed, "it is not loaded here, or does not implement hub_run_before")
        until = self._clock() + GATE_S
        for implementation in self._implementations("hub_run_before"):
            left = max(0.05, until - self._clock())
            result = self._ask_one(implementation, left, run=run, flow=flow)
            wrong = result.error or _wrong_patch(result.value)
            if wrong and result.ok:
                self._blame(result.plugin, "hub_run_before", wrong)
            if wrong:
                needed.update({result.plugin: wrong} if result.plugin in needed else {})
                continue
            needed.pop(result.plugin, None)
            if isinstance(result.value, Reject):
                reason = result.value.reason[:500]
                raise RefusedError(f"the plugin {result.plugin} refuses this run: {reason}", code="run-refused")
            if result.value is not None:
                run = _patched(run, result.value)
        for plugin, why in needed.items():
            raise RefusedError(
                f"no run is made without the plugin {plugin}: {why}", code="run-refused",
                hint="HUB_PLUGINS_FAIL_CLOSED names it; `hub plugins ls` says what is wrong with it.",
            )  # fmt: skip
        return run

    def run_state(self, event: Mapping[str, Any], run: Mapping[str, Any]) -> list[Result]:
        """See hub_run_state."""
        return self._collect("hub_run_state", 2, event=event, run=run)

    def task_state(self, changes: Sequence[Mapping[str, Any]]) -> list[Result]:
        """See hub_task_state."""
        return self._collect("hub_task_state", 5, changes=changes)

    def export_redact(self, events: Sequence[Mapping[str, Any]]) -> frozenset[str]:
        """See hub_export_redact; the ids of all that are withheld: every one where a plugin gives no usable answer."""
        withheld: set[str] = set()
        for implementation in self._implementations("hub_export_redact"):
            result = self._ask_one(implementation, 2, events=events)
            named = [] if result.value is None else result.value
            if result.ok and not (isinstance(named, list) and all(isinstance(one, str) for one in named)):
                self._blame(result.plugin, "hub_export_redact", "it gave no list of ids")
                named = None
            withheld |= set(named) if result.ok and named is not None else {str(event["id"]) for event in events}
        return frozenset(withheld)

    @property
    def wraps_tasks(self) -> bool:
        """Whether `task_wrap` does anything."""
        return any(one.trusted for one in self._implementations("hub_task_wrap"))

    def task_wrap(self, task: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """See hub_task_wrap: all that trusted plugins gave, as one. What one of them raises is the task's failure."""
        return self._around([one for one in self._implementations("hub_task_wrap") if one.trusted], task)

    @contextmanager
    def _around(self, asked: Iterable[Implementation], task: Mapping[str, Any]) -> Iterator[None]:
        given = {"task": task, "ctx": self._context}
        with ExitStack() as stack:
            for one in asked:
                made = one.function(*(given[name] for name in one.arguments))
                if made is not None:
                    stack.enter_context(made)
            yield

    def alert_render(self, alert: Mapping[str, Any], channel: Mapping[str, Any]) -> Message | None:
        """See hub_alert_render."""
        given: Message | None = self._first("hub_alert_render", 2, fits=_is_message, alert=alert, channel=channel)
        return given

    def alert_sent(
        self, alert: Mapping[str, Any], channel: Mapping[str, Any], result: Mapping[str, Any]
    ) -> list[Result]:
        """See hub_alert_sent."""
        return self._collect("hub_alert_sent", 2, alert=alert, channel=channel, result=result)

    def auth_authenticate(self, request: Mapping[str, Any]) -> tuple[str, Principal] | None:
        """See hub_auth_authenticate; with the plugin that vouches. A failure vouches for nobody."""
        for implementation in self._implementations("hub_auth_authenticate"):
            result = self._ask_one(implementation, 2, request=request)
            if result.value is None:
                continue
            if isinstance(result.value, Principal) and _PRINCIPAL.fullmatch(result.value.name):
                return result.plugin, result.value
            self._blame(result.plugin, "hub_auth_authenticate", "it gave no Principal with a usable name")
        return None

    def ui_panels(self, view: str, subject: Mapping[str, Any]) -> list[Panel]:
        """See hub_ui_panels; sorted by their order. A plugin that fails gets a panel that says so."""
        from hub.plugins import Panel  # noqa: PLC0415 - hub.plugins imports this module

        panels: list[Panel] = []
        for result in self._collect("hub_ui_panels", 0.3, view=view, subject=subject):
            given = result.value if isinstance(result.value, list) else []
            strange = any(not isinstance(item, Panel) for item in given)
            wrong = result.error or ("what it gave is no panel" if strange else "")
            told = f"<p>The plugin {escape(result.plugin)} could not draw its panel: {escape(wrong)}</p>"
            panels += [Panel(f"Plugin {result.plugin}", told, 900)] if wrong else given
        return sorted(panels, key=lambda panel: panel.order)

    def docs_pages(self) -> list[DocsPage]:
        """See hub_docs_pages."""
        from hub.plugins import DocsPage  # noqa: PLC0415 - hub.plugins imports this module

        pages: list[DocsPage] = []
        for plugin, item in self._items("hub_docs_pages", 5):
            if isinstance(item, DocsPage) and isinstance(item.title, str) and isinstance(item.text, str):
                pages.append(item)
            else:
                self._blame(plugin, "hub_docs_pages", f"it gave {type(item).__name__}, not a DocsPage")
        return pages

    def health(self) -> list[Mapping[str, Any]]:
        """See hub_health."""
        return self._flat("hub_health", 2)


def _wrong_action(item: object) -> str:
    """Why it is no action that can be used; empty when it is."""
    if not isinstance(item, Action):
        return "it is no Action"
    if not isinstance(item.task, Task):
        return "its task is not made with @task"
    return "" if NAME.fullmatch(item.name) else "its name must be lower-case letters, digits, - and _"


def _is_secret(given: object) -> bool:
    text = given.get_secret_value() if isinstance(given, SecretStr) else given
    return isinstance(text, str) and 0 < len(text) <= MAX_SECRET


def _are_events(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(one, Parsed) and isinstance(one.type, str) for one in given)


def _is_message(given: object) -> bool:
    return isinstance(given, Message) and isinstance(given.title, str) and isinstance(given.text, str)


def _wrong_patch(given: object) -> str:
    """Why it is no answer to hub_run_before; empty when it is."""
    if isinstance(given, Reject):
        return "" if isinstance(given.reason, str) and given.reason else "it gave a Reject without a reason"
    if given is None:
        return ""
    if not isinstance(given, Patch):
        return f"it gave {type(given).__name__}, not a Patch or a Reject"
    if not all(isinstance(tag, str) and 0 < len(tag) <= _LONGEST_TAG for tag in given.tags):
        return f"its tags are no texts of up to {_LONGEST_TAG} characters"
    try:
        json.dumps(dict(given.parameters))
    except (TypeError, ValueError):
        return "its parameters are no JSON"
    return ""


def _patched(run: Mapping[str, Any], patch: Patch) -> Mapping[str, Any]:
    tags = sorted({*run["tags"], *patch.tags})
    return {**run, "parameters": {**run["parameters"], **patch.parameters}, "tags": tags}
