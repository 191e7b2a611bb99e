"""What a plane does with what a site sends. One transaction each, under the lock of the site's row."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from typing import Any, Literal, cast

from hub.errors import ConflictError, HubError
from hub.states import StateType
from hub.store.base import Tx
from hub.store.tables import PlaneCommand, PlaneEvent, PlaneRun, PlaneSite
from hub.types import Id
from sqlalchemy import select, update

from hub_hybrid import loglines
from hub_hybrid.exchange import chained
from hub_hybrid.export import fields_of, wire
from hub_hybrid.protocol import (
    CAPABILITIES,
    PROTOCOL,
    Acked,
    Answered,
    Batch,
    Beat,
    EventOut,
    Heartbeat,
    Hello,
    LogBatch,
    LogsAcked,
    Register,
    Registered,
    RunOut,
    Session,
    SnapshotPart,
)

SITES = PlaneSite.__table__
EVENTS = PlaneEvent.__table__
RUNS = PlaneRun.__table__
COMMANDS = PlaneCommand.__table__

Row = Mapping[str, Any]

LOG_RATE = 5_000
"""Log lines a second of one site; who sends more is asked to wait."""
_FORGOTTEN = 2**32
"""More sessions than can have begun since a backup."""


class SiteRemoved(HubError):
    """The plane's people have struck this site off."""

    code = "site-removed"
    status = 410


def locked(tx: Tx, site_row: Id) -> dict[str, Any]:
    """The site's row, which nobody else changes until the transaction ends."""
    row = tx.conn.execute(select(SITES).where(SITES.c.id == site_row).with_for_update()).mappings().one()
    if row["removed_at"] is not None:
        raise SiteRemoved("this site was removed from the plane", hint="Connect again with a new token.")
    return dict(row)


def register(tx: Tx, site_row: Id, message: Register) -> Registered:
    """Bind the token to the installation that uses it first; another one needs a token of its own."""
    site = locked(tx, site_row)
    _bound(tx, site, message.site_id)
    return Registered(site=site["id"], name=site["name"])


def _bound(tx: Tx, site: Row, site_id: str) -> None:
    if site["site_id"] in ("", site["id"]):
        where = (SITES.c.workspace_id == site["workspace_id"], SITES.c.site_id == site_id)
        twin = tx.conn.execute(select(SITES.c.name).where(*where)).scalar()
        if twin is not None:
            raise ConflictError(
                f"this installation reports here already, as {twin!r}",
                hint=f"Remove that site first: `hub sites rm {twin}`.",
                code="known-site",
            )
        save(tx, site, site_id=site_id)
    elif site["site_id"] != site_id:
        raise ConflictError(
            "this token belongs to another installation",
            hint="Every hub needs its own: `hub sites create NAME` on the plane.",
            code="other-site",
        )


def open_session(tx: Tx, site_row: Id, hello: Hello) -> Session:
    """Begin a session: a new fence ends the one before; say where the plane stands."""
    site = locked(tx, site_row)
    _bound(tx, site, hello.site_id)
    if was_restored(site, hello):
        site = {**site, **restored(tx, site)}
    values = {
        # A plane that was restored must not give out a fence that the site has seen.
        "fence": max(site["fence"], hello.fence) + 1,
        "authority_id": hello.authority_id if hello.primary else "",
        "plane_epoch": site["plane_epoch"] or str(uuid.uuid4()),
        "protocol": hello.protocol,
    }
    save(tx, site, **values)
    return Session(
        fence=values["fence"],
        mode=_mode(tx, site, hello.stream_epoch),
        acked_seq=site["acked_seq"],
        acked_hash=site["chain_hash"],
        plane_epoch=values["plane_epoch"],
        server_time=tx.now,
        protocol=min(hello.protocol, PROTOCOL),
        log_epoch=site["log_epoch"],
        log_acked=site["log_acked"],
        forwards=bool(site["seal_key"]),
        capabilities=[name for name in CAPABILITIES if name in hello.capabilities],
    )


def _mode(tx: Tx, site: Row, stream_epoch: str) -> Literal["resume", "snapshot", "fork"]:
    """An epoch that was followed once and left is never followed again: the site was restored a second time."""
    if site["stream_epoch"] == stream_epoch:
        return "resume"
    followed = select(EVENTS.c.seq).where(EVENTS.c.site_row == site["id"], EVENTS.c.stream_epoch == stream_epoch)
    return "snapshot" if tx.conn.execute(followed.limit(1)).first() is None else "fork"


def was_restored(site: Row, hello: Hello) -> bool:
    """Whether the site remembers more of this plane than the plane does: then the plane is an older copy of itself."""
    if hello.plane_epoch != site["plane_epoch"] or not site["plane_epoch"]:
        return False
    same_stream = hello.stream_epoch == site["stream_epoch"]
    return bool(
        hello.fence > site["fence"]
        or hello.command_cursor > site["command_delivered"]
        or (same_stream and (hello.acked_seq or 0) > site["acked_seq"])
    )


def restored(tx: Tx, site: Row) -> dict[str, Any]:
    """After a restore from a backup: a new epoch, and every command counts as delivered, for it may have been.

    The site then asks for all commands again and answers those it knows from its own record.
    """
    values: dict[str, Any] = {
        "plane_epoch": str(uuid.uuid4()), "fence": unused_fence(site["fence"]),
        "command_delivered": site["command_head"],
    }  # fmt: skip
    tx.conn.execute(update(SITES).where(SITES.c.id == site["id"]).values(**values))
    return values


def unused_fence(fence: int) -> int:
    """A fence that no session has had, given that of a backup.

    The next number is that of the first session after the backup: it would go on, though what it relies on is lost.
    """
    return fence + _FORGOTTEN + secrets.randbelow(_FORGOTTEN)


def fenced(tx: Tx, site_row: Id, fence: int) -> dict[str, Any]:
    """The locked row, if this session is the site's newest one."""
    site = locked(tx, site_row)
    if site["fence"] != fence:
        raise ConflictError("a newer session of this site has begun", code="stale-session", fence=site["fence"])
    return site


def older(site: Row) -> ConflictError:
    """What a session hears that relies on more than the plane holds; `was_restored` then sees it in its next hello."""
    return ConflictError("the plane is an older copy of itself", code="gap", acked_seq=site["acked_seq"])


def ingest(tx: Tx, site_row: Id, fence: int, batch: Batch) -> Acked:
    """Keep events in order. Never a hole, never another history; what is known already is skipped."""
    site = fenced(tx, site_row, fence)
    acked: int = site["acked_seq"]
    if batch.stream_epoch != site["stream_epoch"]:
        raise ConflictError("the plane follows another stream of this site", code="other-epoch")
    if batch.first_seq > acked + 1:
        raise ConflictError(f"events {acked + 1} to {batch.first_seq - 1} are missing", code="gap", acked_seq=acked)
    if any(event.seq != batch.first_seq + place for place, event in enumerate(batch.events)):
        raise ConflictError("the events are not in order", code="gap", acked_seq=acked)
    fresh = [event for event in batch.events if event.seq > acked]
    if fresh:
        previous = batch.prev_hash if batch.first_seq == acked + 1 else _hash_before(batch, fresh[0])
        if previous != site["chain_hash"] or not chained(previous, fresh):
            raise ConflictError("the events do not continue what the plane holds", code="fork", acked_seq=acked)
        _keep(tx, site, fresh)
        acked = fresh[-1].seq
        save(tx, site, acked_seq=acked, chain_hash=fresh[-1].hash)
    return Acked(acked_seq=acked)


def _hash_before(batch: Batch, first: EventOut) -> str:
    return batch.events[first.seq - batch.first_seq - 1].hash


def _keep(tx: Tx, site: Row, events: list[EventOut]) -> None:
    owner = {"site_row": site["id"], "workspace_id": site["workspace_id"]}
    rows = [
        {
            **owner, "stream_epoch": site["stream_epoch"], "seq": event.seq, "hash": event.hash, "received_at": tx.now,
            "event": {name: value for name, value in wire(event).items() if name != "hash"},
        }
        for event in events
    ]  # fmt: skip
    tx.insert(EVENTS, rows)
    latest: dict[str, RunOut] = {}
    for event in events:
        if event.type.startswith("hub.run.") and event.run_id is not None:
            latest[event.run_id] = _newer(latest.get(event.run_id), event)
        elif event.type == "hub.command.answered":
            _answered(tx, site, _outcome(event))
    _replicate(tx, owner, list(latest.values()))


def _newer(known: RunOut | None, event: EventOut) -> RunOut:
    """A run as its event says, with what an earlier one of the batch said beside metadata."""
    return RunOut(id=event.run_id or "", run=event.body, more=_merged(known.more if known else {}, fields_of(event)))


def _merged(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a run beside metadata. Its errors are those of its newest event; the rest is said once."""
    return {**{level: fields for level, fields in known.items() if level != "errors"}, **new}


def _replicate(tx: Tx, owner: Row, runs: list[RunOut]) -> None:
    """Write the runs' newest states; an event older than what a snapshot brought changes nothing."""
    known = select(RUNS.c.run_id, RUNS.c.version, RUNS.c.more).where(RUNS.c.site_row == owner["site_row"])
    # An orphaned row is of a history that is gone: a run of its id begins anew.
    known = known.where(RUNS.c.run_id.in_([run.id for run in runs]), RUNS.c.orphaned_at.is_(None))
    found = {row.run_id: row for row in tx.conn.execute(known)} if runs else {}
    for run in runs:
        row, before = _run_row(run), found.get(run.id)
        if row is not None and (before is None or row["version"] >= before.version):
            row["more"] = _merged(before.more if before else {}, run.more)
            tx.upsert(RUNS, {**owner, **row, "updated_at": tx.now}, keys=["site_row", "run_id"])


def _run_row(run: RunOut) -> dict[str, Any] | None:
    """The replica's columns; None when a peer sent something that is not a run."""
    state, version, created_at = run.run.get("state_type"), run.run.get("version"), run.run.get("created_at")
    if state not in StateType.__members__ or not isinstance(version, int) or not isinstance(created_at, int):
        return None
    if len(run.id) != 36:
        return None
    return {
        "run_id": run.id, "run": run.run, "state_type": state, "version": version, "snapshot": 0, "orphaned_at": None,
        "more": run.more,
    }  # fmt: skip


def _outcome(event: EventOut) -> Answered:
    named = {name: str(event.body.get(name, ""))[:200] for name in ("command_id", "status", "code")}
    return Answered(**named, at=event.at)


def _answered(tx: Tx, site: Row, answer: Answered) -> None:
    """Keep what came of a command; the site's word also stands against a withdrawal that came too late."""
    outcome = answer.status if not answer.code else f"{answer.status}:{answer.code}"
    changed = tx.conn.execute(
        update(COMMANDS)
        .where(COMMANDS.c.id == answer.command_id, COMMANDS.c.site_row == site["id"], COMMANDS.c.outcome.is_(None))
        .values(outcome=outcome, outcome_at=tx.now, withdrawn_at=None)
        .returning(COMMANDS.c.target)
    ).first()
    if changed is not None:
        where = (RUNS.c.site_row == site["id"], RUNS.c.run_id == changed.target)
        tx.conn.execute(update(RUNS).where(*where).values(cancel_requested_at=None))


def snapshot(tx: Tx, site_row: Id, fence: int, part: SnapshotPart) -> Acked:
    """Take over a piece of the site's present state. The last one moves the plane to the snapshot's position.

    Runs that only the plane knew stay, marked as orphaned.
    """
    site = fenced(tx, site_row, fence)
    owner = {"site_row": site["id"], "workspace_id": site["workspace_id"]}
    for run in part.runs:
        row = _run_row(run)
        if row is not None:
            values = {**owner, **row, "snapshot": fence, "updated_at": tx.now}
            tx.upsert(RUNS, values, keys=["site_row", "run_id"])
    for answer in part.answered:
        _answered(tx, site, answer)
    if not part.last:
        return Acked(acked_seq=site["acked_seq"])
    gone = (RUNS.c.site_row == site["id"], RUNS.c.snapshot != fence, RUNS.c.orphaned_at.is_(None))
    tx.conn.execute(update(RUNS).where(*gone).values(orphaned_at=tx.now))
    save(tx, site, stream_epoch=part.stream_epoch, acked_seq=part.head_seq, chain_hash=part.head_hash)
    return Acked(acked_seq=part.head_seq)


def take_lines(tx: Tx, site_row: Id, fence: int, batch: LogBatch) -> LogsAcked:
    """Keep lines. One that is known is skipped; a plane that lacks what came before says so."""
    site = fenced(tx, site_row, fence)
    acked = site["log_acked"] if batch.log_epoch == site["log_epoch"] else batch.start
    if batch.after > acked:
        raise ConflictError("log lines before these are missing", code="gap", acked_seq=site["acked_seq"])
    owner = {
        "site_row": site_row, "workspace_id": site["workspace_id"], "epoch": batch.log_epoch, "received_at": tx.now,
    }  # fmt: skip
    # Nobody else writes lines of this site meanwhile: its row is locked.
    fresh = [{**owner, **line.model_dump(), "first": None} for line in batch.lines if line.id > acked]
    if batch.gap is not None and batch.gap.last > acked:
        fresh.append({**owner, **loglines.mark(batch.gap, tx.now)})
    if fresh:
        tx.insert(loglines.LINES, fresh)
    acked = max(acked, batch.upto)
    save(tx, site, log_epoch=batch.log_epoch, log_acked=acked)
    return LogsAcked(log_acked=acked, pause_s=len(batch.lines) / LOG_RATE)


def heartbeat(tx: Tx, site_row: Id, fence: int, beat: Heartbeat) -> Beat:
    """Note that the site is there, by the plane's own clock."""
    site = fenced(tx, site_row, fence)
    if beat.acked_seq > site["acked_seq"]:
        raise older(site)
    save(tx, site, status=beat.model_dump())
    return Beat(server_time=tx.now, rotate_key=site["rotate_key"])


def close(tx: Tx, site_row: Id, fence: int) -> None:
    """End a session in good order: its fence is worth nothing from now on."""
    site = fenced(tx, site_row, fence)
    save(tx, site, fence=fence + 1)


def save(tx: Tx, site: Row, **values: Any) -> None:
    """Change the site's row; whatever it sent also shows that it is there."""
    tx.conn.execute(update(SITES).where(SITES.c.id == site["id"]).values(last_seen_at=tx.now, **values))


def presence(site: Row, now: int, interval_s: float) -> str:
    """online, late, offline or never, by the plane's own receive clock."""
    seen = cast("int | None", site["last_seen_at"])
    if seen is None:
        return "never"
    silent = (now - seen) / 1e6
    return "online" if silent < 3 * interval_s else "late" if silent < 5 * interval_s else "offline"
