"""Why nobody is told of an alert now: silences, maintenance windows, quiet hours, inhibition. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from hub.errors import ExpressionError
from hub.runtime.calendar import next_time
from hub.types import SECOND, Micros

from hub_notifications.routes import Spec, applies

LONGEST_WINDOW_S = 31 * 86_400


def silence_holds(silence: Mapping[str, Any], now: Micros) -> bool:
    """Whether a silence is on: from its start to its end, or in its window of a schedule."""
    if now < silence["starts_at"] or (silence["ends_at"] is not None and now >= silence["ends_at"]):
        return False
    schedule = silence["schedule"]
    if not schedule:
        return True
    length = int(schedule["duration_s"]) * SECOND
    begun = next_time({"kind": "cron", "spec": schedule["cron"], "timezone": schedule["timezone"]}, after=now - length)
    return begun is not None and begun <= now


def silence_state(silence: Mapping[str, Any], now: Micros) -> Literal["active", "planned", "ended"]:
    """Whether it hides alerts now, will do so, or is over."""
    if silence["ends_at"] is not None and silence["ends_at"] <= now:
        return "ended"
    return "active" if silence_holds(silence, now) else "planned"


def silenced_by(silences: Iterable[Mapping[str, Any]], variables: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first of the silences that are on which hides an alert. One that fails for it hides nothing."""
    for silence in silences:
        try:
            if applies(silence["match"], variables):
                return silence
        except ExpressionError:
            continue
    return None


def inhibited_by(
    rules: Iterable[Mapping[str, Any]], alert: Mapping[str, Any], firing: Iterable[Mapping[str, Any]]
) -> tuple[str, Mapping[str, Any]] | None:
    """The name of the rule and the variables of the firing alert that explain this one, both by `variables_of`."""
    others = list(firing)
    for rule in rules:
        try:
            # As in Alertmanager: what explains others is not itself explained by the same rule.
            if not applies(rule["target"], alert) or applies(rule["source"], alert):
                continue
        except ExpressionError:
            continue
        for other in others:
            if other["alert"]["id"] != alert["alert"]["id"] and _explains(rule, other, alert):
                return rule["name"], other
    return None


def _explains(rule: Mapping[str, Any], other: Mapping[str, Any], alert: Mapping[str, Any]) -> bool:
    if any(other["labels"].get(name, "") != alert["labels"].get(name, "") for name in rule["equal"]):
        return False
    try:
        return applies(rule["source"], other)
    except ExpressionError:
        return False


def is_quiet_now(spec: Spec, severity: str, now: Micros) -> bool:
    """Whether the route's quiet hours hold an alert of this severity back."""
    return severity != "critical" and any(hours.hold(now) for hours in spec.quiet)
