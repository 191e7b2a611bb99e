"""Log lines on their way to a plane: a second stream beside the events, which is shed where it cannot keep up.

Events go first and are never dropped. What of the lines does not reach the plane is told by an event, `hub.link.gap`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from hub import events as catalog
from hub import redacting
from hub.runtime import contributed
from hub.store import events, exporting, runs
from hub.store.base import Store, Tx
from hub.store.tables import Log
from hub.types import Actor, Id, Scope
from sqlalchemy import func, select

from hub_hybrid import export, links
from hub_hybrid.agent import Agent, Open
from hub_hybrid.export import Policy
from hub_hybrid.protocol import MAX_BYTES, MAX_LINES, Gap, LineOut, LogBatch, LogsAcked

LOGS = Log.__table__
WITHHELD = "hub.run.logs"
"""What the lines of a run are called where plugins are asked about them; no event has this type."""
HOLE_S = 10.0
"""Ids are dense, but on PostgreSQL one transaction may commit before another whose ids are lower: it is waited for."""
RESUME = 0.64
"""What is shed is all but this part of the limit, so that the next line does not shed again."""


class Lines:
    """Sends the lines of one link, over the sessions of its agent. `limit` is the backlog at which lines are shed."""

    def __init__(self, store: Store, link_id: Id, agent: Agent, limit: int) -> None:
        self._store = store
        self._link_id = link_id
        self._agent = agent
        self._limit = limit
        self._hole: tuple[int, float] | None = None
        self.pause = 0.0
        """How long the plane wants to be left in peace, in seconds."""

    def step(self) -> bool:
        """Send the next lines. False when there are none, or events come first."""
        session = self._agent.session
        if session is None or session.protocol < 2 or not self._agent.ready:
            return False
        with self._store.read() as tx:
            link = links.current(tx, self._link_id)
            if not catalog.allows(link["level"], "logs"):
                return False
            end = links.newest_line(tx)
        if end < link["log_cursor"]:
            # Ids begin anew when all lines were removed.
            self._advance(session, link, **links.lines_from(0))
            return True
        gap = link["log_gap"]
        if gap is not None and gap["first"] <= link["log_cursor"] + 1:
            return self._tell(session, link, Gap(**gap))
        if gap is None and end - link["log_cursor"] > self._limit:
            return self._leave_out(session, link, end - int(self._limit * RESUME), "backlog")
        return self._send(session, link, gap)

    def _send(self, session: Open, link: Mapping[str, Any], gap: Mapping[str, Any] | None) -> bool:
        """Send the next lines, at most up to a gap."""
        cursor = link["log_cursor"]
        with self._store.read() as tx:
            rows = _between(tx, cursor, gap["first"] if gap else None)
        if not rows:
            # What stood before the gap is gone meanwhile: the gap has become larger.
            return gap is not None and self._tell(session, link, Gap.model_validate({**gap, "first": cursor + 1}))
        if rows[0]["id"] > cursor + 1:
            return not self._waits(cursor) and self._leave_out(session, link, rows[0]["id"] - 1, "missing")
        rows = _dense(rows)
        lines = self._lines(Policy.of(link, session.protocol), rows)
        if lines is None:
            return False
        batch = _batch(link, after=cursor, upto=rows[-1]["id"], lines=lines)
        acked = self._agent.ask(LogsAcked, "POST", _path(session), batch)
        self._advance(session, link, log_cursor=max(cursor, acked.log_acked))
        self.pause = acked.pause_s
        return True

    def _tell(self, session: Open, link: Mapping[str, Any], gap: Gap) -> bool:
        """Tell the plane of a gap, and go on behind it."""
        cursor = link["log_cursor"]
        batch = _batch(link, after=cursor, upto=max(cursor, gap.last), gap=gap)
        acked = self._agent.ask(LogsAcked, "POST", _path(session), batch)
        self._advance(session, link, log_cursor=max(cursor, acked.log_acked), log_gap=None)
        return True

    def _advance(self, session: Open, link: Mapping[str, Any], **values: Any) -> None:
        """Keep how far the lines have come, unless the policy was changed meanwhile and they begin elsewhere."""
        with self._store.write() as tx:
            if links.current(tx, self._link_id)["log_epoch"] == link["log_epoch"]:
                links.move(tx, self._link_id, session.fence, **values)

    def _waits(self, cursor: int) -> bool:
        """Whether what fills a hole may still be committed."""
        if self._store.dialect == "sqlite":
            return False
        if self._hole is None or self._hole[0] != cursor:
            self._hole = (cursor, time.monotonic())
        return time.monotonic() - self._hole[1] < HOLE_S

    def _lines(self, policy: Policy, rows: Sequence[Mapping[str, Any]]) -> list[LineOut] | None:
        """What of the rows may leave; None where that cannot be said now."""
        mine = [row for row in rows if row["workspace_id"] == policy.workspace_id]
        ids = {row["run_id"] for row in mine}
        with self._store.read() as tx:
            needles = exporting.known_secrets(tx, policy.workspace_id) if mine else ()
            caps, told = exporting.run_caps(tx, ids), runs.by_ids(tx, ids)
        if needles is None:
            return None
        allowed = {run_id for run_id in ids if catalog.allows(caps[run_id], "logs")} - _withheld(told)
        return [_line(row, needles) for row in mine if row["run_id"] in allowed]

    def _leave_out(self, session: Open, link: Mapping[str, Any], last: int, cause: str) -> bool:
        """Decide that lines will not be sent, and tell it by an event in the same transaction; the plane hears next."""
        first = link["log_cursor"] + 1
        size = func.coalesce(func.sum(func.length(LOGS.c.message)), 0)
        where = (LOGS.c.id.between(first, last), LOGS.c.workspace_id == link["workspace_id"])
        with self._store.write() as tx:
            count, length = tx.conn.execute(select(func.count(), size).where(*where)).one()
            lost = last - first + 1 if cause == "missing" else count
            gap = {"first": first, "last": last, "count": lost, "bytes": int(length), "cause": cause}
            if links.move(tx, self._link_id, session.fence, log_gap=gap):
                named = {"name": link["name"], "site": link["site_id"], "log_epoch": link["log_epoch"]}
                scope = Scope(link["workspace_id"], Actor("system"))
                events.append(tx, scope, "hub.link.gap", subject=self._link_id, **named, **gap)
        return True


def _path(session: Open) -> str:
    return f"/sessions/{session.fence}/logs"


def _between(tx: Tx, after: int, before: int | None) -> list[dict[str, Any]]:
    query = select(LOGS).where(LOGS.c.id > after).order_by(LOGS.c.id).limit(MAX_LINES)
    query = query if before is None else query.where(LOGS.c.id < before)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def _batch(link: Mapping[str, Any], **more: Any) -> LogBatch:
    return LogBatch(log_epoch=link["log_epoch"], start=link["log_start"], **more)


def _dense(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first rows, up to the first hole, as many as make a batch."""
    taken: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        size += 4 * len(row["message"]) + 400
        if taken and (row["id"] != taken[-1]["id"] + 1 or size > MAX_BYTES):
            break
        taken.append(row)
    return taken


def _withheld(told: Mapping[Id, Mapping[str, Any]]) -> set[Id]:
    """The runs whose lines a plugin withholds, as it does their events."""
    hooks = contributed.hooks()
    if not told or not hooks.implemented("hub_export_redact"):
        return set()
    shown = [
        {"id": row["id"], "type": WITHHELD, "subject": row["id"], "run_id": row["id"], "more": {},
         "body": export.run_out(row, None, ()).run}
        for row in told.values()
    ]  # fmt: skip
    return set(hooks.export_redact(shown))


def _line(row: Mapping[str, Any], needles: tuple[str, ...]) -> LineOut:
    texts = {name: redacting.without(row[name], needles) for name in ("message", "logger")}
    return LineOut.model_validate({**row, **texts})
