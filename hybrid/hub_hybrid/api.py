"""Sites and links over the API."""

from __future__ import annotations

from typing import Annotated, Any

from hub.errors import ConflictError, HubError, NotFoundError, TransientError, UnavailableError
from hub.runtime.commands import Command, apply
from hub.states import TERMINAL, StateType
from hub.store import stream
from hub.types import Id, Scope, rfc3339
from hub.version import __version__
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from pydantic import Field, SecretStr

from hub_hybrid import digests, export, links, orders, replica
from hub_hybrid.agent import Agent
from hub_hybrid.exchange import meaning
from hub_hybrid.protocol import Register, Registered
from hub_hybrid.wire import HttpWire

api = Api()
READ, WRITE = "links:read", "links:write"
SiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class SiteIn(In):
    """A name for a hub that will report here."""

    name: SiteName


class SiteOut(Out):
    """A site. `presence` is online, late, offline or never, by this plane's clock."""

    id: str
    name: str
    presence: str
    acked_seq: int
    head_seq: int | None
    last_seen_at: Moment | None
    created_at: Moment
    commands_waiting: int


class SiteMade(Out):
    """A new site. The token is shown once."""

    id: str
    name: str
    token: str


class RunQuery(PageQuery):
    """Which runs."""

    state: StateType | None = None


class SiteRun(Out):
    """A run as the site reported it last. `orphaned_at`: the site does not know it any more.

    `notice` says what a reader must know beside the state, such as a cancel that the site has not answered.
    """

    id: str
    name: str
    flow_name: str
    deployment_name: str | None
    state_type: StateType
    state_name: str
    version: int
    attempt: int
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    error_type: str | None
    updated_at: Moment
    cancel_requested_at: Moment | None
    orphaned_at: Moment | None
    notice: str


class CommandSeen(Out):
    """A command for a site. `status` is waiting, delivered, withdrawn, accepted or rejected:<code>."""

    id: str
    seq: int
    op: str
    target: str
    status: str
    issued_at: Moment
    issued_by: str
    expires_at: Moment | None
    outcome_at: Moment | None
    notice: str


class DigestQuery(In):
    """Only runs made since then, in microseconds."""

    since: int = Field(0, ge=0, lt=2**62)


class DigestOut(Out):
    """The sha256 over the sorted lines `run id, version, state`, and how many lines there are."""

    since: int
    runs: int
    sha256: str


class Restored(Out):
    """How many sites begin anew."""

    sites: int


class LinkIn(In):
    """A plane's address, and the token that `hub sites create` printed there."""

    name: SiteName = "cloud"
    url: str = Field(max_length=2000)
    token: SecretStr = Field(min_length=8, max_length=200)


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
    created_at: Moment


class PreviewQuery(In):
    """How many of the last events."""

    limit: int = Field(10, ge=1, le=200)


class Preview(Out):
    """Events exactly as a plane gets them."""

    items: list[dict[str, Any]]


class Digests(Out):
    """Both ends' digests. `plane` null: it could not be asked, `problem` says why."""

    site: DigestOut
    plane: DigestOut | None
    equal: bool
    problem: str


@api.op("GET", "/api/v1/sites", query=PageQuery, out=Page[SiteOut], scope=READ)
def list_sites(call: Call[NoBody, PageQuery]) -> Page[SiteOut]:
    """The hubs that report here, newest first."""
    with call.store.read() as tx:
        found = orders.sites(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        return Page[SiteOut](items=[_site(call, row, tx.now) for row in found.items], next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/sites", body=SiteIn, out=SiteMade, status=201, scope=WRITE, errors=[ConflictError])
def create_site(call: Call[SiteIn, NoQuery]) -> dict[str, Any]:
    """Make a site; the answer holds its token, once."""
    command = Command("site.create", call.scope, call.body.name, {"name": call.body.name}, call.command_id)
    return {"token": "", **apply(call.store, command).result}


@api.op("DELETE", "/api/v1/sites/{site}", scope=WRITE, errors=[NotFoundError])
def remove_site(call: Call[NoBody, NoQuery]) -> None:
    """Strike a site off; its token is worthless from now on."""
    apply(call.store, Command("site.remove", call.scope, call.path["site"], {}, call.command_id))


@api.op("POST", "/api/v1/sites/restored", out=Restored, scope=WRITE)
def restored_sites(call: Call[NoBody, NoQuery]) -> dict[str, Any]:
    """Say that this plane's database was restored from a backup."""
    return apply(call.store, Command("site.restored", call.scope, "", {}, call.command_id)).result


@api.op("GET", "/api/v1/sites/{site}/runs", query=RunQuery, out=Page[SiteRun], scope=READ, errors=[NotFoundError])
def list_site_runs(call: Call[NoBody, RunQuery]) -> Page[SiteRun]:
    """A site's runs as it reported them, newest first."""
    query = call.query
    with call.store.read() as tx:
        site = orders.find_site(tx, call.scope, call.path["site"])
        state = query.state.value if query.state else None
        found = orders.runs(tx, call.scope, site["id"], state=state, limit=query.limit, cursor=query.cursor)
        offline = _offline_since(call, site, tx.now)
    return Page[SiteRun](items=[_run(row, offline) for row in found.items], next_cursor=found.next_cursor)


@api.op("GET", "/api/v1/sites/{site}/runs/{run_id}", out=SiteRun, scope=READ, errors=[NotFoundError])
def get_site_run(call: Call[NoBody, NoQuery]) -> SiteRun:
    """One run of a site as it reported it."""
    with call.store.read() as tx:
        site = orders.find_site(tx, call.scope, call.path["site"])
        return _run(orders.run(tx, call.scope, site["id"], call.path["run_id"]), _offline_since(call, site, tx.now))


@api.op(
    "POST", "/api/v1/sites/{site}/runs/{run_id}/cancel", out=CommandSeen, status=202, scope="runs:write",
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def cancel_site_run(call: Call[NoBody, NoQuery]) -> CommandSeen:
    """Ask the site to cancel a run. It decides; until it answers, the run shows that a cancel was asked for."""
    args = {"op": "run.cancel", "run_id": call.path["run_id"]}
    outcome = apply(call.store, Command("site.order", call.scope, call.path["site"], args, call.command_id))
    return _command(call, str(outcome.result["id"]))


@api.op(
    "GET", "/api/v1/sites/{site}/commands", query=PageQuery, out=Page[CommandSeen], scope=READ, errors=[NotFoundError]
)
def list_site_commands(call: Call[NoBody, PageQuery]) -> Page[CommandSeen]:
    """What this plane asked a site to do, newest first, and what came of it."""
    with call.store.read() as tx:
        site = orders.find_site(tx, call.scope, call.path["site"])
        found = orders.listing(tx, call.scope, site["id"], limit=call.query.limit, cursor=call.query.cursor)
        offline = _offline_since(call, site, tx.now)
    items = [_seen(row, site, offline) for row in found.items]
    return Page[CommandSeen](items=items, next_cursor=found.next_cursor)


@api.op(
    "DELETE", "/api/v1/sites/{site}/commands/{command_id}", scope="runs:write", errors=[NotFoundError, ConflictError]
)
def withdraw_site_command(call: Call[NoBody, NoQuery]) -> None:
    """Take a command back that the site has not fetched yet."""
    args = {"command_id": call.path["command_id"]}
    apply(call.store, Command("site.withdraw", call.scope, call.path["site"], args, call.command_id))


@api.op("GET", "/api/v1/sites/{site}/digest", query=DigestQuery, out=DigestOut, scope=READ, errors=[NotFoundError])
def digest_site(call: Call[NoBody, DigestQuery]) -> dict[str, Any]:
    """The digest of a site's runs as this plane has them."""
    with call.store.read() as tx:
        site = orders.find_site(tx, call.scope, call.path["site"])
        return digests.of_replica(tx, site["id"], call.query.since).model_dump()


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
    site = _registered(call, url, token)
    args = {"name": call.body.name, "url": url, "token": token, "site_id": site.site}
    made = apply(call.store, Command("link.connect", call.scope, call.body.name, args, call.command_id))
    with call.store.read() as tx:
        return _link(links.find(tx, call.scope, str(made.result["id"])), stream.read(tx).seq)


@api.op("DELETE", "/api/v1/links/{link}", scope=WRITE, errors=[NotFoundError])
def disconnect_link(call: Call[NoBody, NoQuery]) -> None:
    """Report to this plane no more, and obey it no more. All history stays here."""
    apply(call.store, Command("link.disconnect", call.scope, call.path["link"], {}, call.command_id))


@api.op("POST", "/api/v1/links/{link}/promote", scope=WRITE, errors=[NotFoundError, ConflictError])
def promote_link(call: Call[NoBody, NoQuery]) -> None:
    """Let this plane command, and no other one."""
    apply(call.store, Command("link.promote", call.scope, call.path["link"], {}, call.command_id))


@api.op("GET", "/api/v1/links/preview", query=PreviewQuery, out=Preview, scope=READ)
def preview_links(call: Call[NoBody, PreviewQuery]) -> Preview:
    """The last events exactly as a plane gets them, whether there is a link or not."""
    with call.store.read() as tx:
        found = export.preview(tx, call.scope.workspace_id, call.query.limit)
    return Preview(items=[export.wire(event) for event in export.redacted(found)])


@api.op("GET", "/api/v1/links/{link}/digest", out=Digests, scope=READ, errors=[NotFoundError])
def digest_link(call: Call[NoBody, NoQuery]) -> Digests:
    """This hub's digest and the plane's, over the runs that both still keep."""
    with call.store.read() as tx:
        link = links.find(tx, call.scope, call.path["link"])
        since = digests.kept_since(tx.now, call.services.settings.retention_runs)
        here = digests.of_site(tx, call.scope.workspace_id, since)
        token = links.token_of(tx, link)
    ours = DigestOut(**here.model_dump())
    wire = HttpWire(link["url"], token)
    try:
        there = Agent(call.store, link["id"], wire).digest(since)
    except (HubError, TransientError) as error:
        return Digests(site=ours, plane=None, equal=False, problem=str(error))
    finally:
        wire.close()
    return Digests(site=ours, plane=DigestOut(**there.model_dump()), equal=here == there, problem="")


def _registered(call: Call[Any, Any], url: str, token: str) -> Registered:
    with call.store.write() as tx:
        site_id = stream.site_id(tx)
    wire = HttpWire(url, token)
    try:
        message = Register(site_id=site_id, version=__version__)
        answer = wire.send("POST", "/register", message.model_dump(), limit=10.0)
    except TransientError as error:
        raise UnavailableError(str(error), hint=f"Is a hub running at {url}?", code="plane-away") from None
    finally:
        wire.close()
    if meaning(answer) == "ok":
        return Registered.model_validate(answer.body)
    detail = str(answer.body.get("detail", f"the plane answered {answer.status}"))[:300]
    hint = str(answer.body.get("hint", ""))[:300]
    raise ConflictError(f"the plane refuses: {detail}", hint=hint, code=answer.code[:60] or "plane-refused")


def _site(call: Call[Any, Any], row: dict[str, Any], now: int) -> SiteOut:
    presence = replica.presence(row, now, call.services.settings.sync_interval)
    waiting = row["command_head"] - row["command_delivered"]
    return SiteOut(**row, presence=presence, head_seq=row["status"].get("head_seq"), commands_waiting=waiting)


def _offline_since(call: Call[Any, Any], site: dict[str, Any], now: int) -> str:
    """When the site was heard last, if that is too long ago; else empty."""
    presence = replica.presence(site, now, call.services.settings.sync_interval)
    if presence == "never":
        return "it was made, and never heard of"
    return rfc3339(site["last_seen_at"]) if presence == "offline" else ""


def _run(row: dict[str, Any], offline: str) -> SiteRun:
    run = row["run"]
    notice = "presumed; the site is offline since " + offline if offline else ""
    if row["cancel_requested_at"] is not None:
        notice = f"cancel requested, site offline since {offline}" if offline else "cancel requested"
    if row["orphaned_at"] is not None:
        notice = "the site does not know this run any more"
    if row["state_type"] in TERMINAL and not row["orphaned_at"]:
        notice = ""
    named = {name: run.get(name) for name in ("flow_name", "deployment_name", "started_at", "ended_at", "error_type")}
    return SiteRun(
        **named, id=row["run_id"], name=str(run.get("run_name") or ""), state_type=row["state_type"],
        state_name=str(run.get("state_name") or ""), version=row["version"], attempt=run.get("attempt") or 0,
        created_at=run["created_at"], updated_at=row["updated_at"], cancel_requested_at=row["cancel_requested_at"],
        orphaned_at=row["orphaned_at"], notice=notice,
    )  # fmt: skip


def _command(call: Call[Any, Any], command_id: Id) -> CommandSeen:
    scope: Scope = call.scope
    with call.store.read() as tx:
        site = orders.find_site(tx, scope, call.path["site"])
        query = replica.COMMANDS.select().where(
            replica.COMMANDS.c.id == command_id, replica.COMMANDS.c.workspace_id == scope.workspace_id
        )
        row = dict(tx.conn.execute(query).mappings().one())
        return _seen(row, site, _offline_since(call, site, tx.now))


def _seen(row: dict[str, Any], site: dict[str, Any], offline: str) -> CommandSeen:
    if row["outcome"] is not None:
        return CommandSeen(**row, status=row["outcome"], notice="")
    if row["withdrawn_at"] is not None:
        return CommandSeen(**row, status="withdrawn", notice="")
    fetched = row["seq"] <= site["command_delivered"]
    what = row["op"].partition(".")[2]
    notice = f"{what} requested, site offline since {offline}" if offline else f"{what} requested"
    return CommandSeen(**row, status="delivered" if fetched else "waiting", notice=notice)


def _link(row: dict[str, Any], head: int) -> LinkOut:
    return LinkOut(**row, head_seq=head, lag=max(0, head - (row["acked_seq"] or 0)))
