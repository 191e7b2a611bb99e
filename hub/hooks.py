"""Typed callers, one per hook, that keep a plugin's failure to itself.

Each implementation is called by itself with the arguments it takes. What it raises is kept and reported; one that
is over the time limit is left behind; one that keeps failing is skipped for a while (a breaker per plugin and hook).
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, Literal

import pluggy

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from hub.channels import ChannelKind
    from hub.connections import ConnectionKind
    from hub.consumers import ConsumerKind
    from hub.plugins import Context, Loop, Panel, PresetText
    from hub.resultstores import ResultStoreKind
    from hub.serializers import Serializer
    from hub.web.api.op import Api

_log = logging.getLogger("hub.plugins")
_ERRORS_IN_A_ROW = 5
_TIMEOUTS = 3
_TIMEOUT_WINDOW = 300.0
_FIRST_PAUSE = 60.0
_LONGEST_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one plugin's implementation gave, or how it failed."""

    plugin: str
    ok: bool
    value: Any = None
    error: str = ""


@dataclass(slots=True)
class Breaker:
    """Opens after 5 errors in a row or 3 timeouts in 5 minutes, for 60 s doubling to an hour; then one probe."""

    errors: int = 0
    total: int = 0
    timeouts: list[float] = field(default_factory=list)
    pause: float = _FIRST_PAUSE
    open_until: float = 0.0
    last_error: str = ""

    def state(self, now: float) -> Literal["closed", "open", "half-open"]:
        """Whether calls pass."""
        if not self.open_until:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def passed(self) -> None:
        """A call succeeded: everything is forgiven."""
        self.errors, self.pause, self.open_until = 0, _FIRST_PAUSE, 0.0
        self.timeouts.clear()

    def failed(self, now: float, error: str, *, timeout: bool) -> None:
        """A call failed: count it, and open when it was one too many or the probe."""
        self.errors += 1
        self.total += 1
        self.last_error = error
        if timeout:
            self.timeouts = [at for at in self.timeouts if now - at < _TIMEOUT_WINDOW] + [now]
        if self.open_until or self.errors >= _ERRORS_IN_A_ROW or len(self.timeouts) >= _TIMEOUTS:
            self.open_until = now + self.pause
            self.pause = min(self.pause * 2, _LONGEST_PAUSE)


class Hooks:
    """The callers of one process; made by `hub.plugins.load_plugins`. Their names are the hooks' without `hub_`."""

    def __init__(
        self, manager: pluggy.PluginManager, trusted: frozenset[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._manager = manager
        self._trusted = trusted
        self._clock = clock
        self._context: Context | None = None
        self.breakers: dict[tuple[str, str], Breaker] = {}

    @property
    def trusted(self) -> frozenset[str]:
        """The plugins that come with the hub itself."""
        return self._trusted

    def bind(self, context: Context) -> None:
        """Say what every hook gets as `ctx`."""
        self._context = context

    def health_of_hooks(self) -> dict[str, list[dict[str, Any]]]:
        """How often each plugin's hooks failed since the start, and whether they are skipped now."""
        now, found = self._clock(), dict[str, list[dict[str, Any]]]()
        for (plugin, hook), breaker in self.breakers.items():
            row = {"hook": hook, "state": breaker.state(now), "errors": breaker.total, "last_error": breaker.last_error}
            found.setdefault(plugin, []).append(row)
        return found

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

    def webhook_verify(self, source: Mapping[str, Any], request: Any, secrets: Any) -> Any:
        """See hub_webhook_verify. The first answer that is not None; an error is None, which is "not verified"."""
        return self._first("hub_webhook_verify", 2, source=source, request=request, secrets=secrets)

    def webhook_sign(self, source: Mapping[str, Any], request: Any, secret: Any) -> Any:
        """See hub_webhook_sign. The first answer that is not None; an error is None, which is "cannot be signed"."""
        return self._first("hub_webhook_sign", 2, source=source, request=request, secret=secret)

    def run_state(self, event: Mapping[str, Any], run: Mapping[str, Any]) -> list[Result]:
        """See hub_run_state."""
        return self._collect("hub_run_state", 2, event=event, run=run)

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

    def health(self) -> list[Mapping[str, Any]]:
        """See hub_health."""
        return self._flat("hub_health", 2)

    def _flat(self, name: str, limit: float, **arguments: Any) -> list[Any]:
        found: list[Any] = []
        for result in self._collect(name, limit, **arguments):
            if result.ok and isinstance(result.value, list):
                found += result.value
            elif result.ok and result.value is not None:
                self._blame(result.plugin, name, f"it gave {type(result.value).__name__}, not a list")
        return found

    def _blame(self, plugin: str, hook: str, error: str) -> None:
        """What a plugin gave is of no use: that is an error of its own."""
        _log.warning("plugin %s: %s: %s", plugin, hook, error)
        self.breakers[plugin, hook].failed(self._clock(), error, timeout=False)

    def _first(self, name: str, limit: float, **arguments: Any) -> Any:
        given = (result.value for result in self._collect(name, limit, **arguments) if result.ok)
        return next((value for value in given if value is not None), None)

    def _collect(self, name: str, limit: float, **arguments: Any) -> list[Result]:
        given = {**arguments, "ctx": self._context}
        results = []
        for implementation in reversed(getattr(self._manager.hook, name).get_hookimpls()):
            breaker = self.breakers.setdefault((implementation.plugin_name, name), Breaker())
            if breaker.state(self._clock()) == "open":
                continue
            results.append(self._one(implementation, given, limit, breaker))
        return results

    def _one(self, implementation: Any, given: Mapping[str, Any], limit: float, breaker: Breaker) -> Result:
        plugin: str = implementation.plugin_name
        arguments = [given[argument] for argument in implementation.argnames]
        call = _materialised(implementation.function, arguments)
        value, error, timeout = _direct(call) if plugin in self._trusted else _guarded(call, limit, plugin)
        if error:
            _log.warning("plugin %s: %s: %s", plugin, implementation.function.__name__, error)
            breaker.failed(self._clock(), error, timeout=timeout)
            return Result(plugin, False, error=error)
        breaker.passed()
        return Result(plugin, True, value)


def _materialised(function: Callable[..., Any], arguments: list[Any]) -> Callable[[], Any]:
    """Run the implementation to its end: a generator must fail inside the guard, not where it is read."""

    def call() -> Any:
        value = function(*arguments)
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError("a hook must be a plain function, this one is async")
        return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else value

    return call


def _direct(call: Callable[[], Any]) -> tuple[Any, str, bool]:
    try:
        return call(), "", False
    except Exception as error:  # noqa: BLE001 - a hook's failure stays its own
        return None, f"{type(error).__name__}: {error}"[:500], False


def _guarded(call: Callable[[], Any], limit: float, plugin: str) -> tuple[Any, str, bool]:
    """Call beside us, so that a hang costs `limit` seconds and not the process."""
    outcome: list[tuple[Any, str, bool]] = []

    def work() -> None:
        try:
            outcome.append((call(), "", False))
        except BaseException as error:  # noqa: BLE001 - SystemExit in a plugin must not end the hub
            outcome.append((None, f"{type(error).__name__}: {error}"[:500], False))

    thread = threading.Thread(target=work, name=f"hook of {plugin}", daemon=True)
    thread.start()
    thread.join(limit)
    return outcome[0] if outcome else (None, f"it did not end within {limit:g} s", True)
