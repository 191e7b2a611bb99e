"""A route as texts that a person types, and back. Quiet hours and steps are rows; an empty row is none. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.errors import HubError, UsageError
from hub.moments import span, span_text
from hub.web.ui.faults import Faults, faults_of
from hub.web.ui.view import Form

from hub_notifications.routes import DAYS

MAX_ROWS = 20
SPANS = ("group_wait", "group_interval", "repeat_interval")
LISTS = ("channels", "group_by")
HOURS = ("days", "from", "to", "timezone")
STEP = ("after", "channels", "match", *HOURS)
ROWS: Mapping[str, tuple[str, ...]] = {"quiet": HOURS, "steps": STEP}
_PLACE = re.compile(r"(quiet|steps)\.(\d+)(?:\.(.+))?\Z")


@dataclass(slots=True)
class Typed:
    """What stands in the form: texts by field, and the rows."""

    texts: dict[str, str]
    boxes: dict[str, bool]
    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)


def shown(spec: Mapping[str, Any], *, enabled: bool) -> Typed:
    """A route (its spec as JSON) as it would be typed."""
    texts = {"match": spec["match"], "repeat_steps": str(spec["repeat_steps"])}
    texts |= {name: ", ".join(spec[name]) for name in LISTS}
    texts |= {name: _span_text(spec[f"{name}_s"]) for name in SPANS}
    boxes = {"enabled": enabled, "continue": spec["continue"], "send_resolved": spec["send_resolved"]}
    steps = [
        {"after": _span_text(one["after_s"]), "channels": ", ".join(one["channels"]), "match": one["match"],
         **_hours(one["hours"])}
        for one in spec["steps"]
    ]  # fmt: skip
    return Typed(texts, boxes, {"quiet": [_hours(one) for one in spec["quiet"]], "steps": steps})


def _hours(hours: Mapping[str, Any] | None) -> dict[str, str]:
    if hours is None:
        return dict.fromkeys(HOURS, "")
    days = "" if list(hours["days"]) == list(DAYS) else ", ".join(hours["days"])
    return {"days": days, "from": hours["from"][:5], "to": hours["to"][:5], "timezone": hours["timezone"]}


def _span_text(seconds: int) -> str:
    return span_text(seconds) if seconds else "0s"


def typed(form: Form) -> Typed:
    """What came back. Rows without a word in them are left out, so that the others have the places of the spec."""
    texts = {name: form.text(name) for name in ("match", "repeat_steps", *LISTS, *SPANS)}
    boxes = {name: name in form for name in ("enabled", "continue", "send_resolved")}
    rows = {}
    for kind, names in ROWS.items():
        found = [{name: form.text(f"{kind}.{number}.{name}") for name in names} for number in range(MAX_ROWS)]
        rows[kind] = [row for row in found if any(text for name, text in row.items() if name != "timezone")]
    return Typed(texts, boxes, rows)


def read(given: Typed) -> tuple[dict[str, Any], Faults]:
    """The spec that was typed, and what is no length of time at its field; the command checks all else."""
    faults = Faults()
    spec: dict[str, Any] = {name: given.boxes[name] for name in ("continue", "send_resolved")}
    spec |= {name: words(given.texts[name]) for name in LISTS}
    spec |= {"match": given.texts["match"], "repeat_steps": given.texts["repeat_steps"] or "0"}
    spec |= {f"{name}_s": _seconds(given.texts[name], name, faults) for name in SPANS}
    spec["quiet"] = [_read_hours(row) for row in given.rows["quiet"]]
    spec["steps"] = [
        {
            "after_s": _seconds(row["after"], f"steps.{number}.after", faults), "channels": words(row["channels"]),
            "match": row["match"], "hours": _read_hours(row) if row["from"] or row["to"] or row["days"] else None,
        }
        for number, row in enumerate(given.rows["steps"])
    ]  # fmt: skip
    return spec, faults


def _read_hours(row: Mapping[str, str]) -> dict[str, Any]:
    days = words(row["days"].lower()) or list(DAYS)
    return {"days": days, "from": row["from"], "to": row["to"], "timezone": row["timezone"] or "UTC"}


def _seconds(text: str, name: str, faults: Faults) -> int:
    try:
        return span(text) or 0
    except UsageError as error:
        faults[name] = f"{error.detail} {error.hint}"
        return 0


def words(text: str) -> list[str]:
    """What stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def placed(error: HubError | None) -> Faults:
    """The fault of a command at the field that shows it."""
    found = Faults()
    for place, text in faults_of(error).items():
        path = place.removeprefix("spec.").replace("_s.", ".")
        row = _PLACE.match(path)
        if row is None:
            found[path.partition(".")[0].removesuffix("_s")] = text
            continue
        name = (row[3] or "from").removeprefix("hours.").removesuffix("_s").partition(".")[0]
        found[f"{row[1]}.{row[2]}.{'from' if name in ('', 'hours') else name}"] = text
    return found
