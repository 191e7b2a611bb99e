"""The forms of channels: choose a service, fill in its fields, try it; later another address, limits, texts."""

from __future__ import annotations

from typing import Any

from hub.errors import ConflictError, HubError, UsageError
from hub.runtime import contributed
from hub.web.ui.faults import Faults, faults_of
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View
from pydantic import SecretStr
from starlette.responses import Response

from hub_notifications import channels, forms, texts_api
from hub_notifications.samples import SAMPLES
from hub_notifications.schemes import allowed_address, is_allowed
from hub_notifications.ui import schemes
from hub_notifications.ui.drawing import draw, draw_form

pages = Pages()
WHOLE = "address"
"""In place of a scheme: the address is typed whole."""
NUMBERS = ("rate", "burst")
TEXTS = ("title_template", "body_template")


@pages.get("/ui/channels/new", needs="channels:write")
def new_channel(view: View) -> Response:
    """Choose a service, then fill in its form."""
    if view.query("scheme"):
        return _address_form(view, None, view.query("scheme"), None)
    asked = view.query("q")
    words = asked.casefold().split()
    every = schemes.services(_schemes(), lambda scheme: is_allowed(view.services.settings, scheme))
    found = [one for one in every if all(word in one.words for word in words)]
    return draw(view, "channel-services.html", services=found, asked=asked)


@pages.post("/ui/channels/new", needs="channels:write")
def create(view: View) -> Response:
    """Make a channel. What is secret is typed again after a mistake: it is never sent back."""
    form = view.form
    args: dict[str, Any] = {"name": form.text("name"), "tags": _words(form.text("tags"))}
    args |= {name: form.text(name) for name in NUMBERS if form.text(name)}
    try:
        address = _address(view)
        made = view.change("channel.add", "", {**args, "address": address})
    except (UsageError, ConflictError) as error:
        return _address_form(view, None, form.text("scheme"), error)
    return view.go(link("/ui/channels", str(made.result["id"]), done="channel-created"))


@pages.get("/ui/channels/{channel_id}/address", needs="channels:write")
def ask_address(view: View) -> Response:
    """The form for another address, of the service that the channel has or of another one."""
    channel = _channel(view)
    return _address_form(view, channel, view.query("scheme", channel["scheme"]), None)


@pages.post("/ui/channels/{channel_id}/address", needs="channels:write")
def change_address(view: View) -> Response:
    """Give a channel another address; that switches it on again."""
    channel = _channel(view)
    try:
        view.change("channel.update", channel["id"], {"address": _address(view)})
    except UsageError as error:
        return _address_form(view, channel, view.form.text("scheme"), error)
    return view.go(link("/ui/channels", channel["id"], done="channel-readdressed"))


def _address(view: View) -> SecretStr:
    """What was typed, checked as the API checks it."""
    form, settings = view.form, view.services.settings
    name = form.text("scheme") or WHOLE
    if name == WHOLE:
        return allowed_address(settings, SecretStr(form.text("address")))
    scheme = forms.find_scheme(name, contributed.installed().channels)
    given = schemes.typed(scheme, form.text)
    return allowed_address(settings, None, name, {field: SecretStr(value) for field, value in given.items()})


def _address_form(view: View, channel: dict[str, Any] | None, name: str, error: HubError | None) -> Response:
    whole = name in ("", WHOLE)
    scheme = None if whole else forms.find_scheme(name, contributed.installed().channels)
    if scheme is not None and not scheme.fields:  # a plugin's: only it knows what the parts of its addresses are
        whole = True
    main, more = schemes.fields(scheme) if scheme and not whole else ([], [])
    values = {one.key: "" if one.private else view.form.text(one.key) for one in (*main, *more)}
    values |= {key: view.form.text(key) for key in ("name", "tags", *NUMBERS)}
    return draw_form(
        view, "channel-form.html", error, channel=channel, scheme=scheme, whole=whole, main=main, more=more,
        faults=_placed(error, whole), values=values, ways=schemes.ways(scheme) if scheme and not whole else [],
        others=_others(scheme) if scheme else [],
    )  # fmt: skip


def _placed(error: HubError | None, whole: bool) -> Faults:
    """Each fault at the field that shows it: one of a whole address at its field, a name that is taken at the name."""
    found = Faults({name.partition(".")[0] if name.startswith("tags") else name: text
                    for name, text in faults_of(error).items()})  # fmt: skip
    if isinstance(error, ConflictError) and not found and "name" in error.detail:
        found["name"] = error.detail
    elif error is not None and not found and whole:
        found["address"] = f"{error.detail}. {error.hint}" if error.hint else error.detail
    return found


def _others(scheme: forms.Scheme) -> list[str]:
    return [one.scheme for one in _schemes() if one.service == scheme.service and one.scheme != scheme.scheme]


def _schemes() -> list[forms.Scheme]:
    return forms.list_schemes(contributed.installed().channels)


@pages.get("/ui/channels/{channel_id}/edit", needs="channels:write")
def ask_edit(view: View) -> Response:
    """The form for limits, tags and texts, with what holds now."""
    channel = _channel(view)
    return _edit_form(view, channel, _texts(channel), None)


@pages.post("/ui/channels/{channel_id}/edit", needs="channels:write")
def edit(view: View) -> Response:
    """Save what was typed, or show what the channel would get by it."""
    channel = _channel(view)
    typed = {name: view.form.text(name) for name in ("tags", *NUMBERS, "sample")}
    typed |= {name: (view.form.raw(name) or "").replace("\r\n", "\n") for name in TEXTS}
    try:
        if "preview" in view.form:
            return _edit_form(view, channel, typed, None, _preview(view, channel, typed))
        args = {name: typed[name] for name in (*NUMBERS, *TEXTS)}
        view.change("channel.update", channel["id"], {**args, "tags": _words(typed["tags"])})
    except (UsageError, ConflictError) as error:
        return _edit_form(view, channel, typed, error)
    return view.go(link("/ui/channels", channel["id"], done="channel-updated"))


def _preview(view: View, channel: dict[str, Any], typed: dict[str, str]) -> texts_api.PreviewOut:
    sample = typed["sample"] if typed["sample"] in SAMPLES else SAMPLES[0]
    given = {name: typed[name] for name in TEXTS}
    asked = texts_api.PreviewIn.model_validate({"sample": sample, **given})
    return texts_api.preview_of(view.store, view.services.settings, view.scope, channel["id"], asked)


def _texts(channel: dict[str, Any]) -> dict[str, str]:
    """What holds, as it would be typed."""
    held = {name: str(channel[name]) for name in (*NUMBERS, *TEXTS)}
    return {**held, "tags": ", ".join(channel["tags"]), "sample": SAMPLES[0]}


def _edit_form(
    view: View, channel: dict[str, Any], values: dict[str, str], error: HubError | None,
    shown: texts_api.PreviewOut | None = None,
) -> Response:  # fmt: skip
    return draw_form(
        view, "channel-edit.html", error, channel=channel, values=values, faults=_at_templates(error), shown=shown,
        samples=SAMPLES,
    )  # fmt: skip


def _at_templates(error: HubError | None) -> Faults:
    """A mistake in a template at its field; its sentence says the line."""
    found = _placed(error, whole=False)
    for name in TEXTS if error is not None and not found else ():
        if error is not None and name in error.detail:
            found[name] = f"{error.detail} {error.hint}".strip()
            break
    return found


def _channel(view: View) -> dict[str, Any]:
    with view.store.read() as tx:
        return channels.find(tx, view.scope, view.id_of("channel_id", "channel"))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
