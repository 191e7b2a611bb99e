"""`python -m benchmarks.switching [--history N]`: from local to a plane and back, while the site works on.

A site with thousands of runs behind it connects to a plane and disconnects again. A schedule ticks every second and
webhooks arrive all the while; in a second round the plane gets SIGKILL while it takes the history in. Afterwards no
tick may be missing or doubled, every accepted webhook must have one run, and while it was connected both ends must have
held the same.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from hub.errors import HubError
from hub.settings import load_settings
from hub.store import open_hub, receipts, runs
from hub.store.tables import Tick
from hub.testing.demo.site import Site, until
from hub.types import SECOND, Scope, new_id
from sqlalchemy import select

from benchmarks.outage import FINAL, FLOWS, PACE, SITE
from benchmarks.soak import Tally, send_all

SCOPE = Scope()


@dataclass
class Told:
    """What happened."""

    history: int
    killed: bool
    seconds: float = 0.0
    """From `hub cloud connect` until both ends held the same."""
    equal: bool = False
    runs: int = 0
    accepted: int = 0
    hooked: int = 0
    """Runs that webhooks made."""
    kept: int = 0
    """Receipts of accepted webhooks."""
    ticks: int = 0
    gaps: list[int] = field(default_factory=list)
    """Seconds between two ticks where it was not one."""
    ticked: int = 0
    """Runs that ticks made."""
    states: set[str] = field(default_factory=set)

    @property
    def good(self) -> bool:
        """Nothing missing, nothing twice, and both ends the same."""
        whole = self.equal and self.hooked == self.kept == self.accepted > 0 and self.ticked == self.ticks > 0
        return whole and not self.gaps and self.states <= {"COMPLETED"}


def switched(history: int, seconds: float, *, kill: bool) -> Told:
    """To a plane and back; `seconds` of work before, on and after it."""
    told = Told(history, kill)
    with Site(PACE, command=("web",)) as plane, Site(SITE) as site:
        plane.start()
        remember(site, history)
        site.start()
        source = work(site)
        tally, stop = Tally(), threading.Event()
        sender = threading.Thread(target=send_all, args=(site, source, tally, stop, "s"), daemon=True)
        sender.start()
        try:
            until("some work", lambda: len(tally.accepted) > 3)
            time.sleep(seconds)
            _there_and_back(plane, site, seconds, told)
            time.sleep(seconds)
        finally:
            stop.set()
            sender.join(60)
        told.accepted = len(tally.accepted)
        _count(site, told)
    return told


def remember(site: Site, history: int) -> None:
    """Runs that ended before."""
    store = open_hub(load_settings({"home": site.home}, environ={}))
    try:
        store.migrate()
        for beginning in range(0, history, 500):
            with store.write() as tx:
                for number in range(beginning, min(beginning + 500, history)):
                    row = {
                        "id": new_id(), "name": f"old-{number}", "flow_name": "old", "home": "inline", "attempt": 1,
                        "state_type": "COMPLETED", "state_name": "Completed", "ended_at": tx.now, "started_at": tx.now,
                    }  # fmt: skip
                    runs.create(tx, SCOPE, row)
    finally:
        store.close()


def work(site: Site) -> dict[str, Any]:
    """A schedule of every second, and a source whose webhooks make runs."""
    site.run("deploy", f"{FLOWS}:one_task", "--name", "ticked")
    site.run("deploy", f"{FLOWS}:one_task", "--name", "hooked")
    site.run("schedules", "create", "ticked", "--interval", "1")
    source: dict[str, Any] = site.json("webhooks", "create", "hooks", "--preset", "github")
    site.run("automations", "create", "hooks", "--on", "github.push", "--run", "hooked")
    return source


def _there_and_back(plane: Site, site: Site, seconds: float, told: Told) -> None:
    token = plane.json("sites", "create", "berlin")["token"]
    began = time.monotonic()
    site.run("cloud", "connect", plane.url, token)
    if told.killed:
        until("history to arrive", lambda: _arrived(plane) > 0, seconds=60)
        os.killpg(plane.pid, signal.SIGKILL)
        plane.wait()
        time.sleep(seconds)
        plane.start()

    def equal() -> bool:
        time.sleep(0.5)  # both ends read all of their runs for it
        try:
            told.equal = bool(site.client.get("/links/cloud/digest")["equal"])
        except HubError:
            return False
        return told.equal

    until("both ends to hold the same", equal, seconds=180)
    told.seconds = round(time.monotonic() - began, 1)
    time.sleep(seconds)
    until("both ends to hold the same, once more", equal, seconds=60)
    site.run("cloud", "disconnect", "cloud", "--yes")


def _arrived(plane: Site) -> int:
    try:
        return len(plane.client.get("/sites/berlin/runs", {"limit": 1})["items"])
    except HubError:
        return 0


def _count(site: Site, told: Told) -> None:
    def ended() -> bool:
        time.sleep(0.5)
        found = [item for item in site.client.items("/runs") if item["flow_name"] != "old"]
        told.hooked = sum(item["deployment_name"] == "hooked" for item in found)
        told.ticked = sum(item["deployment_name"] == "ticked" for item in found)
        told.states = {str(item["state_type"]) for item in found}
        return told.states <= FINAL and told.hooked >= told.accepted

    (schedule,) = site.json("schedules", "ls")
    site.run("schedules", "pause", str(schedule["id"]))
    until("all runs to end", ended, seconds=120)
    store = open_hub(load_settings({"home": site.home}, environ={}))
    try:
        with store.read() as tx:
            table = Tick.__table__  # type: ignore[attr-defined]
            at = list(tx.conn.execute(select(table.c.planned_at).order_by(table.c.planned_at)).scalars())
            query = select(receipts.TABLE.c.delivery_id).where(receipts.TABLE.c.verdict == "accepted")
            told.kept = len(set(tx.conn.execute(query).scalars()))
            told.runs = len(list(tx.conn.execute(select(runs.TABLE.c.id))))
    finally:
        store.close()
    told.ticks = len(at)
    told.gaps = [(later - one) // SECOND for one, later in itertools.pairwise(at) if later - one != SECOND]


def main() -> int:
    """Print what happened; exit 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switching", description=__doc__)
    parser.add_argument("--history", type=int, default=5_000, help="runs that the site has behind it")
    parser.add_argument("--seconds", type=float, default=10.0, help="work before, on and after the plane")
    asked = parser.parse_args()
    good = True
    for kill in (False, True):
        told = switched(asked.history, asked.seconds, kill=kill)
        print(told, flush=True)
        good = good and told.good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
