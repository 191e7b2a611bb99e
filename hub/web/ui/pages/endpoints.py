"""Endpoints: where webhooks of our own go. Their addresses are sealed, and of their keys a secret is shown once."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from hub.errors import ConflictError, HubError, UsageError
from hub.moments import moment, span, span_text
from hub.store import endpoints, outgoing
from hub.store.base import Tx
from hub.types import from_rfc3339
from hub.web.ui import queries, show
from hub.web.ui.faults import Faults, faults_of
from hub.web.ui.pages.outgoing import STATUSES
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
LAST = 10
DAY = 86_400
SIGNS = (
    ("v1", "v1: a shared secret (HMAC-SHA256)"),
    ("v1a", "v1a: a public key (ed25519)"),
    ("both", "both"),
)
AGAIN = ("failed", "pending", "delivered")


@pages.get("/ui/endpoints", needs="endpoints:read")
def endpoint_list(view: View) -> Response:
    """Endpoints, newest first, each with how it fares."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = endpoints.listing(tx, view.scope, cursor=cursor or None)
        keys, now = endpoints.keys_of(tx, [row["id"] for row in found.items]), tx.now
    states = {row["id"]: _state(row) for row in found.items}
    return view.page(
        "endpoints.html", topics="catalog,outgoing", found=found, keys=keys, states=states, now=now, cursor=cursor
    )


def _state(row: dict[str, Any]) -> tuple[str, str, str]:
    """Kind, word and icon of an endpoint's badge."""
    if not row["enabled"]:
        return ("idle" if row["disabled_reason"] == "switched off" else "bad"), "Off", "PAUSED"
    return ("good", "On", "COMPLETED") if row["failing_since"] is None else ("warn", "Failing", "warning")


@pages.get("/ui/endpoints/new", needs="endpoints:write")
def ask_new(view: View) -> Response:
    """The form for an endpoint."""
    return _new_form(view, None)


@pages.post("/ui/endpoints/new", needs="endpoints:write")
def create(view: View) -> Response:
    """Make an endpoint, and show its keys, this once. Address and secret are typed again after a mistake."""
    form = view.form
    args = {
        "name": form.text("name"), "url": form.text("url"), "sign": form.text("sign"),
        "secret": form.text("secret") or None,
    }  # fmt: skip
    try:
        made = view.change("endpoint.create", "", args)
    except (UsageError, ConflictError) as error:
        return _new_form(view, error)
    return _once(view, made.result, "The endpoint was created", repeated=made.repeated)


def _new_form(view: View, error: HubError | None) -> Response:
    values = {name: view.form.text(name) for name in ("name", "sign")}
    return view.page(
        "endpoint-form.html", status=error.status if error else 200, endpoint=None, values=values, signs=SIGNS,
        error=error, faults=_faults(error),
    )  # fmt: skip


def _faults(error: HubError | None) -> Faults:
    """A name that is taken is a fault of its field, too."""
    found = faults_of(error)
    if isinstance(error, ConflictError) and not found:
        found["name"] = error.detail
    return found


def _once(view: View, made: dict[str, Any], title: str, *, repeated: bool) -> Response:
    """The new keys of an endpoint. A form that is sent again gets no second look at them."""
    with view.store.read() as tx:
        endpoint = endpoints.get(tx, view.scope, made["id"])
    answer = view.page(
        "endpoint-keys.html", title=title, endpoint=endpoint, keys=made.get("keys") or (), repeated=repeated
    )
    answer.headers["cache-control"] = "no-store"
    return answer


@pages.get("/ui/endpoints/{endpoint_id}", needs="endpoints:read")
def endpoint_detail(view: View) -> Response:
    """One endpoint: how it fares, what signs, and what was sent to it."""
    with view.store.read() as tx:
        row = _row(tx, view)
        found = outgoing.listing(tx, view.scope, endpoint_id=row["id"], limit=LAST)
        counts = {status: _count(tx, view, row, status) for status in ("pending", "sending", "failed")}
        keys, now = endpoints.key_rows(tx, row["id"]), tx.now
    return view.page(
        "endpoint.html", topics="catalog,outgoing", endpoint=row, state=_state(row), keys=keys, found=found,
        counts=counts, most=queries.COUNT_LIMIT, statuses=STATUSES, now=now,
    )  # fmt: skip


def _row(tx: Tx, view: View) -> dict[str, Any]:
    return endpoints.get(tx, view.scope, view.id_of("endpoint_id", "endpoint"))


def _count(tx: Tx, view: View, row: dict[str, Any], status: str, since: int = 0) -> int:
    table = outgoing.TABLE
    where = [table.c.endpoint_id == row["id"], *outgoing.with_status(status)]
    return queries.count(tx, view.scope, table, *where, *([table.c.created_at >= since] if since else []))


@pages.get("/ui/endpoints/{endpoint_id}/edit", needs="endpoints:write")
def ask_edit(view: View) -> Response:
    """The form for another address."""
    return _edit_form(view, None)


@pages.post("/ui/endpoints/{endpoint_id}/edit", needs="endpoints:write")
def edit(view: View) -> Response:
    """Give an endpoint another address."""
    endpoint_id = view.id_of("endpoint_id", "endpoint")
    try:
        view.change("endpoint.update", endpoint_id, {"url": view.form.text("url")})
    except UsageError as error:
        return _edit_form(view, error)
    return view.go(link("/ui/endpoints", endpoint_id, done="endpoint-updated"))


def _edit_form(view: View, error: HubError | None) -> Response:
    with view.store.read() as tx:
        row = _row(tx, view)
    return view.page(
        "endpoint-form.html", status=error.status if error else 200, endpoint=row, values={}, signs=SIGNS, error=error,
        faults=faults_of(error),
    )  # fmt: skip


@pages.post("/ui/endpoints/{endpoint_id}/switch", needs="endpoints:write")
def switch(view: View) -> Response:
    """Switch an endpoint on or off."""
    endpoint_id, on = view.id_of("endpoint_id", "endpoint"), view.form.text("on") == "yes"
    view.change("endpoint.update", endpoint_id, {"enabled": on})
    return view.go(link("/ui/endpoints", endpoint_id, done="endpoint-enabled" if on else "endpoint-disabled"))


@pages.get("/ui/endpoints/{endpoint_id}/rotate", needs="endpoints:write")
def ask_rotate(view: View) -> Response:
    """The form for new keys."""
    return _rotate_form(view, None)


@pages.post("/ui/endpoints/{endpoint_id}/rotate", needs="endpoints:write")
def rotate(view: View) -> Response:
    """Give an endpoint new keys, and show them, this once; the old ones sign as well for a while."""
    form = view.form
    try:
        args = {
            "sign": form.text("sign") or None, "secret": form.text("secret") or None,
            "overlap_s": _overlap(form.text("overlap_s")),
        }  # fmt: skip
        made = view.change("endpoint.rotate", view.id_of("endpoint_id", "endpoint"), args)
    except UsageError as error:
        return _rotate_form(view, error)
    return _once(view, made.result, "The endpoint has new keys", repeated=made.repeated)


def _overlap(text: str) -> int:
    try:
        return span(text) or 0
    except UsageError as error:
        raise UsageError(error.detail, hint=error.hint, field="overlap_s") from None


def _rotate_form(view: View, error: HubError | None) -> Response:
    with view.store.read() as tx:
        row = _row(tx, view)
        keys, now = endpoints.key_rows(tx, row["id"]), tx.now
    return view.page(
        "endpoint-rotate.html", status=error.status if error else 200, endpoint=row, keys=keys, now=now, error=error,
        faults=faults_of(error), sign=view.form.text("sign"), overlap=view.form.text("overlap_s", span_text(DAY)),
        signs=(("", "as now"), *SIGNS),
    )  # fmt: skip


@pages.post("/ui/endpoints/{endpoint_id}/test", needs="endpoints:write")
def test(view: View) -> Response:
    """Send a message of the type `hub.test`; its page shows how it goes."""
    endpoint_id = view.id_of("endpoint_id", "endpoint")
    with view.store.read() as tx:
        name = endpoints.get(tx, view.scope, endpoint_id)["name"]
    return _sent(view, endpoint_id, "hub.test", {"endpoint": name})


@pages.get("/ui/endpoints/{endpoint_id}/send", needs="endpoints:write")
def ask_send(view: View) -> Response:
    """The form for a message."""
    return _send_form(view, None)


@pages.post("/ui/endpoints/{endpoint_id}/send", needs="endpoints:write")
def send(view: View) -> Response:
    """Send a message; its page shows how it goes."""
    try:
        data = _json(view.form.text("data"))
        return _sent(view, view.id_of("endpoint_id", "endpoint"), view.form.text("type"), data)
    except UsageError as error:
        return _send_form(view, error)


def _json(text: str) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"data: no JSON: {error}", hint='Write {"order": 17}, for example.', field="data") from None


def _sent(view: View, endpoint_id: str, type_: str, data: Any) -> Response:
    args = {"type": type_, "data": data, "origin": str(view.scope.actor)[:200]}
    made = view.change("endpoint.send", endpoint_id, args)
    return view.go(link("/ui/outgoing", str(made.result["id"]), done="webhook-planned"))


def _send_form(view: View, error: HubError | None) -> Response:
    with view.store.read() as tx:
        row = _row(tx, view)
    values = {"type": view.form.text("type"), "data": view.form.raw("data") or "{}"}
    return view.page(
        "endpoint-send.html", status=error.status if error else 200, endpoint=row, values=values, error=error,
        faults=faults_of(error),
    )  # fmt: skip


@pages.get("/ui/endpoints/{endpoint_id}/resend", needs="endpoints:write")
def ask_resend(view: View) -> Response:
    """Count the messages of a status since a time, and ask."""
    status = view.query("status") if view.query("status") in AGAIN else AGAIN[0]
    typed, faults, since = view.query("since").strip(), Faults(), 0
    with view.store.read() as tx:
        row = _row(tx, view)
        try:
            since = from_rfc3339(moment(typed, now=tx.now) or "") if typed else 0
        except UsageError as error:
            faults["since"] = f"{error.detail} {error.hint}"
        count = 0 if faults else _count(tx, view, row, status, since)
    return view.page(
        "endpoint-resend.html", status=422 if faults else 200, endpoint=row, status_=status, since=typed, at=since,
        count=count, most=queries.COUNT_LIMIT, faults=faults, options=[(name, STATUSES[name][1]) for name in AGAIN],
    )  # fmt: skip


@pages.post("/ui/endpoints/{endpoint_id}/resend", needs="endpoints:write")
def resend(view: View) -> Response:
    """Send messages of a status again."""
    endpoint_id, at = view.id_of("endpoint_id", "endpoint"), view.form.text("at")
    since = int(at) if at.isascii() and at.isdecimal() and len(at) < 18 else 0
    view.change("endpoint.resend", endpoint_id, {"status": view.form.text("status"), "since": since or None})
    return view.go(link("/ui/outgoing", endpoint=endpoint_id, done="webhooks-again"))


@pages.get("/ui/endpoints/{endpoint_id}/delete", needs="endpoints:write")
def ask_delete(view: View) -> Response:
    """Ask before an endpoint is removed."""
    with view.store.read() as tx:
        row = _row(tx, view)
        waits = _count(tx, view, row, "pending") + _count(tx, view, row, "sending")
    said = show.plural(waits, "message") + (" or more" if waits >= queries.COUNT_LIMIT else "")
    return view.page(
        "confirm.html", title=f"Remove the endpoint {row['name']}?", text="This cannot be undone.",
        points=[
            *([f"Not sent any more: {said} that wait{'s' if waits == 1 else ''} for it."] if waits else []),
            "Its address and its keys are forgotten; what was sent to it can still be read.",
            "What sends to it by its name fails from now on.",
        ],
        action=link("/ui/endpoints", row["id"], "delete"), button="Remove the endpoint",
        back=link("/ui/endpoints", row["id"]), values={},
    )  # fmt: skip


@pages.post("/ui/endpoints/{endpoint_id}/delete", needs="endpoints:write")
def delete(view: View) -> Response:
    """Remove an endpoint."""
    view.change("endpoint.delete", view.id_of("endpoint_id", "endpoint"))
    return view.go(link("/ui/endpoints", done="endpoint-deleted"))
