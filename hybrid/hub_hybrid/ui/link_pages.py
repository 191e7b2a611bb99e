"""The planes that this hub reports to, and the addresses that its sources have there. An address is shown once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.plugins import Panel
from hub.runtime.scopes import allows
from hub.store import stream
from hub.store.base import Store, Tx
from hub.types import Scope
from hub.web.ui.faults import faults_of
from hub.web.ui.table import Pages
from hub.web.ui.templating import link, render
from hub.web.ui.view import View
from starlette.responses import Response

from hub_hybrid import addresses, links

pages = Pages()
TEMPLATES = Path(__file__).parent / "templates"
MARKS = {
    "open": ("good", "Open"),
    "opening": ("busy", "Opening"),
    "closed": ("idle", "Closed", "PAUSED"),
    "connected": ("good", "Connected"),
    "connecting": ("busy", "Connecting"),
    "offline": ("warn", "Away"),
}
"""How the states of addresses and links look; what is not among them is wrong."""


@pages.get("/ui/links", needs="links:read")
def link_list(view: View) -> Response:
    """The planes, the first one first."""
    with view.store.read() as tx:
        found, head, now = links.live(tx, view.scope.workspace_id), stream.read(tx).seq, tx.now
        counts = {row["id"]: len(addresses.listing(tx, view.scope, row["id"])) for row in found}
    return _draw(view, "links.html", found=found, head=head, counts=counts, now=now)


@pages.get("/ui/links/{link}", needs="links:read")
def one_link(view: View) -> Response:
    """A plane: how the link to it fares, and the addresses there."""
    with view.store.read() as tx:
        found, head, now = _found(tx, view), stream.read(tx).seq, tx.now
        shown = addresses.listing(tx, view.scope, found["id"])
    return _draw(view, "link.html", plane=found, head=head, addresses=shown, status_of=addresses.status, now=now)


def _found(tx: Tx, view: View) -> dict[str, Any]:
    return links.find(tx, view.scope, view.path["link"][:100])


@pages.get("/ui/links/{link}/publish", needs="links:write")
def ask_publish(view: View) -> Response:
    """Say what it means, and ask which source."""
    return _publish_form(view, None, view.query("source"))


@pages.post("/ui/links/{link}/publish", needs="links:write")
def publish(view: View) -> Response:
    """Give a source an address at the plane, and show it, this once."""
    asked = view.form.text("source")
    try:
        made = view.change("link.publish", view.path["link"][:100], {"source": asked})
    except (UsageError, ConflictError, NotFoundError) as error:
        return _publish_form(view, error, asked)
    with view.store.read() as tx:
        found = _found(tx, view)
    answer = _draw(
        view, "link-address.html", plane=found, source=made.result["source"], url=made.result.get("url", ""),
    )  # fmt: skip
    answer.headers["cache-control"] = "no-store"
    return answer


def _publish_form(view: View, error: HubError | None, asked: str) -> Response:
    with view.store.read() as tx:
        found = _found(tx, view)
        able = addresses.publishable(tx, view.scope)
    faults = faults_of(error)
    if error is not None and not faults:
        faults["source"] = error.detail
    chosen = next((row["name"] for row in able if asked in (row["name"], row["id"])), "")
    return _draw(
        view, "link-publish.html", status=error.status if error else 200, plane=found, error=error, faults=faults,
        chosen=chosen, options=[(row["name"], row["name"]) for row in able],
    )  # fmt: skip


@pages.get("/ui/links/{link}/addresses/{address_id}/withdraw", needs="links:write")
def ask_withdraw(view: View) -> Response:
    """Ask before an address is taken back."""
    with view.store.read() as tx:
        found = _found(tx, view)
        row = _address(tx, view, found)
    back = link("/ui/links", found["name"])
    return view.page(
        "confirm.html", title=f"Take the address of {row['source']} back?", text="This cannot be undone.",
        points=[
            f"{found['url']} answers 404 there, as soon as it hears of it; the provider must not use it any more.",
            "What it has taken already still comes. Other addresses of the source stay good.",
        ],
        action=link("/ui/links", found["name"], "addresses", row["id"], "withdraw"), button="Take the address back",
        back=back, values={},
    )  # fmt: skip


@pages.post("/ui/links/{link}/addresses/{address_id}/withdraw", needs="links:write")
def withdraw(view: View) -> Response:
    """Take an address back."""
    name = view.path["link"][:100]
    view.change("link.unpublish", name, {"address": view.id_of("address_id", "address")})
    return view.go(link("/ui/links", name, done="address-withdrawn"))


def _address(tx: Tx, view: View, found: dict[str, Any]) -> dict[str, Any]:
    address_id = view.id_of("address_id", "address")
    for row in addresses.listing(tx, view.scope, found["id"]):
        if row["id"] == address_id:
            return row
    raise NotFoundError(f"this link has no address {address_id}", hint="It may have been taken back already.")


def panel_of_source(store: Store, scope: Scope, source: dict[str, Any]) -> list[Panel]:
    """On the page of a source: its addresses at planes, if there are planes and it can have any."""
    if not allows(scope.actor.scopes, "links:read") or addresses.refusal(source) is not None:
        return []
    with store.read() as tx:
        planes, now = links.live(tx, scope.workspace_id), tx.now
        found = [
            (plane, row)
            for plane in planes
            for row in addresses.listing(tx, scope, plane["id"], source_id=source["id"])
        ]
    if not planes:
        return []
    context = {
        "source": source, "planes": planes, "found": found, "now": now, "marks": MARKS, "status_of": addresses.status,
        "may": allows(scope.actor.scopes, "links:write"),
    }  # fmt: skip
    return [Panel("Addresses at planes", str(render("source-addresses.html", context, TEMPLATES)), 50)]


def _draw(view: View, template: str, **context: Any) -> Response:
    return view.page(template, folders=(TEMPLATES,), topics="catalog", marks=MARKS, **context)
