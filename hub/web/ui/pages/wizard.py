"""From nothing to the first request: choose a provider, fill in its form, set it up there, watch the request arrive."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.runtime.presets import installed
from hub.runtime.suggested import suggested
from hub.store import sources as store_sources
from hub.store.base import Tx
from hub.store.tables import Receipt
from hub.types import Id
from hub.web.api.webhooks import address, is_ready, let_in
from hub.web.ui import queries
from hub.web.ui.faults import faults_of
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.verdicts import VERDICTS
from hub.web.ui.view import View
from hub.webhooks.preset import Preset

pages = Pages()
RECEIPTS = Receipt.__table__
OPTION = "option."
POPULAR = (
    "github", "gitlab", "stripe", "slack", "shopify", "standard-webhooks", "generic-hmac", "token", "cloudevents",
    "grafana", "sentry", "linear",
)  # fmt: skip
_SENTENCE = re.compile(r"(?<=[a-z0-9)\]}])[.] (?=[A-Z])")
_LOOKED_AT = 20


@pages.get("/ui/sources/new", needs="sources:write")
def new_source(view: View) -> Response:
    """Choose a provider, then fill in its form."""
    chosen = view.query("preset")
    if chosen:
        return _form(view, installed().get(chosen), None)
    asked = view.query("q")
    found = [preset for preset in _popular_first() if _fits(preset, asked)]
    return view.page("source-presets.html", presets=found, asked=asked, all=len(installed()), words=_words)


def _popular_first() -> list[Preset]:
    order = {name: place for place, name in enumerate(POPULAR)}
    return sorted(installed(), key=lambda preset: (order.get(preset.id, len(order)), preset.name.casefold()))


def _words(preset: Preset) -> str:
    """What a search looks in."""
    return f"{preset.name} {preset.id} {preset.summary}".casefold()


def _fits(preset: Preset, asked: str) -> bool:
    return all(word in _words(preset) for word in asked.casefold().split())


@pages.post("/ui/sources/new", needs="sources:write")
def create(view: View) -> Response:
    """Make a source, and show its address and its secret, this once."""
    preset = installed().get(view.form.text("preset"))
    options = {name: view.form.text(OPTION + name) for name in preset.options}
    args = {
        "name": view.form.text("name"), "preset": preset.id, "secret": view.form.text("secret") or None,
        "connection": view.form.text("connection") or None,
        "options": {name: value for name, value in options.items() if value},
        "mode": "observe" if "observe" in view.form else "enforce",
        "verify": "none" if "verify_none" in view.form else "preset",
    }  # fmt: skip
    try:
        made = view.change("source.create", "", args)
    except (UsageError, ConflictError, NotFoundError) as error:
        return _form(view, preset, error)
    return once(view, made.result, title="The source was created", repeated=made.repeated)


def _form(view: View, preset: Preset, error: HubError | None) -> Response:
    values = {name: view.form.raw(OPTION + name) or (option.default or "") for name, option in preset.options.items()}
    return view.page(
        "source-form.html", status=error.status if error else 200, preset=preset, error=error, values=values,
        prefix=OPTION, name=view.form.text("name") if error else _free_name(view, preset), faults=faults_of(error),
        connection=view.form.text("connection"), observe="observe" in view.form, open="verify_none" in view.form,
    )  # fmt: skip


def _free_name(view: View, preset: Preset) -> str:
    """The preset's own name while no source has it."""
    try:
        with view.store.read() as tx:
            store_sources.row(tx, view.scope, preset.id)
    except NotFoundError:
        return preset.id
    return ""


def once(view: View, made: dict[str, Any], *, title: str, repeated: bool) -> Response:
    """What is new of a source's address and secret, on its page of setting up. A form that is sent again gets no
    second look at them."""
    token = made.get("token")
    new = {"url": address(view.services.settings, token) if token else "", "secret": made.get("secret") or ""}
    answer = _setup(view, made["id"], title=title, new=new, repeated=repeated)
    answer.headers["cache-control"] = "no-store"
    return answer


@pages.get("/ui/sources/{source_id}/setup", needs="sources:read")
def setup(view: View) -> Response:
    """What to do at the provider, and the first request as soon as it has come."""
    return _setup(view, view.id_of("source_id", "source"), title="")


def _setup(
    view: View, source_id: Id, *, title: str, new: dict[str, str] | None = None, repeated: bool = False,
    error: HubError | None = None,
) -> Response:  # fmt: skip
    with view.store.read() as tx:
        source = store_sources.row(tx, view.scope, source_id)
        preset = installed().find(source["preset"])
        ready = is_ready(source, preset, store_sources.secret_rows(tx, source_id))
        first, now = _first(tx, view, source_id), tx.now
        hint = suggested(tx, first, source) if first else None
    return view.page(
        "source-setup.html", status=error.status if error else 200, topics="receipts,catalog",
        fresh=link("/ui/sources", source_id, "setup"), title=title or f"Set up {source['name']}", source=source,
        preset=preset, ready=ready, new=new, repeated=repeated, first=first, now=now, verdicts=VERDICTS,
        steps=_SENTENCE.split(preset.where) if preset else [], hint=hint and (hint, installed().get(hint.preset)),
        public=bool(view.services.settings.public_url), error=error, faults=faults_of(error),
    )  # fmt: skip


def _first(tx: Tx, view: View, source_id: Id) -> dict[str, Any] | None:
    """The last request that was let in; else the last that was not."""
    where = RECEIPTS.c.source_id == source_id
    last = queries.listing(tx, view.scope, RECEIPTS, where, limit=_LOOKED_AT, without=("body",)).items
    return next((row for row in last if row["verdict"] != "rejected"), last[0] if last else None)


@pages.post("/ui/sources/{source_id}/secret", needs="sources:write")
def give_secret(view: View) -> Response:
    """Give a source the secret that its provider has made."""
    source_id = view.id_of("source_id", "source")
    try:
        view.change("source.rotate", source_id, {"secret": view.form.text("secret") or None})
    except UsageError as error:
        return _setup(view, source_id, title="", error=error)
    return view.go(link("/ui/sources", source_id, "setup", done="secret-set"))


@pages.post("/ui/sources/{source_id}/sample", needs="sources:write")
def send_sample(view: View) -> Response:
    """Sign a sample as the provider would and let it come in; its receipt is shown."""
    args = {"event": view.form.text("event") or None, "url": address(view.services.settings, "trigger")}
    return sent(view, view.id_of("source_id", "source"), args)


def sent(view: View, source_id: Id, args: dict[str, Any]) -> Response:
    """Sign a request, let it come in, and show its receipt."""
    came = let_in(view.services, view.scope, view.change("source.sign", source_id, args))
    return view.go(link("/ui/receipts", came.receipt_id, done="came-before" if came.duplicate else "sent"))
