"""Variables: small values by name, set with a form."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.store import variables
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()


@pages.get("/ui/variables", needs="variables:read")
def variable_list(view: View) -> Response:
    """Variables, newest first."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found, now = variables.listing(tx, view.scope, cursor=cursor or None), tx.now
    return view.page("variables.html", topics="catalog", found=found, now=now, cursor=cursor)


@pages.get("/ui/variables/new", needs="variables:write")
def new_variable(view: View) -> Response:
    """The form for a variable that nobody has set."""
    return _form(view, None, {"name": "", "value": "", "tags": ""})


@pages.post("/ui/variables/new", needs="variables:write")
def create(view: View) -> Response:
    """Set a variable that nobody has set."""
    return _set(view, None, view.form.text("name"))


@pages.get("/ui/variables/{name}/edit", needs="variables:write")
def edit(view: View) -> Response:
    """The form for a variable that is set."""
    row = _row(view)
    typed = {"name": row["name"], "value": _written(row["value"]), "tags": ", ".join(row["tags"])}
    return _form(view, row["name"], typed)


@pages.post("/ui/variables/{name}/edit", needs="variables:write")
def change(view: View) -> Response:
    """Set a variable anew."""
    name = _row(view)["name"]
    return _set(view, name, name)


@pages.get("/ui/variables/{name}/delete", needs="variables:write")
def ask_delete(view: View) -> Response:
    """Ask before a variable is removed."""
    name = _row(view)["name"]
    return view.page(
        "confirm.html", title=f"Remove the variable {name}?",
        text="Flows that read it get their default, or fail where they have none.",
        action=link("/ui/variables", name, "delete"), button="Remove the variable", back="/ui/variables", values={},
    )  # fmt: skip


@pages.post("/ui/variables/{name}/delete", needs="variables:write")
def delete(view: View) -> Response:
    """Remove a variable."""
    view.change("variable.unset", view.path["name"])
    return view.go(link("/ui/variables", done="variable-removed"))


def _set(view: View, there: str | None, name: str) -> Response:
    typed = {"name": name, "value": view.form.raw("value") or "", "tags": view.form.text("tags")}
    try:
        args = {"name": name, "value": _read(typed["value"]), "tags": _tags(typed["tags"]), "overwrite": bool(there)}
        view.change("variable.set", name, args)
    except (UsageError, ConflictError) as error:
        return _form(view, there, typed, error)
    return view.go(link("/ui/variables", done="variable-set"))


def _form(
    view: View, there: str | None, typed: dict[str, str], error: UsageError | ConflictError | None = None
) -> Response:
    action = link("/ui/variables", there, "edit") if there else "/ui/variables/new"
    status = error.status if error else 200
    return view.page("variable-form.html", status=status, there=there, typed=typed, action=action, error=error)


def _row(view: View) -> dict[str, Any]:
    name = view.path["name"][:200]
    if "\x00" in name:
        raise NotFoundError("there is no such variable")
    with view.store.read() as tx:
        return variables.get(tx, view.scope, name)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the value is no JSON: {error}", hint='A text stands in quotes: "like this".') from None


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) else None)


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]
