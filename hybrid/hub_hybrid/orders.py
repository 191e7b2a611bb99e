"""The plane's commands for a site: issued with a dense position, delivered, withdrawn while undelivered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.errors import ConflictError, HubError, NotFoundError
from hub.states import TERMINAL
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.types import SECOND, Id, Scope
from sqlalchemy import select, update

from hub_hybrid.protocol import MAX_COMMANDS, OLDEST, CommandOut, Commands
from hub_hybrid.replica import COMMANDS, RUNS, SITES, fenced, locked, older

OPS = frozenset({"run.cancel", "run.pause", "run.resume"})
"""What a plane may ask every site for; a site that takes runs obeys `working.OPS_OF_PLANES` too."""
LIFE_S = 7 * 86_400
"""A command nobody fetched for so long is refused by the site; outcomes are kept for longer than that."""


_UPDATE = "Update the hub at the site. What it reports is still taken."


class Outdated(HubError):
    """The site is too old for commands."""

    code = "upgrade-required"
    status = 426


def find_site(tx: Tx, scope: Scope, name: str, *, removed: bool = False) -> dict[str, Any]:
    """The site of that name or id in the scope's workspace."""
    query = select(SITES).where(SITES.c.workspace_id == scope.workspace_id)
    query = query.where((SITES.c.name == name) | (SITES.c.id == name))
    if not removed:
        query = query.where(SITES.c.removed_at.is_(None))
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no site {name!r} in this workspace", hint="`hub sites ls` lists them.")
    return dict(row)


def issue(
    tx: Tx, scope: Scope, site_row: Id, op: str, target: str, args: Mapping[str, Any], *, command_id: Id
) -> dict[str, Any]:
    """Write a command for the site to fetch. The same wish still on its way is given back, not written twice."""
    site = locked(tx, site_row)
    if not site["authority_id"]:
        raise ConflictError(
            f"the site {site['name']!r} does not take commands from this plane",
            hint="It must connect first, with this plane as its primary: `hub cloud promote` at the site.",
            code="not_authority",
        )
    _refuse_final(tx, site_row, op, target)
    # Two runs of one deployment are two wishes; two cancels of one run are the same.
    waiting = None if op == "run.create" else _waiting(tx, site_row, op, target)
    if waiting is not None:
        return waiting
    row = {
        "id": command_id, "workspace_id": scope.workspace_id, "site_row": site_row, "seq": site["command_head"] + 1,
        "op": op, "target": target, "args": dict(args), "authority_id": site["authority_id"], "issued_at": tx.now,
        "issued_by": str(scope.actor), "expires_at": tx.now + LIFE_S * SECOND,
    }  # fmt: skip
    tx.insert(COMMANDS, row)
    tx.conn.execute(update(SITES).where(SITES.c.id == site_row).values(command_head=row["seq"]))
    if op == "run.cancel":
        where = (RUNS.c.site_row == site_row, RUNS.c.run_id == target)
        tx.conn.execute(update(RUNS).where(*where).values(cancel_requested_at=tx.now))
    tx.wake("commands")
    return {**row, "withdrawn_at": None, "outcome": None, "outcome_at": None}


def _refuse_final(tx: Tx, site_row: Id, op: str, target: str) -> None:
    query = select(RUNS.c.state_type).where(RUNS.c.site_row == site_row, RUNS.c.run_id == target)
    state = tx.conn.execute(query).scalar()
    if op.startswith("run.") and state in TERMINAL:
        raise ConflictError(f"run {target} is {state}, and that is final", code="already_final", state=state)


def _waiting(tx: Tx, site_row: Id, op: str, target: str) -> dict[str, Any] | None:
    """The newest command without an outcome, if it already asks for the same."""
    query = select(COMMANDS).where(
        COMMANDS.c.site_row == site_row, COMMANDS.c.target == target, COMMANDS.c.outcome.is_(None),
        COMMANDS.c.withdrawn_at.is_(None), COMMANDS.c.expires_at > tx.now,
    )  # fmt: skip
    row = tx.conn.execute(query.order_by(COMMANDS.c.seq.desc()).limit(1)).mappings().first()
    return dict(row) if row is not None and row["op"] == op else None


def withdraw(tx: Tx, scope: Scope, site_row: Id, command_id: Id) -> dict[str, Any]:
    """Take a command back that the site has not fetched; afterwards only the site can answer it."""
    site = locked(tx, site_row)
    where = (
        COMMANDS.c.id == command_id,
        COMMANDS.c.site_row == site_row,
        COMMANDS.c.workspace_id == scope.workspace_id,
    )
    row = tx.conn.execute(select(COMMANDS).where(*where)).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no command {command_id} for this site")
    if row["seq"] <= site["command_delivered"]:
        raise ConflictError(
            "the site has fetched this command already", hint="Its outcome will come from there.", code="delivered"
        )
    tx.conn.execute(update(COMMANDS).where(*where).values(withdrawn_at=tx.now))
    runs = (RUNS.c.site_row == site_row, RUNS.c.run_id == row["target"])
    tx.conn.execute(update(RUNS).where(*runs).values(cancel_requested_at=None))
    return {**dict(row), "withdrawn_at": tx.now}


def pending(tx: Tx, site_row: Id, fence: int, after: int) -> bool:
    """Whether a poll has something to answer at once: a newer command, or that its session is over."""
    row = tx.conn.execute(select(SITES.c.fence, SITES.c.command_head).where(SITES.c.id == site_row)).one()
    return bool(row.fence != fence or row.command_head > after)


def deliver(tx: Tx, site_row: Id, fence: int, after: int) -> Commands:
    """The commands after the cursor. What is given here can no longer be withdrawn.

    Answered ones too: a site that was restored from a backup may have lost what it did, and asks from further back.
    """
    site = fenced(tx, site_row, fence)
    if site["protocol"] < OLDEST:
        raise Outdated(f"this site speaks protocol {site['protocol']}, and commands need {OLDEST}", hint=_UPDATE)
    if after > site["command_delivered"]:
        raise older(site)  # else new commands would take positions that the site has passed
    query = select(COMMANDS).where(
        COMMANDS.c.site_row == site_row, COMMANDS.c.seq > after, COMMANDS.c.withdrawn_at.is_(None),
    )  # fmt: skip
    rows = tx.conn.execute(query.order_by(COMMANDS.c.seq).limit(MAX_COMMANDS)).mappings().all()
    cursor = rows[-1]["seq"] if len(rows) == MAX_COMMANDS else max(site["command_head"], after)
    if cursor > site["command_delivered"]:
        tx.conn.execute(update(SITES).where(SITES.c.id == site_row).values(command_delivered=cursor))
    commands = [CommandOut.model_validate(dict(row)) for row in rows]
    return Commands(plane_epoch=site["plane_epoch"], cursor=cursor, commands=commands)


def listing(tx: Tx, scope: Scope, site_row: Id, *, limit: int, cursor: str | None) -> Page[dict[str, Any]]:
    """The site's commands, newest first."""
    query = select(COMMANDS).where(COMMANDS.c.site_row == site_row, COMMANDS.c.workspace_id == scope.workspace_id)
    return page(tx, query, COMMANDS.c.seq, limit=limit, cursor=cursor, make=dict)


def sites(tx: Tx, scope: Scope, *, limit: int, cursor: str | None) -> Page[dict[str, Any]]:
    """The workspace's sites, newest first."""
    query = select(SITES).where(SITES.c.workspace_id == scope.workspace_id, SITES.c.removed_at.is_(None))
    return page(tx, query, SITES.c.id, limit=limit, cursor=cursor, make=dict)


def runs(
    tx: Tx, scope: Scope, site_row: Id, *, state: str | None, limit: int, cursor: str | None
) -> Page[dict[str, Any]]:
    """The replica of a site's runs, newest first."""
    query = select(RUNS).where(RUNS.c.site_row == site_row, RUNS.c.workspace_id == scope.workspace_id)
    if state is not None:
        query = query.where(RUNS.c.state_type == state)
    return page(tx, query, RUNS.c.run_id, limit=limit, cursor=cursor, make=dict)


def run(tx: Tx, scope: Scope, site_row: Id, run_id: Id) -> dict[str, Any]:
    """One run of the replica."""
    query = select(RUNS).where(
        RUNS.c.site_row == site_row, RUNS.c.workspace_id == scope.workspace_id, RUNS.c.run_id == run_id
    )
    row = tx.conn.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"this site has not reported a run {run_id}")
    return dict(row)
