"""Telling people: which alerts a flow raises and who gets them, and alerts that code raises itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from hub.errors import UsageError
from hub.sdk import port

On: TypeAlias = Literal["failed", "crashed", "timed_out", "late", "stuck", "task_failed"]
"""What of a run raises an alert."""
Severity: TypeAlias = Literal["info", "warning", "error", "critical"]
BY_DEFAULT: tuple[On, ...] = ("failed", "crashed", "timed_out")
MAX_TARGETS, MAX_TARGET, MAX_KEY, MAX_LABELS = 20, 70, 150, 20
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True, init=False)
class Alerts:
    """Which alerts the runs of a flow raise, and who gets them.

        @flow(alerts=Alerts(to=["mail", "tag:ops"], on=["failed", "crashed"], severity="critical"))

    `to`: names of channels or `tag:NAME`; none: the routes decide. `on`: `failed`, `crashed`, `timed_out`, and what is
    not told by default: `late` (it waits for over a minute), `stuck` (it shows nothing for far longer than it ever
    took), `task_failed`. `severity`: `info`, `warning`, `error`, `critical`; none: that of the kind of alert.
    """

    to: tuple[str, ...]
    on: tuple[On, ...]
    severity: Severity | None

    def __init__(
        self, to: str | Iterable[str] = (), *, on: Iterable[On] = BY_DEFAULT, severity: Severity | None = None
    ) -> None:
        object.__setattr__(self, "to", _targets(to, "Alerts(to=...)"))
        object.__setattr__(self, "on", _on(on))
        if severity is not None:
            _one_of("Alerts(severity=...)", severity, get_args(Severity))
        object.__setattr__(self, "severity", severity)

    def stored(self) -> dict[str, Any]:
        """As deployments and runs keep it: what differs from the defaults."""
        said = {"to": list(self.to), "on": list(self.on), "severity": self.severity}
        return {name: value for name, value in said.items() if value != _PLAIN[name]}


_PLAIN: dict[str, Any] = {"to": [], "on": list(BY_DEFAULT), "severity": None}
AlertsGiven: TypeAlias = "Alerts | str | Iterable[str] | bool | None"


@dataclass(frozen=True, slots=True)
class Asked:
    """An alert to raise, or (`resolve`) to end."""

    title: str
    body: str
    severity: str
    key: str
    labels: Mapping[str, str]
    to: tuple[str, ...]
    resolve: bool


def alerts_option(given: Any) -> Alerts:
    """What `@flow(alerts=...)` means: True or None as ever, False none, texts who gets them. Raises UsageError."""
    if given is None or given is True:
        return Alerts()
    if given is False:
        return Alerts(on=())
    return given if isinstance(given, Alerts) else Alerts(_targets(given, "alerts"))


def alert(
    title: str,
    body: str = "",
    *,
    severity: Severity = "error",
    key: str = "",
    labels: Mapping[str, str] | None = None,
    to: str | Iterable[str] = (),
    resolve: bool = False,
) -> Any:
    """Raise an alert, from a flow, a task or any other code of the hub; it goes where alerts go.

        hub.alert("Stock is low", f"{left} left", severity="warning", key="stock")
        hub.alert("Stock is low", key="stock", resolve=True)    # it is over; or hub.resolve_alert("stock")
        await hub.alert("Stock is low")                         # in a coroutine

    While an alert of the same `key` fires, another one is an occurrence of it. Without a key it is that of the flow,
    the deployment and the title. `labels` are for routes and texts. `to`: names of channels or `tag:NAME`; else those
    of `@flow(alerts=...)`, else the routes decide. In a flow and in a task it is raised once, however many attempts
    come here. A hub without the plugin of alerts drops it. Raises UsageError for what is none of this.
    """
    told = Asked(
        _text("title", title, 1000, needed=True), _text("body", body, 100_000), severity,
        _text("key", key, MAX_KEY), _labels(labels or {}), _targets(to, "alert(to=...)"), bool(resolve),
    )  # fmt: skip
    _one_of("alert(severity=...)", severity, get_args(Severity))
    return port.runtime().emit(told)


def resolve_alert(key: str) -> Any:
    """End the alert of that key, if it fires. In a coroutine: `await hub.resolve_alert(...)`."""
    return port.runtime().emit(Asked("", "", "info", _text("key", key, MAX_KEY, needed=True), {}, (), True))


def _targets(given: Any, what: str) -> tuple[str, ...]:
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    fits = all(isinstance(one, str) and 0 < len(one) <= MAX_TARGET and one.isprintable() for one in found)
    if len(found) > MAX_TARGETS or not fits or any("," in one for one in found):
        hint = f"Give up to {MAX_TARGETS} names of channels or tags: ['mail', 'tag:ops']; `hub channels ls` lists them."
        raise UsageError(f"{what}={given!r} is no list of channels", hint=hint)
    return tuple(dict.fromkeys(found))


def _on(given: Any) -> tuple[On, ...]:
    found = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    for one in found:
        _one_of("Alerts(on=...)", one, get_args(On))
    return tuple(one for one in get_args(On) if one in found)


def _one_of(what: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{what}: {value!r} is not known", hint=f"Known: {', '.join(known)}.")


def _text(what: str, value: Any, limit: int, *, needed: bool = False) -> str:
    if not isinstance(value, str):
        raise UsageError(f"alert({what}={value!r}) is not a text")
    if needed and not value.strip():
        raise UsageError(f"alert() needs a {what}")
    if what == "key" and (len(value) > limit or not value.isprintable()):
        raise UsageError(f"alert(key={value[:80]!r}) is not a line of at most {limit} characters")
    return value if len(value) <= limit else value[: limit - 1] + "…"


def _labels(given: Any) -> dict[str, str]:
    hint = f"Give up to {MAX_LABELS}, for example {{'team': 'data'}}: names of letters, digits, _; values are texts."
    if not isinstance(given, Mapping) or len(given) > MAX_LABELS:
        raise UsageError(f"alert(labels={given!r}) are not labels", hint=hint)
    for name, value in given.items():
        is_name = isinstance(name, str) and 0 < len(name) <= 63 and _WORD.issuperset(name) and not name[0].isdigit()
        if not is_name or not isinstance(value, str) or len(value) > 500:
            raise UsageError(f"alert(labels={{{name!r}: {value!r}}}) is not a label", hint=hint)
    return dict(given)
