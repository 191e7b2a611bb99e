"""A site and its planes in one process: real stores, the real plane app, and a network that can fail."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
from hub.client.inprocess import InProcess
from hub.engine.run import Claim, Complete, Dispatch, Fail, Signal, Stopped
from hub.errors import HubError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.registry import register
from hub.runtime.orchestrator import handle
from hub.runtime.sequencer import Sequencer
from hub.store import Store, open_store, runs, stream
from hub.store.base import Tx
from hub.store.sqlite import SqliteStore
from hub.store.tables import ApiToken, Log
from hub.types import SECOND, Actor, Scope, new_id, now_us
from hub.web.problems import HANDLERS
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from hub_hybrid import digests, joining, links, loglines, packing, replica, sites
from hub_hybrid.agent import Agent
from hub_hybrid.plane import Plane
from hub_hybrid.wire import HttpWire

register(*links.OPS, *sites.OPS)

T = TypeVar("T")
TOKENS = ApiToken.__table__  # type: ignore[attr-defined]
LOGS = Log.__table__  # type: ignore[attr-defined]
SCOPE = Scope(actor=Actor("local"))
CANARY = "canary-7f3a9"
"""Stands in parameters, errors and results; must never be seen on the wire under the policy `metadata`."""
CANARIES = {level: f"{CANARY}-{level}" for level in ("errors", "logs", "params", "results")}
"""As it stands in each class; must never be seen on the wire under a lesser policy."""


def plain(headers: Mapping[str, str], content: bytes) -> bytes:
    """A body as it reads, however it travels."""
    body = packing.Unpacking(headers.get("content-encoding", ""), 64 * 1_048_576)
    body.take(content)
    return body.whole()


def whole(response: httpx2.Response) -> httpx2.Response:
    """An answer that has come to its end, and can be read by who asked."""
    content = b"".join(response.iter_raw())
    response.close()
    return httpx2.Response(response.status_code, headers=response.headers, stream=httpx2.ByteStream(content))


def answered(status: int, body: dict[str, Any] | None = None) -> httpx2.Response:
    """An answer that no plane gave."""
    return httpx2.Response(status, stream=httpx2.ByteStream(b"" if body is None else json.dumps(body).encode()))


class Network(httpx2.BaseTransport):
    """Between one site and one plane: on or off, loses requests, loses answers, repeats, delivers late."""

    def __init__(self, app: Any) -> None:
        self._inside = InProcess(app)
        self.online = True
        self.fates: list[str] = []
        self.late: list[tuple[str, str, dict[str, str], bytes]] = []
        self.seen: list[bytes] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.online:
            raise httpx2.ConnectError("the network is down")
        fate = self.fates.pop(0) if self.fates else "ok"
        letter = (request.method, str(request.url), dict(request.headers), request.read())
        self.seen.append(plain(letter[2], letter[3]))
        if fate in ("lost", "dup"):
            self.late.append(letter)
        if fate == "lost":
            raise httpx2.ConnectError("the request was lost")
        response = self.deliver(letter)
        if fate == "answer_lost":
            raise httpx2.ReadTimeout("the answer was lost")
        return response

    def deliver(self, letter: tuple[str, str, dict[str, str], bytes]) -> httpx2.Response:
        method, url, headers, content = letter
        request = httpx2.Request(method, url, headers=headers, content=content)
        return whole(self._inside.handle_request(request))

    def redeliver(self, place: int, *, keep: bool) -> None:
        """A late copy arrives now."""
        letter = self.late[place] if keep else self.late.pop(place)
        self.deliver(letter)

    def close(self) -> None:
        """The agent's pool is closed when it crashes; the network stays."""

    def shut(self) -> None:
        self._inside.close()


class Reads:
    """Reads of a store in memory, each kept until something is written: most steps write to one store of three."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._conn = raw(store) if isinstance(store, SqliteStore) and store._memory else None
        self._as_of = (-1, -1)
        self._kept: dict[str, Any] = {}

    def __call__(self, name: str, read: Callable[[Tx], T]) -> T:
        now = (-1, -1) if self._conn is None else (self._conn.total_changes, _restores[0])
        if now != self._as_of or self._conn is None:
            self._kept.clear()
            self._as_of = now
        if name not in self._kept:
            with self._store.read() as tx:
                self._kept[name] = read(tx)
        found: T = self._kept[name]
        return found


class PlaneEnd:
    """A plane with a site made on it."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self.reads = Reads(store)
        self.defects: list[Exception] = []
        made = apply(store, Command("site.create", SCOPE, name, {"name": name})).result
        self.site_row, self.token = made["id"], old_token(store, made["id"])
        app = Starlette(routes=Plane(store).routes(), exception_handlers={**HANDLERS, Exception: self._defect})
        self.network = Network(app)

    def _defect(self, _request: Request, error: Exception) -> Response:
        self.defects.append(error)
        return Response(status_code=500)

    def row(self) -> dict[str, Any]:
        query = select(replica.SITES).where(replica.SITES.c.id == self.site_row)
        return self.reads("row", lambda tx: dict(tx.conn.execute(query).mappings().one()))

    def lines(self) -> list[dict[str, Any]]:
        query = select(loglines.LINES).order_by(loglines.LINES.c.id)
        return self.reads("lines", lambda tx: [dict(row) for row in tx.conn.execute(query).mappings()])

    def runs(self) -> dict[str, dict[str, Any]]:
        query = select(replica.RUNS)
        return self.reads("runs", lambda tx: {row["run_id"]: dict(row) for row in tx.conn.execute(query).mappings()})

    def commands(self) -> list[dict[str, Any]]:
        query = select(replica.COMMANDS).order_by(replica.COMMANDS.c.seq)
        return self.reads("commands", lambda tx: [dict(row) for row in tx.conn.execute(query).mappings()])

    def order(self, op: str, run_id: str) -> str | None:
        """A user asks for something; None when the plane itself refuses."""
        try:
            wish = Command("site.order", SCOPE, self.site_row, {"op": op, "run_id": run_id})
            return str(apply(self.store, wish).result["id"])
        except HubError:
            return None

    def withdraw(self, command_id: str) -> None:
        orders_args = {"command_id": command_id}
        apply(self.store, Command("site.withdraw", SCOPE, self.site_row, orders_args))

    def deliverable(self) -> list[str]:
        delivered = self.row()["command_delivered"]
        return [c["id"] for c in self.commands() if c["seq"] > delivered and c["withdrawn_at"] is None]


def old_token(store: Store, site_row: str) -> str:
    """A token of the time before keys, as planes of that time made it: it is shown with every request."""
    token = f"hub_site_{new_id()}"
    with store.write() as tx:
        row = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "name": "old", "kind": "site", "prefix": "hub_site_"}
        tx.insert(TOKENS, {**row, "digest": joining.digest(token), "scopes": ["sync"], "created_at": tx.now})
        tx.conn.execute(replica.SITES.update().where(replica.SITES.c.id == site_row).values(token_id=row["id"]))
    return token


class SiteEnd:
    """A site: its store, its sequencer, its agents."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = Reads(store)
        self.sequencer = Sequencer(store)
        self.agents: dict[str, Agent] = {}

    def connect(self, plane: PlaneEnd) -> str:
        args = {"name": plane.name, "url": "http://127.0.0.1", "token": plane.token, "site_id": ""}
        return str(apply(self.store, Command("link.connect", SCOPE, plane.name, args)).result["id"])

    def policy(self, name: str, level: str) -> None:
        apply(self.store, Command("link.policy", SCOPE, name, {"level": level}))

    def agent(self, plane: PlaneEnd) -> Agent:
        """A fresh agent, as after a start of the process."""
        with self.store.read() as tx:
            link = links.find(tx, SCOPE, plane.name)
        made = Agent(self.store, link["id"], HttpWire(link["url"], plane.token, plane.network))
        self.agents[plane.name] = made
        return made

    def link(self, name: str) -> dict[str, Any]:
        with self.store.read() as tx:
            return links.find(tx, SCOPE, name)

    def links(self) -> dict[str, dict[str, Any]]:
        return self.reads("links", lambda tx: {link["name"]: link for link in links.live(tx)})

    def ends(self) -> stream.Stream:
        return self.reads("ends", stream.read)

    def hash_at(self, seq: int) -> str | None:
        return self.reads(f"hash {seq}", lambda tx: stream.hash_at(tx, seq))

    def stamp(self) -> None:
        while self.sequencer.step():
            pass

    def runs(self) -> dict[str, dict[str, Any]]:
        query = select(runs.TABLE)
        return self.reads("runs", lambda tx: {row["id"]: dict(row) for row in tx.conn.execute(query).mappings()})

    def create(self, run_id: str) -> None:
        with self.store.write() as tx:
            row = {"id": run_id, "name": "a-run", "flow_name": "a", "parameters": {"said": CANARIES["params"]}}
            runs.create(tx, SCOPE, row)

    def log(self, run_id: str, *texts: str) -> None:
        with self.store.write() as tx:
            for text in texts or (CANARIES["logs"],):
                row = {"workspace_id": SCOPE.workspace_id, "run_id": run_id, "attempt": 1, "at": tx.now, "level": 20}
                tx.insert(LOGS, {**row, "logger": "hub.flow", "message": text})

    def lines(self, after: int, upto: int) -> list[dict[str, Any]]:
        query = select(LOGS).where(LOGS.c.id > after, LOGS.c.id <= upto)
        name = f"lines {after} {upto}"
        return self.reads(name, lambda tx: [dict(row) for row in tx.conn.execute(query).mappings()])

    def newest_line(self) -> int:
        with self.store.read() as tx:
            return links.newest_line(tx)

    def signal(self, run_id: str, signal: Signal, **columns: Any) -> None:
        handle(self.store, SCOPE, run_id, signal, **columns)

    def advance(self, run_id: str, good: bool = True) -> bool:
        """One step in the life of a run; False when it is over."""
        row = self.runs().get(run_id)
        if row is None:
            self.create(run_id)
            return True
        at = {"attempt": row["attempt"], "epoch": row["epoch"]}
        state = row["state_type"]
        if state == "SCHEDULED":
            self.signal(run_id, Dispatch(new_id()))
        elif state == "PENDING":
            self.signal(run_id, Claim(**at))
        elif state == "RUNNING" and good:
            self.signal(run_id, Complete(**at), result=json.dumps(CANARIES["results"]).encode(), result_format="json")
        elif state == "RUNNING":
            said = CANARIES["errors"]
            error = {"error_type": "ValueError", "error_message": said, "error_trace": said}
            self.signal(run_id, Fail(**at, message=said, retryable=False), **error)
        elif state == "CANCELLING":
            self.signal(run_id, Stopped(**at))
        else:
            return False
        return True

    def renew(self) -> None:
        """Begin a new stream, as after a restore."""
        with self.store.write() as tx:
            stream.renew_epoch(tx)

    def trim(self, count: int) -> None:
        with self.store.write() as tx:
            stream.trim(tx, before=now_us() + SECOND, limit=count)


def push_all(site: SiteEnd, name: str = "cloud") -> None:
    site.stamp()
    while site.agents[name].push():
        pass


def same(site: SiteEnd, plane: PlaneEnd) -> bool:
    with site.store.read() as here, plane.store.read() as there:
        return digests.of_site(here, SCOPE.workspace_id) == digests.of_replica(there, plane.site_row)


def limited(agent: Agent, count: int) -> None:
    """Let the next batches hold at most so many events."""
    if agent.session is not None:
        agent.session = replace(agent.session, max_events=count)


def raw(store: Store) -> sqlite3.Connection:
    """The connection of a store in memory."""
    assert isinstance(store, SqliteStore)
    connection: Any = store._engine("FULL").raw_connection().dbapi_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def copy_of(store: Store) -> sqlite3.Connection:
    """A backup of a store in memory."""
    backup = sqlite3.connect(":memory:", check_same_thread=False)
    raw(store).backup(backup)
    return backup


def put_back(store: Store, backup: sqlite3.Connection) -> None:
    """Restore a store in memory from a backup."""
    backup.backup(raw(store))
    _restores[0] += 1


_restores = [0]
"""How many there were: what a connection counts as its changes says nothing of them."""
_template: list[sqlite3.Connection] = []
_idle: list[Store] = []


def give_back(store: Store) -> None:
    """Let another history have this store in memory: its statements are compiled already."""
    _idle.append(store)


def memory_store() -> Store:
    """A migrated store in memory, quickly."""
    store = _idle.pop() if _idle else open_store("sqlite://")
    if not _template:
        store.migrate()
        _template.append(copy_of(store))
    else:
        put_back(store, _template[0])
    return store
