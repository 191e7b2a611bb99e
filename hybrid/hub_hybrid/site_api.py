"""Sites over the API: the hubs that report to this one, what they reported, and what they are asked to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, apply
from hub.states import TERMINAL, StateType
from hub.types import Id, Scope, rfc3339
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from pydantic import Field
from starlette.routing import BaseRoute

from hub_hybrid import digests, loglines, orders, replica


def _pages() -> Iterable[BaseRoute]:
    from hub_hybrid.ui import site_pages  # noqa: PLC0415 - its pages use this module

    return site_pages.pages.routes()


api = Api(pages=_pages)
READ, WRITE = "links:read", "links:write"
SiteName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class SiteIn(In):
    """A name for a hub that will report here, and for how many seconds it may join."""

    name: SiteName
    life_s: float = Field(3600, ge=60, le=30 * 86_400)


class TokenIn(In):
    """For how many seconds somebody may join with a token; without a site also for how many hubs it is."""

    site: str | None = Field(None, max_length=100)
    uses: int = Field(1, ge=1, le=1000)
    life_s: float = Field(3600, ge=60, le=30 * 86_400)


class SiteOut(Out):
    """A site. `presence` is online, late, offline or never, by this plane's clock.

    `work` of one that takes runs from this plane is open, paused, draining or drained, as it said last.
    """

    id: str
    name: str
    presence: str
    acked_seq: int
    head_seq: int | None
    last_seen_at: Moment | None
    created_at: Moment
    commands_waiting: int
    labels: dict[str, str]
    takes_runs: bool
    work: str


class SiteMade(Out):
    """A new site. The join token is shown once, and good for one hub."""

    id: str
    name: str
    token: str
    expires_at: Moment | None


class TokenMade(Out):
    """A join token, shown once."""

    token: str
    uses: int
    expires_at: Moment | None


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
    error_message: str | None
    updated_at: Moment
    cancel_requested_at: Moment | None
    orphaned_at: Moment | None
    notice: str


class SiteRunShown(SiteRun):
    """One run, with what the site's policy let out beside metadata; null: it did not, or there was none.

    `{"left_out_bytes": n}` stands in place of a value that is too large, or no JSON.
    """

    state_message: str | None
    error_trace: str | None
    parameters: Any
    result: Any


class LineQuery(PageQuery):
    """Only lines from that level of Python's logging up."""

    level: int = Field(0, ge=0, le=100)


class SiteLine(Out):
    """A log line of a site's run. One of the logger `hub.link.gap` says that lines from `first` to `id` are missing."""

    id: int
    at: Moment
    level: int
    logger: str
    message: str
    task_run_id: str | None
    attempt: int
    first: int | None


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


@api.op("GET", "/api/v1/sites", query=PageQuery, out=Page[SiteOut], scope=READ)
def list_sites(call: Call[NoBody, PageQuery]) -> Page[SiteOut]:
    """The hubs that report here, newest first."""
    with call.store.read() as tx:
        found = orders.sites(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        return Page[SiteOut](items=[_site(call, row, tx.now) for row in found.items], next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/sites", body=SiteIn, out=SiteMade, status=201, scope=WRITE, errors=[ConflictError])
def create_site(call: Call[SiteIn, NoQuery]) -> dict[str, Any]:
    """Make a site; the answer holds its token, once."""
    command = Command("site.create", call.scope, call.body.name, call.body.model_dump(), call.command_id)
    return {"token": "", "expires_at": None, **apply(call.store, command).result}


@api.op("POST", "/api/v1/sites/tokens", body=TokenIn, out=TokenMade, status=201, scope=WRITE, errors=[NotFoundError])
def create_join_token(call: Call[TokenIn, NoQuery]) -> dict[str, Any]:
    """Make a join token: for a site that is there, whose hub then joins anew, or for new ones."""
    args = {"uses": call.body.uses, "life_s": call.body.life_s}
    command = Command("site.token", call.scope, call.body.site or "", args, call.command_id)
    return {"token": "", "expires_at": None, **apply(call.store, command).result}


@api.op("POST", "/api/v1/sites/{site}/revoke", scope=WRITE, errors=[NotFoundError])
def revoke_site_key(call: Call[NoBody, NoQuery]) -> None:
    """Make a site's keys worthless; it stays, and its hub may join anew."""
    apply(call.store, Command("site.revoke", call.scope, call.path["site"], {}, call.command_id))


@api.op("POST", "/api/v1/sites/{site}/rotate", scope=WRITE, errors=[NotFoundError])
def rotate_site_key(call: Call[NoBody, NoQuery]) -> None:
    """Ask a site for another key; it makes one with its next heartbeat."""
    apply(call.store, Command("site.rotate", call.scope, call.path["site"], {}, call.command_id))


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


@api.op("GET", "/api/v1/sites/{site}/runs/{run_id}", out=SiteRunShown, scope=READ, errors=[NotFoundError])
def get_site_run(call: Call[NoBody, NoQuery]) -> SiteRunShown:
    """One run of a site as it reported it."""
    with call.store.read() as tx:
        site = orders.find_site(tx, call.scope, call.path["site"])
        row, offline = orders.run(tx, call.scope, site["id"], call.path["run_id"]), _offline_since(call, site, tx.now)
    return shown(row, offline)


@api.op(
    "GET", "/api/v1/sites/{site}/runs/{run_id}/logs", query=LineQuery, out=Page[SiteLine], scope=READ,
    errors=[NotFoundError],
)  # fmt: skip
def list_site_lines(call: Call[NoBody, LineQuery]) -> Page[SiteLine]:
    """The log lines of a site's run that its policy let out, oldest first."""
    query = call.query
    with call.store.read() as tx:
        site = orders.find_site(tx, call.scope, call.path["site"])
        run = orders.run(tx, call.scope, site["id"], call.path["run_id"])
        found = loglines.listing(
            tx, call.scope, site["id"], run["run_id"], level=query.level, limit=query.limit, cursor=query.cursor
        )
    return Page[SiteLine](items=[SiteLine(**row) for row in found.items], next_cursor=found.next_cursor)


@api.op(
    "POST", "/api/v1/sites/{site}/runs/{run_id}/cancel", out=CommandSeen, status=202, scope="runs:write",
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def cancel_site_run(call: Call[NoBody, NoQuery]) -> CommandSeen:
    """Ask the site to cancel a run. It decides; until it answers, the run shows that a cancel was asked for."""
    args = {"op": "run.cancel", "run_id": call.path["run_id"]}
    outcome = apply(call.store, Command("site.order", call.scope, call.path["site"], args, call.command_id))
    return command_seen(call, str(outcome.result["id"]))


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


def _site(call: Call[Any, Any], row: dict[str, Any], now: int) -> SiteOut:
    presence = replica.presence(row, now, call.services.settings.sync_interval)
    waiting = row["command_head"] - row["command_delivered"]
    said = row["status"]
    offer = {
        "labels": said.get("labels", {}),
        "takes_runs": said.get("takes_runs", False),
        "work": said.get("work", ""),
    }
    return SiteOut(**row, **offer, presence=presence, head_seq=said.get("head_seq"), commands_waiting=waiting)


def _offline_since(call: Call[Any, Any], site: dict[str, Any], now: int) -> str:
    return offline_since(site, now, call.services.settings.sync_interval)


def offline_since(site: dict[str, Any], now: int, interval_s: float) -> str:
    """When the site was heard last, if that is too long ago; else empty."""
    presence = replica.presence(site, now, interval_s)
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
        orphaned_at=row["orphaned_at"], notice=notice, error_message=_text(row, "error_message"),
    )  # fmt: skip


def shown(row: dict[str, Any], offline: str) -> SiteRunShown:
    """A run of the replica with all that the site has let out of it."""
    return SiteRunShown(
        **_run(row, offline).model_dump(), state_message=_text(row, "state_message"),
        error_trace=_text(row, "error_trace"), parameters=row["more"].get("params", {}).get("parameters"),
        result=row["more"].get("results", {}).get("result"),
    )  # fmt: skip


def _text(row: dict[str, Any], name: str) -> str | None:
    """One of the texts about a run's end, if the site has let it out."""
    value = row["more"].get("errors", {}).get(name)
    return None if value is None else str(value)


def command_seen(call: Call[Any, Any], command_id: Id) -> CommandSeen:
    """A command for the site of the path, as it stands."""
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
