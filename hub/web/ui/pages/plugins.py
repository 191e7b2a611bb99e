"""Plugins: how each stands and why, its configuration as a form, switching it on and off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.plugins import config_model
from hub.runtime import plugging, plugin_reports
from hub.types import DEFAULT_WORKSPACE
from hub.web.ui import forms
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
GONE = "gone."
"""What the name of a box begins with that lets a secret field go."""
STATES = {
    "loaded": ("good", "Loaded", "COMPLETED"),
    "degraded": ("warn", "Degraded", "warning"),
    "failed": ("bad", "Failed", "FAILED"),
    "incompatible": ("bad", "Incompatible", "FAILED"),
    "disabled": ("idle", "Off", "PAUSED"),
}
SKIPPED = ("bad", "Skipped", "CRASHED")
_ORDER = ("failed", "incompatible", "degraded", "loaded", "disabled")


@pages.get("/ui/plugins", needs="plugins:read")
def plugin_list(view: View) -> Response:
    """All plugins, what is wrong first."""
    with view.store.read() as tx:
        rows = plugin_reports.listing(tx, view.services.plugins)
    rows.sort(key=lambda row: (not row["breakers"], _ORDER.index(row["state"]), row["own"], row["name"]))
    return view.page(
        "plugins.html", topics="plugins", found=rows, states={_key(row): _state(row) for row in rows},
        safe_mode=view.services.settings.safe_mode,
    )  # fmt: skip


@pages.get("/ui/plugins/{name}", needs="plugins:read")
def plugin_detail(view: View) -> Response:
    """One plugin with its hooks, its failures, and the form of its configuration."""
    return _detail(view)


@pages.post("/ui/plugins/{name}/configure", needs="plugins:write")
def configure(view: View) -> Response:
    """Set what was typed; a field that is left empty is let go, a secret one that is left empty stays."""
    row = _row(view)
    typed = forms.read(_schema(row), _set(row), view.form, what="plugin")
    if typed.wrong:
        return _detail(view, typed)
    gone = [field["name"] for field in row["fields"] if _is_gone(view, field, typed.values)]
    revision = view.form.text("revision")
    args = {
        "fields": typed.values, "unset": gone, "revision": int(revision) if revision.isdecimal() else None,
    }  # fmt: skip
    try:
        plugging.prepare(row["name"])
        view.change("plugin.configure", row["name"], args)
    except (UsageError, ConflictError) as error:
        return _detail(view, typed, error)
    return view.go(link("/ui/plugins", row["name"], done="plugin-configured"))


@pages.post("/ui/plugins/{name}/enable", needs="plugins:write")
def enable(view: View) -> Response:
    """Switch a plugin on."""
    return _done(view, "enable", "plugin-enabled")


@pages.get("/ui/plugins/{name}/disable", needs="plugins:write")
def ask_disable(view: View) -> Response:
    """Ask before a plugin is switched off."""
    row = _row(view)
    text = "Its hooks are not called any more, and what it brought, such as kinds of connection, is missing."
    points = [f"It takes part in: {', '.join(hook.removeprefix('hub_') for hook in row['hooks']) or 'nothing here'}"]
    return view.page(
        "confirm.html", title=f"Switch off the plugin {row['name']}?", text=text, points=points,
        action=link("/ui/plugins", row["name"], "disable"), button="Switch off", back=link("/ui/plugins", row["name"]),
        values={},
    )  # fmt: skip


@pages.post("/ui/plugins/{name}/disable", needs="plugins:write")
def disable(view: View) -> Response:
    """Switch a plugin off."""
    return _done(view, "disable", "plugin-disabled")


@pages.post("/ui/plugins/{name}/reset", needs="plugins:write")
def reset(view: View) -> Response:
    """Forget the failures of its hooks."""
    return _done(view, "reset", "plugin-reset")


def _done(view: View, verb: str, note: str) -> Response:
    name = _row(view)["name"]
    view.change(f"plugin.{verb}", name)
    return view.go(link("/ui/plugins", name, done=note))


def _row(view: View) -> dict[str, Any]:
    name = view.path["name"][:100]
    if "\x00" in name or view.scope.workspace_id != DEFAULT_WORKSPACE:
        raise NotFoundError("there is no such plugin")
    with view.store.read() as tx:
        return plugin_reports.one(tx, view.services.plugins, name)


def _detail(view: View, typed: forms.Filled | None = None, error: HubError | None = None) -> Response:
    row = _row(view)
    filled = typed or forms.Filled(forms.fields_of(_schema(row), _set(row)), {})
    status = 200 if typed is None else error.status if error else 422
    sources = {field["name"]: field for field in row["fields"]}
    return view.page(
        "plugin.html", status=status, topics="plugins", plugin=row, state=_state(row), filled=filled, sources=sources,
        error=error, gone=GONE, shown=forms.SENT,
    )  # fmt: skip


def _schema(row: Mapping[str, Any]) -> dict[str, Any]:
    """The model's schema for a form in which nothing need be typed: what is left empty comes from elsewhere."""
    if not row["fields"]:
        return {}
    schema = config_model(plugging.installed(row["name"])).model_json_schema()
    bare = {name: _bare(rule) for name, rule in schema.get("properties", {}).items()}
    return {**schema, "properties": bare, "required": []}


def _bare(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A field that may be left empty; a box could not: it is ticked or not."""
    said = {key: value for key, value in rule.items() if key != "default"}
    if said.get("type") == "boolean":
        del said["type"]
        said["anyOf"] = [{"type": "boolean"}, {"type": "null"}]
    return said


def _set(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was set, but for what is secret."""
    return {one["name"]: one["value"] for one in row["fields"] if one["source"] == "set" and not one["secret"]}


def _is_gone(view: View, field: Mapping[str, Any], typed: Mapping[str, Any]) -> bool:
    if field["source"] != "set" or field["name"] in typed:
        return False
    return not field["secret"] or bool(view.form.raw(GONE + field["name"]))


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['name']} {row['distribution']}"


def _state(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, word and icon of a plugin's badge."""
    if row["state"] in ("loaded", "degraded") and any(one["state"] == "open" for one in row["breakers"]):
        return SKIPPED
    return STATES[row["state"]]
