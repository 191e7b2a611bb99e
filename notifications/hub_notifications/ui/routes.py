"""Routes: which alerts go where, in their order; and the question who would get one."""

from __future__ import annotations

from typing import Any

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.store.base import Tx
from hub.web.ui.faults import Faults
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from pydantic import ValidationError
from starlette.responses import Response

from hub_notifications import channels, groups, route_api
from hub_notifications.firing import SEVERITIES
from hub_notifications.routes import DEFAULT_SPEC, LABELS, Spec
from hub_notifications.ui import route_forms
from hub_notifications.ui.drawing import draw, draw_form

pages = Pages()
MOST_CHANNELS = 200


@pages.get("/ui/routes", needs="channels:read")
def route_list(view: View) -> Response:
    """All routes in their order, the default route last."""
    with view.store.read() as tx:
        rows = groups.list_routes(tx, view.scope)
    shown = [(row, route_forms.shown(_spec(row), enabled=row["enabled"])) for row in rows]
    return draw(view, "routes.html", topics="catalog", routes=shown)


@pages.post("/ui/routes/{route_id}/move", needs="channels:write")
def move(view: View) -> Response:
    """Ask a route one place earlier or later."""
    with view.store.read() as tx:
        row = _row(tx, view)
        order = [one["id"] for one in groups.list_routes(tx, view.scope)]
    at = order.index(row["id"]) + (1 if view.form.text("to") == "down" else -1)
    args = {"name": row["name"], "enabled": row["enabled"], "spec": row["spec"], "position": max(at, 0)}
    view.change("route.set", "", args)
    return view.go(link("/ui/routes", done="route-moved"))


@pages.get("/ui/routes/new", needs="channels:write")
def ask_new(view: View) -> Response:
    """The form for a route."""
    spec = Spec().model_dump(mode="json", by_alias=True)
    return _form(view, None, "", route_forms.shown(spec, enabled=True), Faults(), None)


@pages.post("/ui/routes/new", needs="channels:write")
def create(view: View) -> Response:
    """Make a route, asked before the default route."""
    name = view.form.text("name")
    with view.store.read() as tx:
        taken = [row for row in groups.list_routes(tx, view.scope) if row["name"] == name]
    if taken:  # the operation would change it
        error = UsageError(f"name: there is a route named {name!r}", hint="Take another name.", field="name")
        return _form(view, None, name, route_forms.typed(view.form), route_forms.placed(error), error)
    return _set(view, None, name)


@pages.get("/ui/routes/{route_id}/edit", needs="channels:write")
def ask_edit(view: View) -> Response:
    """The form, with what holds now."""
    with view.store.read() as tx:
        row = _row(tx, view)
    return _form(view, row, row["name"], route_forms.shown(_spec(row), enabled=row["enabled"]), Faults(), None)


@pages.post("/ui/routes/{route_id}/edit", needs="channels:write")
def edit(view: View) -> Response:
    """Change a route. What fires is given to the routes once more."""
    with view.store.read() as tx:
        row = _row(tx, view)
    return _set(view, row, row["name"])


def _set(view: View, row: dict[str, Any] | None, name: str) -> Response:
    given = route_forms.typed(view.form)
    if row is not None and row["is_default"]:
        given.boxes |= {"enabled": True, "continue": False}
    if "more" in view.form:
        return _form(view, row, name, given, Faults(), None)
    spec, faults = route_forms.read(given)
    if faults:
        return _form(view, row, name, given, faults, UsageError("a field cannot be read"))
    try:
        view.change("route.set", "", {"name": name, "enabled": given.boxes["enabled"], "spec": spec})
    except (UsageError, ConflictError) as error:
        return _form(view, row, name, given, route_forms.placed(error), error)
    return view.go(link("/ui/routes", done="route-set"))


def _form(
    view: View, row: dict[str, Any] | None, name: str, given: route_forms.Typed, faults: Faults, error: HubError | None
) -> Response:
    """One empty row stands below those that are filled in; the button below them saves nothing and adds another."""
    rows = {
        kind: [*given.rows[kind], dict.fromkeys(names, "")][: route_forms.MAX_ROWS]
        for kind, names in route_forms.ROWS.items()
    }
    with view.store.read() as tx:
        known = channels.listed(tx, view.scope, limit=MOST_CHANNELS, cursor=None).items
    targets = sorted({row["name"] for row in known} | {channels.TAG + tag for row in known for tag in row["tags"]})
    return draw_form(
        view, "route-form.html", error, route=row, name=name, texts=given.texts, boxes=given.boxes, rows=rows,
        faults=faults, targets=targets, labels=LABELS,
    )  # fmt: skip


@pages.get("/ui/routes/{route_id}/delete", needs="channels:write")
def ask_delete(view: View) -> Response:
    """Ask before a route is deleted; of the default route only what was changed goes."""
    with view.store.read() as tx:
        row = _row(tx, view)
    title, button = f"Delete the route {row['name']}?", "Delete the route"
    points = ["What it took goes to the routes after it, the default route at the last."]
    if row["is_default"]:
        title, button = "Set the default route back?", "Set it back"
        points = ["It tells every channel at once again. It cannot be deleted: what no other route takes comes here."]
    return draw(
        view, "confirm.html", title=title, text="What fires is given to the routes once more.", points=points,
        action=link("/ui/routes", row["id"], "delete"), button=button, back="/ui/routes", values={},
    )  # fmt: skip


@pages.post("/ui/routes/{route_id}/delete", needs="channels:write")
def delete(view: View) -> Response:
    """Delete a route."""
    view.change("route.rm", view.id_of("route_id", "route"))
    return view.go(link("/ui/routes", done="route-deleted"))


@pages.get("/ui/routes/test", needs="channels:read")
def test(view: View) -> Response:
    """Who would get an alert: one there is, or one as it might come. Nothing is sent."""
    given = {name: view.query(name) for name in ("alert", "kind", "severity", "about", "labels")}
    given["severity"] = given["severity"] if given["severity"] in SEVERITIES else "error"
    asked = any(name in view.request.query_params for name in ("alert", "kind"))
    error: HubError | None = None
    found: list[route_api.PathOut] = []
    if asked:
        try:
            found = route_api.tried(view.store, view.scope, _asked(given)).paths
        except (UsageError, NotFoundError) as refused:
            error = refused
    return draw_form(
        view, "route-test.html", error, given=given, asked=asked, paths=found, severities=SEVERITIES, known=LABELS
    )


def _asked(given: dict[str, str]) -> route_api.TestIn:
    if given["alert"]:
        return route_api.TestIn.model_validate({"alert_id": given["alert"][:36]})
    pairs = [line.partition("=") for line in given["labels"].replace(",", "\n").splitlines() if line.strip()]
    if any(not equals for _, equals, _ in pairs):
        raise UsageError("labels: expected NAME=VALUE", hint="Separate several by commas.", field="labels")
    labels = {name.strip(): value.strip() for name, _, value in pairs}
    try:
        return route_api.TestIn.model_validate(
            {"kind": given["kind"] or "run-failed", "severity": given["severity"], "about": given["about"],
             "labels": labels}
        )  # fmt: skip
    except ValidationError as error:
        place, says = str(error.errors()[0]["loc"][0]), error.errors()[0]["msg"]
        raise UsageError(f"{place}: {says}", field=place) from None


def _spec(row: dict[str, Any]) -> dict[str, Any]:
    """All of a spec, also what it left to the defaults."""
    spec = row["spec"] or DEFAULT_SPEC.model_dump(mode="json", by_alias=True)
    return Spec.model_validate(spec).model_dump(mode="json", by_alias=True)


def _row(tx: Tx, view: View) -> dict[str, Any]:
    return groups.find_route(tx, view.scope, view.id_of("route_id", "route"))
