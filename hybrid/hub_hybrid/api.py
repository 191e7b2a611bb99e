"""Links over the API: the planes that this hub reports to."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from typing import Annotated, Any

from hub.errors import ConflictError, HubError, NotFoundError, TransientError, UnavailableError, UsageError
from hub.runtime.commands import Command, apply
from hub.store import stream
from hub.store.base import Tx
from hub.types import SECOND, ExportLevel, Scope
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page
from hub.web.api.op import Api, Call
from pydantic import Field, SecretStr
from starlette.routing import BaseRoute

from hub_hybrid import addresses, credentials, digests, export, links
from hub_hybrid.agent import Agent
from hub_hybrid.exchange import meaning
from hub_hybrid.export import Policy
from hub_hybrid.wire import HttpWire


def _pages() -> Iterable[BaseRoute]:
    from hub_hybrid.ui import link_pages  # noqa: PLC0415 - only a web process with a dashboard needs them

    return link_pages.pages.routes()


api = Api(pages=_pages)
READ, WRITE = "links:read", "links:write"
SiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class LinkIn(In):
    """A plane's address, and the token that `hub sites create` printed there."""

    name: SiteName = "cloud"
    url: str = Field(max_length=2000)
    token: SecretStr = Field(min_length=8, max_length=200)
    level: ExportLevel = Field("metadata", description="the most that leaves")
    site_name: SiteName | None = Field(None, description="what a plane calls a site that joins with a token for any")


class RejoinIn(In):
    """A new join token for a link that is there."""

    token: SecretStr = Field(min_length=8, max_length=200)


class PolicyIn(In):
    """The most that leaves over a link."""

    level: ExportLevel


class LinkOut(Out):
    """A link to a plane. `lag` counts events it does not have yet; `acked_seq` null: it has nothing yet."""

    id: str
    name: str
    url: str
    primary: bool
    level: str
    status: str
    head_seq: int
    acked_seq: int | None
    lag: int
    last_contact_at: Moment | None
    last_error: str
    key_until: Moment | None = Field(description="until when the site's key is good; null: it has none yet")
    clock_offset_s: float = Field(description="how far the plane's clock is ahead of this one")
    created_at: Moment


class Disconnected(Out):
    """What became of the key at the plane. `problem`: why the plane may still take it; then it is good until
    `key_until`, unless somebody revokes it there."""

    name: str
    key_revoked: bool
    problem: str
    key_until: Moment | None


class PreviewQuery(In):
    """How many of the last events, and over which link: its name or id; none: the only one, or a new one."""

    limit: int = Field(10, ge=1, le=200)
    link: str = Field("", max_length=100)


class DigestOut(Out):
    """The sha256 over the sorted lines `run id, version, state`, and how many lines there are."""

    since: int
    runs: int
    sha256: str


class Preview(Out):
    """Events exactly as a plane gets them."""

    items: list[dict[str, Any]]


class Digests(Out):
    """Both ends' digests. `plane` null: it could not be asked, `problem` says why."""

    site: DigestOut
    plane: DigestOut | None
    equal: bool
    problem: str


class AddressIn(In):
    """The source, by name or id, that is to have an address at the plane."""

    source: str = Field(min_length=1, max_length=100)


class AddressMade(Out):
    """A new address. `url` is shown once."""

    id: str
    link: str
    source: str
    url: str


class AddressSeen(Out):
    """An address of a source at a plane. `status` is open, opening (the plane has not heard of it) or closed (its
    source is switched off)."""

    id: str
    source: str
    status: str
    created_at: Moment
    opened_at: Moment | None


@api.op("GET", "/api/v1/links", out=Page[LinkOut], scope=READ)
def list_links(call: Call[NoBody, NoQuery]) -> Page[LinkOut]:
    """The planes this hub reports to."""
    with call.store.read() as tx:
        head = stream.read(tx).seq
        found = links.live(tx, call.scope.workspace_id)
    return Page[LinkOut](items=[_link(row, head) for row in found])


@api.op(
    "POST", "/api/v1/links", body=LinkIn, out=LinkOut, status=201, scope=WRITE, errors=[ConflictError, UnavailableError]
)
def connect_link(call: Call[LinkIn, NoQuery]) -> LinkOut:
    """Report to a plane from now on. The plane is asked first whether it knows the token."""
    token, url = call.body.token.get_secret_value(), links.checked_url(call.body.url)
    name = call.body.site_name or re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")[:100] or "site"
    args = {"name": call.body.name, "url": url, "token": token, "level": call.body.level}
    args |= _joined(call, url, token, name)
    made = apply(call.store, Command("link.connect", call.scope, call.body.name, args, call.command_id))
    with call.store.read() as tx:
        return _link(links.find(tx, call.scope, str(made.result["id"])), stream.read(tx).seq)


@api.op("DELETE", "/api/v1/links/{link}", out=Disconnected, scope=WRITE, errors=[NotFoundError])
def disconnect_link(call: Call[NoBody, NoQuery]) -> Disconnected:
    """Report to this plane no more, and obey it no more; it is asked to revoke the key. All history stays here."""
    with call.store.read() as tx:
        link = links.find(tx, call.scope, call.path["link"])
    # First, because what was forgotten here cannot be revoked: a disconnect that is cut off is simply repeated.
    problem = _given_up(call, link)
    apply(call.store, Command("link.disconnect", call.scope, link["id"], {}, call.command_id))
    links.tell(call.store, link)
    until = link["key_until"] or None
    return Disconnected(name=link["name"], key_revoked=not problem, problem=problem, key_until=until)


@api.op("POST", "/api/v1/links/{link}/promote", scope=WRITE, errors=[NotFoundError, ConflictError])
def promote_link(call: Call[NoBody, NoQuery]) -> None:
    """Let this plane command, and no other one."""
    apply(call.store, Command("link.promote", call.scope, call.path["link"], {}, call.command_id))


@api.op(
    "POST", "/api/v1/links/{link}/rejoin", body=RejoinIn, scope=WRITE,
    errors=[NotFoundError, ConflictError, UnavailableError],
)  # fmt: skip
def rejoin_link(call: Call[RejoinIn, NoQuery]) -> None:
    """Join the plane of a link anew, where the key is no longer good; nothing that waits is lost."""
    with call.store.read() as tx:
        link = links.find(tx, call.scope, call.path["link"])
    joined = _joined(call, link["url"], call.body.token.get_secret_value(), link["name"])
    if "keys" not in joined:
        raise ConflictError("this plane knows no keys yet", hint="End the link and connect again.", code="old-plane")
    apply(call.store, Command("link.rejoin", call.scope, link["id"], joined, call.command_id))


@api.op("PUT", "/api/v1/links/{link}/policy", body=PolicyIn, scope=WRITE, errors=[NotFoundError])
def set_link_policy(call: Call[PolicyIn, NoQuery]) -> None:
    """Let more or less leave. Less holds at once, more for what happens from now on."""
    args = {"level": call.body.level}
    apply(call.store, Command("link.policy", call.scope, call.path["link"], args, call.command_id))


@api.op(
    "POST", "/api/v1/links/{link}/addresses", body=AddressIn, out=AddressMade, status=201, scope=WRITE,
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def publish_source(call: Call[AddressIn, NoQuery]) -> dict[str, Any]:
    """Give a source a further address, at the plane of a link; the answer holds it, once."""
    args = {"source": call.body.source}
    command = Command("link.publish", call.scope, call.path["link"], args, call.command_id)
    return {"url": "", **apply(call.store, command).result}


@api.op("GET", "/api/v1/links/{link}/addresses", out=Page[AddressSeen], scope=READ, errors=[NotFoundError])
def list_addresses(call: Call[NoBody, NoQuery]) -> Page[AddressSeen]:
    """The addresses that sources have at the plane of a link."""
    with call.store.read() as tx:
        link = links.find(tx, call.scope, call.path["link"])
        found = addresses.listing(tx, call.scope, link["id"])
    return Page[AddressSeen](items=[AddressSeen(**row, status=addresses.status(row)) for row in found])


@api.op("DELETE", "/api/v1/links/{link}/addresses/{address_id}", scope=WRITE, errors=[NotFoundError])
def unpublish_source(call: Call[NoBody, NoQuery]) -> None:
    """Take an address back."""
    args = {"address": call.path["address_id"]}
    apply(call.store, Command("link.unpublish", call.scope, call.path["link"], args, call.command_id))


@api.op("GET", "/api/v1/links/preview", query=PreviewQuery, out=Preview, scope=READ, errors=[NotFoundError])
def preview_links(call: Call[NoBody, PreviewQuery]) -> Preview:
    """The last events exactly as a plane gets them, whether there is a link or not."""
    with call.store.read() as tx:
        found = export.preview(tx, _policy(tx, call.scope, call.query.link), call.query.limit)
    return Preview(items=[export.wire(event) for event in export.redacted(found)])


@api.op("GET", "/api/v1/links/{link}/digest", out=Digests, scope=READ, errors=[NotFoundError])
def digest_link(call: Call[NoBody, NoQuery]) -> Digests:
    """This hub's digest and the plane's, over the runs that both still keep."""
    with call.store.read() as tx:
        link = links.find(tx, call.scope, call.path["link"])
        since = digests.kept_since(tx.now, call.services.settings.retention_runs)
        here = digests.of_site(tx, call.scope.workspace_id, since)
        found = credentials.credentials_of(tx, link)
    ours = DigestOut(**here.model_dump())
    wire = HttpWire(link["url"], found)
    try:
        there = Agent(call.store, link["id"], wire).digest(since)
    except (HubError, TransientError) as error:
        return Digests(site=ours, plane=None, equal=False, problem=str(error))
    finally:
        wire.close()
    return Digests(site=ours, plane=DigestOut(**there.model_dump()), equal=here == there, problem="")


def _given_up(call: Call[Any, Any], link: dict[str, Any]) -> str:
    """Ask the plane to revoke the key of a link; gives why it has not."""
    try:
        with call.store.read() as tx:
            known = credentials.credentials_of(tx, link)
    except HubError as error:  # the key was lost, perhaps that is why the link ends
        return error.detail
    wire = HttpWire(link["url"], known)
    try:
        return credentials.give_up(wire)
    finally:
        wire.close()


def _policy(tx: Tx, scope: Scope, name: str) -> Policy:
    """That of the link of that name, of the only one, or of none."""
    if name:
        return Policy.of(links.find(tx, scope, name))
    found = links.live(tx, scope.workspace_id)
    if len(found) > 1:
        known = ", ".join(link["name"] for link in found)
        raise UsageError("there are several links, and each has its own policy", hint=f"Say which: {known}.")
    return Policy.of(found[0]) if found else Policy(scope.workspace_id)


def _joined(call: Call[Any, Any], url: str, token: str, name: str) -> dict[str, Any]:
    """Show the plane the token and the keys that this hub has made for it; gives who this hub is to the plane."""
    wire = HttpWire(url, token)
    try:
        answer, who = credentials.join(call.store, wire, token, name)
    except TransientError as error:
        raise UnavailableError(str(error), hint=f"Is a hub running at {url}?", code="plane-away") from None
    finally:
        wire.close()
    if meaning(answer) == "ok":
        return who
    detail = str(answer.body.get("detail", f"the plane answered {answer.status}"))[:300]
    hint = str(answer.body.get("hint", ""))[:300]
    raise ConflictError(f"the plane refuses: {detail}", hint=hint, code=answer.code[:60] or "plane-refused")


def _link(row: dict[str, Any], head: int) -> LinkOut:
    told = {"key_until": row["key_until"] or None, "clock_offset_s": round(row["clock_offset"] / SECOND, 3)}
    return LinkOut(**{**row, **told}, head_seq=head, lag=max(0, head - (row["acked_seq"] or 0)))
