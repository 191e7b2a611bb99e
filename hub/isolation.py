"""Calling what plugins implement so that a failure stays its plugin's own.

Each implementation is called by itself with the arguments it takes. What it raises is kept and reported; one that
is over the time limit is left behind; one that keeps failing is skipped for a while (a breaker per plugin and hook).
The plugins that come with the hub are called directly, strangers' beside us: what those cost is a thread each. Those
that their manifest keeps apart are called in a process of their own (`hub.apart`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pluggy

from hub.apart import ApartError, Child, OverTimeError, materialised
from hub.errors import HubError
from hub.redacting import redacted

if TYPE_CHECKING:
    from hub.plugins import Context

log = logging.getLogger("hub.plugins")
SKIPPED = "it failed again and again, and is skipped for a while"
PRIVATE = frozenset({"hub_secret_resolve"})
"""Hooks whose errors may hold secrets: only a HubError, made for people to read, is told; it counts as an answer."""
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

    def reset(self) -> None:
        """Somebody says that it is mended: as new."""
        self.passed()
        self.total, self.last_error = 0, ""

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


Fits: TypeAlias = Callable[[Any], bool]
"""Whether an answer is one that the hub can use."""


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's function for one hook."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    trusted: bool
    breaker: Breaker


class Callers:
    """How the implementations of one process are called."""

    def __init__(
        self, manager: pluggy.PluginManager, trusted: frozenset[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._manager = manager
        self._trusted = trusted
        self._clock = clock
        self._context: Context | None = None
        self._own: dict[str, Context] = {}
        self._off: frozenset[str] = frozenset()
        self._given: dict[str, list[tuple[str, Any]]] = {}
        self._known: dict[str, tuple[Implementation, ...]] = {}
        self._apart: Mapping[str, Child] = {}
        self.breakers: dict[tuple[str, str], Breaker] = {}

    @property
    def trusted(self) -> frozenset[str]:
        """The plugins that come with the hub itself."""
        return self._trusted

    def keep_apart(self, children: Mapping[str, Child]) -> None:
        """Say which plugins are called in processes of their own."""
        self._apart = children

    def bind(self, context: Context) -> None:
        """Say what every hook gets as `ctx`."""
        self._context = context

    @property
    def _fail_closed(self) -> tuple[str, ...]:
        """The plugins without whose answer nothing is done."""
        return self._context.settings.plugins_fail_closed if self._context is not None else ()

    def bind_one(self, plugin: str, context: Context) -> None:
        """Say what the hooks of one plugin get as `ctx`: it has a configuration of its own."""
        self._own[plugin] = context

    def switch_off(self, plugins: Iterable[str]) -> None:
        """Say whose hooks, and no others, are not called from now on."""
        off = frozenset(plugins)
        if off != self._off:
            self._off, self._known = off, {}

    def reset(self, plugin: str) -> None:
        """Close the breakers of a plugin and forget its errors."""
        for (name, _), breaker in self.breakers.items():
            if name == plugin:
                breaker.reset()

    def implemented(self, name: str) -> bool:
        """Whether any plugin here implements the hook: looked up once, so that asking costs nothing."""
        return bool(self._implementations(name))

    def health_of_hooks(self) -> dict[str, list[dict[str, Any]]]:
        """How often each plugin's hooks failed since the start, and whether they are skipped now."""
        now, found = self._clock(), dict[str, list[dict[str, Any]]]()
        for (plugin, hook), breaker in self.breakers.items():
            row = {"hook": hook, "state": breaker.state(now), "errors": breaker.total, "last_error": breaker.last_error}
            found.setdefault(plugin, []).append(row)
        return found

    def _flat(self, name: str, limit: float, **arguments: Any) -> list[Any]:
        given = self._given[name] = list(self._items(name, limit, **arguments))
        return [item for _, item in given]

    def giver(self, hook: str, item: object) -> str:
        """Which plugin gave something, the last time that the hook was called; empty when none did."""
        return next((plugin for plugin, one in self._given.get(hook, ()) if one is item), "")

    def _items(self, name: str, limit: float, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """What the plugins gave, each thing with its plugin."""
        for result in self._collect(name, limit, **arguments):
            if result.ok and isinstance(result.value, list):
                yield from ((result.plugin, item) for item in result.value)
            elif result.ok and result.value is not None:
                self._blame(result.plugin, name, f"it gave {type(result.value).__name__}, not a list")

    def _first(self, name: str, limit: float, *, fits: Fits = lambda _: True, **arguments: Any) -> Any:
        return self._ask(name, limit, fits=fits, **arguments)[0]

    def _ask(
        self, name: str, limit: float, *, fits: Fits, only: str | None = None, **arguments: Any
    ) -> tuple[Any, list[Result]]:
        """The first answer that is not None, and those that failed before it; who is skipped counts as failed.

        What does not fit is no answer but a failure: it must not stand in the way of a plugin that knows one.
        """
        failed: list[Result] = []
        for implementation in self._implementations(name):
            if only is not None and implementation.plugin != only:
                continue
            result = self._ask_one(implementation, limit, **arguments)
            if result.value is not None and not fits(result.value):
                wrong = f"it gave {type(result.value).__name__}, which is no answer"
                self._blame(implementation.plugin, name, wrong)
                result = Result(implementation.plugin, False, error=wrong)
            if result.value is not None:
                return result.value, failed
            if not result.ok:
                failed.append(result)
        return None, failed

    def _ask_one(self, implementation: Implementation, limit: float, **arguments: Any) -> Result:
        """What one plugin answers; who is skipped counts as failed."""
        if self._skipped(implementation):
            return Result(implementation.plugin, False, error=SKIPPED)
        return self._one(implementation, arguments, limit)

    def _collect(self, name: str, limit: float, **arguments: Any) -> list[Result]:
        return [
            self._one(implementation, arguments, limit)
            for implementation in self._implementations(name)
            if not self._skipped(implementation)
        ]

    def _implementations(self, name: str) -> tuple[Implementation, ...]:
        known = self._known.get(name)
        if known is None:
            found = reversed(getattr(self._manager.hook, name).get_hookimpls())
            used = [one for one in found if one.plugin_name not in self._off]
            known = self._known[name] = tuple(self._implementation(name, one) for one in used)
        return known

    def _implementation(self, hook: str, found: Any) -> Implementation:
        plugin: str = found.plugin_name
        breaker = self.breakers.setdefault((plugin, hook), Breaker())
        return Implementation(plugin, hook, found.function, tuple(found.argnames), plugin in self._trusted, breaker)

    def _skipped(self, implementation: Implementation) -> bool:
        breaker = implementation.breaker
        return breaker.open_until != 0 and breaker.state(self._clock()) == "open"

    def _one(self, implementation: Implementation, given: Mapping[str, Any], limit: float) -> Result:
        ctx, child = self._own.get(implementation.plugin, self._context), self._apart.get(implementation.plugin)
        if child is not None and ctx is not None:
            ctx = ctx.apart()
        arguments = [ctx if name == "ctx" else given[name] for name in implementation.arguments]
        if child is not None:
            value, failure = _asked(child, implementation, arguments, limit)
        elif implementation.trusted:
            value, failure = _direct(implementation.function, arguments)
        else:
            value, failure = _guarded(implementation.function, arguments, limit, implementation.plugin)
        if failure is not None:
            private = implementation.hook in PRIVATE
            error = redacted(_sentence(failure, private=private))
            if not (private and isinstance(failure, HubError)):
                self._failed(implementation, error, timeout=isinstance(failure, OverTimeError))
            return Result(implementation.plugin, False, error=error)
        if implementation.breaker.errors:
            implementation.breaker.passed()
        return Result(implementation.plugin, True, value)

    def _blame(self, plugin: str, hook: str, error: str) -> None:
        """What a plugin gave is of no use: that is an error of its own."""
        log.warning("plugin %s: %s: %s", plugin, hook, error)
        self.breakers[plugin, hook].failed(self._clock(), error, timeout=False)

    def _failed(self, implementation: Implementation, error: str, *, timeout: bool = False) -> None:
        log.warning("plugin %s: %s: %s", implementation.plugin, implementation.hook, error)
        implementation.breaker.failed(self._clock(), error, timeout=timeout)


def _direct(function: Callable[..., Any], arguments: list[Any]) -> tuple[Any, BaseException | None]:
    try:
        return materialised(function, arguments), None
    except Exception as error:  # noqa: BLE001 - a hook's failure stays its own
        return None, error


def _asked(
    child: Child, implementation: Implementation, arguments: list[Any], limit: float
) -> tuple[Any, BaseException | None]:
    try:
        return child.call(implementation.hook, dict(zip(implementation.arguments, arguments, strict=True)), limit), None
    except (ApartError, OverTimeError, HubError) as error:
        return None, error


def _guarded(
    function: Callable[..., Any], arguments: list[Any], limit: float, plugin: str
) -> tuple[Any, BaseException | None]:
    """Call beside us, so that a hang costs `limit` seconds and not the process."""
    outcome: list[tuple[Any, BaseException | None]] = []

    def work() -> None:
        try:
            outcome.append((materialised(function, arguments), None))
        except BaseException as error:  # noqa: BLE001 - SystemExit in a plugin must not end the hub
            outcome.append((None, error))

    thread = threading.Thread(target=work, name=f"hook of {plugin}", daemon=True)
    thread.start()
    thread.join(limit)
    return outcome[0] if outcome else (None, OverTimeError(f"it did not end within {limit:.3g} s"))


def _sentence(error: BaseException, *, private: bool) -> str:
    if isinstance(error, OverTimeError):
        return str(error)
    if isinstance(error, HubError):
        return error.detail[:500]
    if private:
        return type(error).__name__
    return str(error)[:500] if isinstance(error, ApartError) else f"{type(error).__name__}: {error}"[:500]
