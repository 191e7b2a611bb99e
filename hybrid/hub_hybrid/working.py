"""Site side: what a plane may have done here where the hub takes runs from it: start deployments, hold the work, drain.

Holding the work pauses the work queues that are not paused already, and remembers which; what executes goes on.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.errors import RefusedError
from hub.plugins import Loop
from hub.runtime.commands import Command, Op
from hub.runtime.labels import read_labels
from hub.settings import Settings
from hub.store import stream
from hub.store.base import Store, Tx
from hub.store.tables import Deployment, RunRow, SiteValue, WorkQueue
from hub.types import Id
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, select, update

from hub_hybrid import links
from hub_hybrid.protocol import MAX_DEPLOYMENTS, CommandOut
from hub_hybrid.sealing import NotOpened, Place, Sealed, opened

log = logging.getLogger("hub.hybrid")
OPS_OF_PLANES = frozenset({"run.create", "work.pause", "work.resume", "work.drain"})
"""What only a hub that takes runs obeys, beside what every site does."""
VALUES = SiteValue.__table__
QUEUES = WorkQueue.__table__
RUNS = RunRow.__table__
DEPLOYMENTS = Deployment.__table__
NAME = "plane_work"
TELLING_S = 2.0
"""For the plane to hear that it is drained."""
BUSY = ("PENDING", "RUNNING", "CANCELLING")


@dataclass(frozen=True, slots=True)
class Offer:
    """What this hub offers its plane: whether it takes runs, and the labels by which they are placed."""

    runs: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Offer:
        """As it is set. Raises UsageError for what is no label."""
        return cls(settings.sync_takes_runs, read_labels(settings.sync_labels))

    def told(self, tx: Tx, workspace_id: Id) -> dict[str, Any]:
        """What a heartbeat says of it."""
        if not self.runs:
            return {"labels": dict(self.labels)}
        query = select(DEPLOYMENTS.c.name).where(DEPLOYMENTS.c.workspace_id == workspace_id)
        names = list(tx.conn.execute(query.order_by(DEPLOYMENTS.c.name).limit(MAX_DEPLOYMENTS)).scalars())
        return {"labels": dict(self.labels), "takes_runs": True, "deployments": names, "work": state(tx)["state"]}


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def state(tx: Tx) -> dict[str, Any]:
    """`state`: open, paused, draining or drained; `queues`: those that were paused for it."""
    found = tx.conn.execute(select(VALUES.c.value).where(VALUES.c.name == NAME)).scalar()
    return {"state": "open", "queues": []} if found is None else dict(found)


def _keep(tx: Tx, value: dict[str, Any]) -> None:
    tx.upsert(VALUES, {"name": NAME, "value": value}, keys=["name"])


def pause(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Begin nothing more until the work is resumed; what executes goes on."""
    return _hold(tx, command, "paused")


def drain(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Begin nothing more, and stop this hub when nothing executes. What waits here waits for its next start."""
    return _hold(tx, command, "draining")


def _hold(tx: Tx, command: Command, to: str) -> dict[str, Any]:
    before = state(tx)
    mine = (QUEUES.c.workspace_id == command.scope.workspace_id, QUEUES.c.paused.is_(False))
    names = list(tx.conn.execute(update(QUEUES).where(*mine).values(paused=True).returning(QUEUES.c.name)).scalars())
    _keep(tx, {"state": to, "queues": sorted({*before["queues"], *names})})
    tx.wake("runs")
    return {"state": to}


def resume(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Go on; queues that somebody here has paused stay so."""
    open_again(tx, command.scope.workspace_id)
    return {"state": "open"}


def open_again(tx: Tx, workspace_id: Id) -> None:
    """Let go of the queues that were paused for a plane."""
    held = (QUEUES.c.workspace_id == workspace_id, QUEUES.c.name.in_(state(tx)["queues"]))
    tx.conn.execute(update(QUEUES).where(*held).values(paused=False))
    tx.conn.execute(delete(VALUES).where(VALUES.c.name == NAME))
    tx.wake("runs")


def arguments(tx: Tx, link: Mapping[str, Any], command: CommandOut) -> dict[str, Any]:
    """The arguments of a plane's command as this hub carries it out; parameters are opened. Raises RefusedError.

    A run has the id of the command, so that it is made once and the plane knows it.
    """
    if command.op != "run.create":
        return dict(command.args)
    bundle = links.bundle_of(tx, link)
    sealed = command.args.get("sealed")
    if bundle is None or not isinstance(sealed, dict):
        raise RefusedError("the parameters are not sealed to this hub", code="not-opened")
    try:
        wrapped, kept = (base64.b64decode(str(sealed.get(name, ""))) for name in ("wrapped", "parameters"))
        place = Place(str(sealed.get("workspace")), link["site_id"], command.target, command.id)
        closed = Sealed(str(sealed.get("key_id")), wrapped, {"parameters": kept})
        parameters = json.loads(opened(bundle.opening(), place, closed)["parameters"])
    except ValueError:
        raise NotOpened("the parameters are not what a plane seals") from None
    return {"parameters": parameters, "run_id": command.id, "origin": "link", "origin_id": link["id"]}


class Drainer:
    """Stops the hub once it is drained, and opens it again at its next start."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._lock = settings.home / "hub.lock"
        self._until = 0.0

    def step(self) -> bool:
        """Look once."""
        with self._store.read() as tx:
            found = state(tx)
            ready = found["state"] == "draining" and self._is_idle(tx)
        above = self._supervisor()
        if found["state"] == "drained" and found.get("by") != above:
            self._begin_again()
        elif found["state"] == "drained" and time.monotonic() > self._until:
            log.info("the plane has drained this hub: it stops")
            os.kill(above, signal.SIGTERM)
            self._until = float("inf")
        elif above and ready:
            with self._store.write() as tx:
                _keep(tx, {**found, "state": "drained", "by": above})
            self._until = time.monotonic() + TELLING_S
        return False

    def _is_idle(self, tx: Tx) -> bool:
        """Nothing executes, and the plane has heard of everything."""
        busy = select(RUNS.c.id).where(RUNS.c.state_type.in_(BUSY), RUNS.c.home != "inline").limit(1)
        if tx.conn.execute(busy).first() is not None or stream.unstamped(tx):
            return False
        head = stream.read(tx).seq
        return all(link["acked_seq"] == head for link in links.live(tx) if link["status"] == "connected")

    def _begin_again(self) -> None:
        with self._store.write() as tx:
            for workspace in set(tx.conn.execute(select(QUEUES.c.workspace_id)).scalars()):
                open_again(tx, workspace)

    def _supervisor(self) -> int:
        """The process that keeps all others of this hub, if it is the one that has started this one; else 0."""
        try:
            pid = int(self._lock.read_text().strip() or 0)
        except (OSError, ValueError):
            return 0
        return pid if pid == os.getppid() else 0

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("drain", self.step, interval=1.0)


OPS = (
    Op("work.pause", Nothing, pause, "queues:write"),
    Op("work.resume", Nothing, resume, "queues:write"),
    Op("work.drain", Nothing, drain, "queues:write"),
)
