"""The site's side of a link: opens sessions, pushes events in order, fetches commands and carries them out.

Every method does one bounded exchange; what calls them and when is the supervisor's business. Durable progress is
kept in the link's row and only moves while this session is the newest one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from hub.errors import HubError, RefusedError, TransientError, UnavailableError, UsageError
from hub.runtime.commands import Command, apply
from hub.store import stream
from hub.store.base import Store, Tx
from hub.types import ID_PATTERN, Actor, Id, Scope, now_us
from hub.version import __version__
from pydantic import BaseModel, ValidationError

from hub_hybrid import exchange, export, links, packing, working
from hub_hybrid.exchange import Answer
from hub_hybrid.export import Policy
from hub_hybrid.orders import OPS
from hub_hybrid.protocol import (
    PROTOCOL,
    Acked,
    Answered,
    Batch,
    Beat,
    CommandOut,
    Commands,
    Digest,
    Heartbeat,
    RunOut,
    Session,
    SnapshotPart,
)
from hub_hybrid.wire import Wire
from hub_hybrid.working import Offer

M = TypeVar("M", bound=BaseModel)
PAGE = 200
TRIES = 5
GOODBYE_S = 2.0
_ID = re.compile(ID_PATTERN)


class SessionLost(Exception):
    """The plane does not go on with this session, or the link changed here: open the next one."""


class LinkRefused(HubError):
    """The plane does not accept this site's token."""

    code = "link-refused"
    status = 403


class LinkOutdated(HubError):
    """The plane gives no commands to a site that is so old; what it reports is still taken."""

    code = "link-outdated"
    status = 426


@dataclass(frozen=True, slots=True)
class Open:
    """A session. `head` is where the stream stood when it began: commands wait until the plane has that much."""

    fence: int
    epoch: str
    acked: int
    head: int
    authority: tuple[bool, str]
    max_events: int
    max_bytes: int
    protocol: int
    forwards: bool = False
    """Whether the plane takes webhooks for this site."""


class Agent:
    """Works for one link. Two threads may use it: one opens and pushes, the other polls."""

    def __init__(self, store: Store, link_id: Id, wire: Wire, offer: Offer | None = None) -> None:
        self._store = store
        self._link_id = link_id
        self._wire = wire
        self._offer = offer or Offer()
        self.told: dict[str, Any] = {}
        """What the last heartbeat said of what this hub offers."""
        self._shrink = 1
        self.behind = False
        """Whether there were more events than the last batch took."""
        self._tries: dict[Id, int] = {}
        self.session: Open | None = None

    # --- sessions ----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin a session and agree with the plane where to go on; send a snapshot where that must be."""
        self.session = None
        with self._store.write() as tx:
            link, ends, site_id = links.current(tx, self._link_id), stream.begin(tx), stream.site_id(tx)
        answer = self.ask(Session, "POST", "/sessions", exchange.hello(link, ends, site_id))
        self._wire.packs = packing.GZIP in answer.capabilities
        start, opened = self._begin(link, answer)
        if start != "push":
            opened = replace(opened, acked=self._snapshot(opened))
        self.session = opened
        if link["status"] == "refused":
            links.tell(self._store, link)

    def _begin(self, link: dict[str, Any], answer: Session) -> tuple[exchange.Start, Open]:
        """Note the new session. From here on the plane's position counts, not what this site remembers."""
        with self._store.write() as tx:
            now = links.current(tx, self._link_id)
            if now["fence"] >= answer.fence:
                raise SessionLost("a newer session has begun here")
            ends = stream.read(tx)
            start = exchange.start(answer, ends, stream.hash_at(tx, answer.acked_seq))
            if start == "fork":
                ends = stream.renew_epoch(tx)
            values: dict[str, Any] = {
                "fence": answer.fence, "plane_epoch": answer.plane_epoch, "status": "connected", "last_error": "",
                "last_contact_at": tx.now, "protocol": min(answer.protocol, PROTOCOL),
                "acked_seq": answer.acked_seq if start == "push" else None,
            }  # fmt: skip
            if answer.plane_epoch != now["plane_epoch"]:
                values["command_cursor"] = 0
            values |= _log_place(now, answer, forked=start == "fork")
            links.move(tx, self._link_id, **values)
        authority = (bool(link["primary"]), str(link["authority_id"]))
        opened = Open(
            answer.fence, ends.epoch, answer.acked_seq, ends.seq, authority, answer.max_events, answer.max_bytes,
            min(answer.protocol, PROTOCOL), answer.forwards,
        )  # fmt: skip
        return start, opened

    def _snapshot(self, opened: Open) -> int:
        """Send every run and every answer, page by page. Rows may be newer than the position: events catch up."""
        with self._store.read() as tx:
            policy = Policy.of(links.current(tx, self._link_id), opened.protocol)
            head_hash = stream.hash_at(tx, opened.head)
        if head_hash is None:
            raise SessionLost("the stream moved on")
        empty = SnapshotPart(stream_epoch=opened.epoch, head_seq=opened.head, head_hash=head_hash)
        path = f"/sessions/{opened.fence}/snapshot"
        send = partial(self.ask, Acked, "PUT", path)
        self._pages(lambda tx, after: export.run_page(tx, policy, after, PAGE), "runs", empty, send)
        self._pages(
            lambda tx, after: export.answered_page(tx, policy.workspace_id, after, PAGE), "answered", empty, send
        )
        acked = send(empty.model_copy(update={"last": True})).acked_seq
        self.move(opened, acked_seq=acked)
        return acked

    def _pages(
        self,
        read: Callable[[Tx, Id], list[RunOut] | list[Answered]],
        name: str,
        empty: SnapshotPart,
        send: Callable[[SnapshotPart], Acked],
    ) -> None:
        after = ""
        while True:
            with self._store.read() as tx:
                items = read(tx, after)
            if not items:
                return
            last = items[-1]
            send(empty.model_copy(update={name: export.redacted_runs(items)}))
            after = last.id if isinstance(last, RunOut) else last.command_id

    def close(self) -> None:
        """Say goodbye; the plane then knows at once that nobody polls."""
        session, self.session = self.session, None
        if session is not None:
            self._wire.send("DELETE", f"/sessions/{session.fence}", limit=GOODBYE_S)

    # --- events ------------------------------------------------------------------------------------------------

    def push(self) -> bool:
        """Send the next events. False when the plane has them all."""
        session = self._current()
        batch = self._next(session)
        if batch is None:
            self._shrink = 1
            return False
        answer = self._send("POST", f"/sessions/{session.fence}/events", _batch(batch))
        if exchange.meaning(answer) == "halve":
            return self._halve(session, batch)
        return self._acked(session, answer)

    def _acked(self, session: Open, answer: Answer) -> bool:
        acked = _read(Acked, self._checked(answer)).acked_seq
        self.session = replace(session, acked=acked)
        self.move(session, acked_seq=acked)
        return True

    def _next(self, session: Open) -> Batch | None:
        with self._store.read() as tx:
            link, ends = links.current(tx, self._link_id), stream.read(tx)
            if session.authority != (bool(link["primary"]), link["authority_id"]):
                self._lose(session, "the link was switched")
            if session.epoch != ends.epoch or session.acked < ends.base_seq:
                self._lose(session, "the stream was renewed")
            if session.acked >= ends.seq:
                return None
            limit = max(1, session.max_events // self._shrink)
            events = export.events_after(tx, Policy.of(link, session.protocol), session.acked, limit)
            previous = stream.hash_at(tx, session.acked)
        taken = exchange.cut(export.redacted(events), limit, max(1, session.max_bytes // self._shrink))
        self.behind = session.acked + len(taken) < ends.seq
        return Batch(stream_epoch=session.epoch, first_seq=session.acked + 1, prev_hash=previous or "", events=taken)

    def _halve(self, session: Open, batch: Batch) -> bool:
        """The plane finds it too much: half of it next; a single event leaves with less, at last as its digest."""
        if len(batch.events) > 1:
            self._shrink = min(self._shrink * 2, session.max_events)
            return True
        path = f"/sessions/{session.fence}/events"
        less = exchange.lessened(batch.events[0])
        answer = self._send("POST", path, _batch(batch.model_copy(update={"events": [less]})))
        if exchange.meaning(answer) == "halve":
            least = batch.model_copy(update={"events": [exchange.withheld(less)]})
            answer = self._send("POST", path, _batch(least))
        return self._acked(session, answer)

    # --- commands ----------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether commands may be fetched: the plane first learns what had happened before this session."""
        session = self.session
        return session is not None and session.acked >= session.head

    def poll(self, wait: float = 0) -> int:
        """Fetch commands and carry each out; the cursor moves only after that. Gives how many."""
        session = self._current()
        with self._store.read() as tx:
            link = links.current(tx, self._link_id)
        path = f"/sessions/{session.fence}/commands?after={link['command_cursor']}&wait={int(wait)}"
        answer = self.ask(Commands, "GET", path, wait=wait)
        if answer.plane_epoch != link["plane_epoch"]:
            self._lose(session, "the plane was restored")
        for command in answer.commands:
            self.carry_out(command)
            self.advance(session, command.seq)
        if answer.cursor != link["command_cursor"]:
            self.advance(session, answer.cursor)
        return len(answer.commands)

    def carry_out(self, command: CommandOut) -> None:
        """Apply one command. Its id makes a second delivery harmless; a refusal is an outcome like any other."""
        guard = partial(self.obey, command)
        with self._store.read() as tx:
            link = links.current(tx, self._link_id)
            try:
                args = working.arguments(tx, link, command)
            except RefusedError as error:
                args, guard = {}, partial(_refuse, error)
        scope = Scope(link["workspace_id"], Actor("link", self._link_id))
        try:
            apply(self._store, Command(command.op, scope, command.target, args, command.id, "link"), guard=guard)
        except UnavailableError:
            raise
        except Exception:
            # A defect here must not hold up every later command for ever.
            self._tries[command.id] = self._tries.get(command.id, 0) + 1
            if self._tries[command.id] < TRIES:
                raise
            gone = RefusedError("carrying it out failed in a way nobody expected", code="internal")
            wish = Command(command.op, scope, command.target, args, command.id, "link")
            apply(self._store, wish, guard=partial(_refuse, gone))
        self._tries.pop(command.id, None)

    def obey(self, command: CommandOut, tx: Tx) -> None:
        """Whether this plane may ask for this, now: decided in the transaction of the command itself."""
        link = links.current(tx, self._link_id)
        if not link["primary"] or not command.authority_id or command.authority_id != link["authority_id"]:
            raise RefusedError("this plane does not command this site", code="not_authority")
        if command.op in working.OPS_OF_PLANES:
            if not self._offer.runs:
                raise RefusedError("this hub takes no runs from a plane", code="takes-no-runs")
        elif command.op not in OPS:
            raise UsageError(f"a plane may not ask for {command.op!r}", code="unsupported")
        elif not _ID.match(command.target):
            raise UsageError("the target is not the id of a run", code="invalid")
        if command.expires_at is not None and tx.now > command.expires_at:
            raise RefusedError("the command is too old", code="expired")

    def advance(self, session: Open, cursor: int) -> None:
        """Commands up to here need not be asked for again."""
        self.move(session, command_cursor=cursor)

    # --- the rest ----------------------------------------------------------------------------------------------

    def beat(self) -> Beat:
        """Tell the plane that this site is there, and note here that the plane is, and how far its clock is ahead."""
        session = self._current()
        with self._store.read() as tx:
            head = stream.read(tx).seq
            told = self.told = self._offer.told(tx, links.current(tx, self._link_id)["workspace_id"])
        message = Heartbeat(head_seq=head, acked_seq=session.acked, site_time=now_us(), version=__version__, **told)
        sent = now_us()
        beat = self.ask(Beat, "POST", f"/sessions/{session.fence}/heartbeat", message)
        now = now_us()
        offset = beat.server_time - (sent + now) // 2 if beat.server_time else 0
        self.move(session, status="connected", last_error="", last_contact_at=now, clock_offset=offset)
        return beat

    def digest(self, since: int) -> Digest:
        """The plane's digest of our runs."""
        return self.ask(Digest, "GET", f"/digest?since={since}")

    def note_trouble(self, status: str, error: str) -> None:
        """Show people what is wrong with the link; that the plane refuses it is an alert, once."""
        with self._store.write(durable=False) as tx:
            before = links.current(tx, self._link_id)
            links.move(tx, self._link_id, status=status, last_error=error[:500])
        if status == "refused" and before["status"] != status:
            links.tell(self._store, before, f"The plane of {before['name']} refuses this hub", error)

    def _current(self) -> Open:
        if self.session is None:
            raise SessionLost("there is no session")
        return self.session

    def move(self, session: Open, **values: Any) -> None:
        """Change the link's row, as long as this session is its newest one."""
        with self._store.write() as tx:
            moved = links.move(tx, self._link_id, session.fence, **values)
        if not moved:
            self._lose(session, "a newer session has begun here")

    def _lose(self, session: Open | None, why: str) -> None:
        if session is None or self.session is None or self.session.fence == session.fence:
            self.session = None
        raise SessionLost(why)

    def ask(
        self, kind: type[M], method: str, path: str, body: BaseModel | dict[str, Any] | None = None, *, wait: float = 0
    ) -> M:
        """Send a request and read the answer. Raises SessionLost, LinkRefused, LinkOutdated, TransientError."""
        data = body.model_dump() if isinstance(body, BaseModel) else body
        return _read(kind, self._send_checked(method, path, data, wait=wait))

    def _send_checked(self, method: str, path: str, body: Any = None, *, wait: float = 0) -> Answer:
        return self._checked(self._send(method, path, body, wait=wait))

    def _send(self, method: str, path: str, body: Any = None, *, wait: float = 0) -> Answer:
        return self._wire.send(method, path, body, wait=wait)

    def _checked(self, answer: Answer) -> Answer:
        what = exchange.meaning(answer)
        detail = str(answer.body.get("detail", f"HTTP {answer.status}"))[:300]
        if what == "ok":
            return answer
        if what == "reopen":
            self._lose(self.session, detail)
        if what in ("refused", "removed"):
            raise LinkRefused(detail, code=answer.code or what)
        if what == "outdated":
            raise LinkOutdated(detail, code=answer.code or what)
        raise TransientError(f"the plane answered {answer.status}: {detail}", retry_after=answer.retry_after)


def _log_place(link: dict[str, Any], answer: Session, *, forked: bool) -> dict[str, Any]:
    """Where the log lines go on: where the plane says, as long as it speaks of the same ones."""
    if forked or not link["log_epoch"]:
        return links.lines_from(link["log_cursor"])
    return {"log_cursor": answer.log_acked if answer.log_epoch == link["log_epoch"] else link["log_start"]}


def _batch(batch: Batch) -> dict[str, Any]:
    return {**batch.model_dump(exclude={"events"}), "events": [export.wire(event) for event in batch.events]}


def _read(kind: type[M], answer: Answer) -> M:
    try:
        return kind.model_validate(answer.body)
    except ValidationError:
        raise TransientError(f"the plane's answer is no {kind.__name__} of hub-sync/1") from None


def _refuse(error: RefusedError, _tx: Tx) -> None:
    raise error
