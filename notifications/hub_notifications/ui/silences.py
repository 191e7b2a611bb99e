"""Silences and maintenance windows: alerts that nobody is told of for a while."""

from __future__ import annotations

import json
from typing import Any

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.moments import span
from hub.types import SECOND, Micros, from_rfc3339, rfc3339
from hub.web.ui.faults import Faults, faults_of
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from starlette.responses import Response

from hub_notifications import firing, groups
from hub_notifications.muting import silence_state
from hub_notifications.routes import labels_of
from hub_notifications.ui import people
from hub_notifications.ui.drawing import draw, draw_form

pages = Pages()
STATES = {"active": ("busy", "Active"), "planned": ("warn", "Planned"), "ended": ("idle", "Over")}
FILTERS = (("", "Not over"), ("active", "Active"), ("planned", "Planned"), ("ended", "Over"))
FIELDS = ("match", "comment", "starts", "ends", "cron", "timezone", "duration", "alert")
_HINT = "Write 30m, 2h or 7d, or a time like 2026-01-31T08:00:00Z."


@pages.get("/ui/silences", needs="alerts:read")
def silence_list(view: View) -> Response:
    """Silences, newest first, by what they do now."""
    state = view.query("state")
    with view.store.read() as tx:
        rows = groups.list_silences(tx, view.scope, ended=state == "ended")
        hidden, now = groups.hidden_by(tx, view.scope.workspace_id, rows), tx.now
    shown = [(row, silence_state(row, now)) for row in rows]
    wanted = (state,) if state in STATES else ("active", "planned")
    return draw(
        view, "silences.html", topics="alerts,catalog", silences=[one for one in shown if one[1] in wanted], now=now,
        hidden=hidden, states=STATES, options=FILTERS, query={"state": state if state in STATES else ""},
    )  # fmt: skip


@pages.get("/ui/silences/new", needs="alerts:write")
def ask_new(view: View) -> Response:
    """The form: once, or as a window that comes again; of an alert its matchers stand there already."""
    values = dict.fromkeys(FIELDS, "") | {"ends": "2h", "timezone": "UTC", "duration": "1h"}
    window = view.query("kind") == "window"
    if window:
        values["ends"] = ""
    if view.query("alert"):
        with view.store.read() as tx:
            alert = firing.find(tx, view.scope, view.query("alert"))
        values |= {"match": matchers(alert), "alert": alert["id"]}
    return _form(view, values, Faults(), None, window=window)


def matchers(alert: dict[str, Any]) -> str:
    """A filter that is true of an alert, and of it when it comes again."""
    labels = labels_of(alert)
    about, kind = (json.dumps(text, ensure_ascii=False) for text in (labels["about"], labels["kind"]))
    return f"labels.about == {about} && labels.kind == {kind}"


@pages.post("/ui/silences/new", needs="alerts:write")
def create(view: View) -> Response:
    """Make a silence."""
    values = {name: view.form.text(name) for name in FIELDS}
    window = view.form.text("kind") == "window"
    with view.store.read() as tx:
        now = tx.now
    args: dict[str, Any] = {"match": values["match"], "comment": values["comment"], "author": people.reader(view)}
    faults = Faults()
    for name in ("starts", "ends"):
        if values[name]:
            args[name] = _later(values[name], now, name, faults)
    if window:
        length = _length(values["duration"], faults)
        args["schedule"] = {"cron": values["cron"], "timezone": values["timezone"] or "UTC", "duration_s": length}
    elif not values["ends"]:
        faults["ends"] = f"A silence needs an end. {_HINT}"
    if faults:
        return _form(view, values, faults, UsageError("a field cannot be read"), window=window)
    try:
        view.change("silence.create", "", args)
    except (UsageError, ConflictError) as error:
        return _form(view, values, _placed(error), error, window=window)
    return view.go(link("/ui/alerts", values["alert"], done="silenced") if values["alert"] else
                   link("/ui/silences", done="silenced"))  # fmt: skip


def _later(text: str, now: Micros, name: str, faults: Faults) -> str:
    """RFC 3339 of a time that is typed, or of so long from now."""
    try:
        return rfc3339(now + (span(text) or 0) * SECOND)
    except UsageError:
        pass
    try:
        return rfc3339(from_rfc3339(text))
    except ValueError:
        faults[name] = f"{text[:60]!r} is no time. {_HINT}"
        return ""


def _length(text: str, faults: Faults) -> int:
    try:
        return span(text) or 0
    except UsageError as error:
        faults["duration"] = f"{error.detail} {error.hint}"
        return 0


def _placed(error: HubError) -> Faults:
    """What is wrong with the schedule, at the field that shows it."""
    found = Faults()
    for place, text in faults_of(error).items():
        name = place.removeprefix("schedule.").removesuffix("_s")
        found["cron" if name == "schedule" else name] = text
    return found


def _form(view: View, values: dict[str, str], faults: Faults, error: HubError | None, *, window: bool) -> Response:
    return draw_form(view, "silence-form.html", error, values=values, faults=faults, window=window)


@pages.post("/ui/silences/{silence_id}/end", needs="alerts:write")
def end(view: View) -> Response:
    """End a silence now; it stays among those that were."""
    view.change("silence.end", view.id_of("silence_id", "silence"))
    return view.go(link("/ui/silences", done="silence-ended"))


@pages.get("/ui/inhibitions", needs="channels:read")
def inhibition_list(view: View) -> Response:
    """All inhibitions."""
    with view.store.read() as tx:
        rows = groups.inhibitions_of(tx, view.scope.workspace_id)
    return draw(view, "inhibitions.html", topics="catalog", inhibitions=rows)


@pages.get("/ui/inhibitions/new", needs="channels:write")
def ask_inhibition(view: View) -> Response:
    """The form for an inhibition; with `name` one there is."""
    values = dict.fromkeys(("name", "source", "target", "equal"), "")
    name = view.query("name")
    if name:
        row = _inhibition(view, name)
        values = {"name": name, "source": row["source"], "target": row["target"], "equal": ", ".join(row["equal"])}
    return draw_form(view, "inhibition-form.html", None, values=values, there=bool(name))


@pages.post("/ui/inhibitions/new", needs="channels:write")
def set_inhibition(view: View) -> Response:
    """Make an inhibition, or make the one of that name be as typed."""
    values = {name: view.form.text(name) for name in ("name", "source", "target", "equal")}
    equal = [word.strip() for word in values["equal"].split(",") if word.strip()]
    try:
        view.change("inhibition.set", "", {**values, "equal": equal})
    except UsageError as error:
        placed = Faults({name.partition(".")[0]: text for name, text in faults_of(error).items()})
        there = "there" in view.form
        return draw_form(view, "inhibition-form.html", error, values=values, there=there, faults=placed)
    return view.go(link("/ui/inhibitions", done="inhibition-set"))


@pages.get("/ui/inhibitions/{inhibition_id}/delete", needs="channels:write")
def ask_delete(view: View) -> Response:
    """Ask before an inhibition is deleted."""
    row = _inhibition(view, view.id_of("inhibition_id", "inhibition"))
    return draw(
        view, "confirm.html", title=f"Delete the inhibition {row['name']}?",
        text="What it hides and still fires is told.",
        action=link("/ui/inhibitions", row["id"], "delete"), button="Delete the inhibition", back="/ui/inhibitions",
        values={},
    )  # fmt: skip


@pages.post("/ui/inhibitions/{inhibition_id}/delete", needs="channels:write")
def delete(view: View) -> Response:
    """Delete an inhibition."""
    view.change("inhibition.rm", view.id_of("inhibition_id", "inhibition"))
    return view.go(link("/ui/inhibitions", done="inhibition-deleted"))


def _inhibition(view: View, target: str) -> dict[str, Any]:
    with view.store.read() as tx:
        for row in groups.inhibitions_of(tx, view.scope.workspace_id):
            if target in (row["id"], row["name"]):
                return row
    raise NotFoundError(f"there is no inhibition {target[:80]!r}", hint="The list shows those there are.")
