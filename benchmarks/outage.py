"""`python -m benchmarks.outage [--seconds N]`: a site reports to a plane while both are killed; compare both ends.

Under a load of runs the plane gets SIGKILL and is away for N seconds; then the site gets SIGKILL, and while it is away
a cancel is issued at the plane. Afterwards both ends must hold the same runs, and the cancel must have been applied.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.errors import HubError
from hub.testing.demo.site import Site, until
from hub.types import new_id, now_us, rfc3339

FLOWS = Path(__file__).resolve().with_name("flows.py")
PACE = {"sync_interval": "0.5", "sync_poll": "5", "sync_longest_wait": "2"}
SITE = {**PACE, "lease": "4", "lease_renew": "1", "claim_timeout": "2", "worker_slots": "2"}
HOUR = 3_600_000_000
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


@dataclass
class Outage:
    """What happened. `seen` is how the plane showed the cancel while the site was away."""

    accepted: int = 0
    during: int = 0
    seen: Mapping[str, Any] = field(default_factory=dict)
    cancelled: str = ""
    outcome: str = ""
    equal: bool = False
    digests: Mapping[str, Any] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing lost on either side, and the cancel counted."""
        honest = self.seen["state_type"] == "SCHEDULED" and "site offline since" in self.seen["notice"]
        answered = self.cancelled == "CANCELLED" and self.outcome == "accepted"
        return self.equal and honest and answered and self.during > 0 and set(self.states) <= FINAL


def outage(seconds: float) -> Outage:
    """Kill the plane for so long, then the site, and count."""
    told = Outage()
    with Site(PACE, command=("web",)) as plane, Site(SITE) as site:
        plane.start()
        site.start()
        token = plane.json("sites", "create", "berlin")["token"]
        site.run("cloud", "connect", plane.url, token)
        site.run("deploy", f"{FLOWS}:one_task", "--name", "short")
        load = Load(site)
        load.start()
        _kill_plane(plane, load, seconds, told)
        waiting = _late_run(site)
        until("the plane to know the run", lambda: _known(plane, waiting))
        _kill_site(plane, site, waiting, told)
        load.stop()
        told.accepted = load.accepted
        _settle(plane, site, waiting, told)
    return told


class Load(threading.Thread):
    """Starts a short run every tenth of a second; each is asked for again until it is accepted."""

    def __init__(self, site: Site) -> None:
        super().__init__(daemon=True)
        self._site, self._end = site, threading.Event()
        self.accepted = 0

    def run(self) -> None:
        """Until it is stopped."""
        while not self._end.wait(0.1):
            key = new_id()
            while not self._end.is_set() and not self._accepted(key):
                self._end.wait(0.2)

    def stop(self) -> None:
        """End, and wait for the end."""
        self._end.set()
        self.join(30)

    def _accepted(self, key: str) -> bool:
        try:
            self._site.client.post("/deployments/short/runs", {"idempotency_key": key}, key=key)
        except HubError:
            return False
        self.accepted += 1
        return True


def _kill_plane(plane: Site, load: Load, seconds: float, told: Outage) -> None:
    until("some load", lambda: load.accepted > 5)
    os.killpg(plane.pid, signal.SIGKILL)
    plane.wait()
    before = load.accepted
    time.sleep(seconds)
    told.during = load.accepted - before
    plane.start()


def _late_run(site: Site) -> str:
    body = {"due_at": rfc3339(now_us() + HOUR)}
    return str(site.client.post("/deployments/short/runs", body)["id"])


def _known(plane: Site, run: str) -> bool:
    try:
        return bool(plane.client.get(f"/sites/berlin/runs/{run}"))
    except HubError:
        return False


def _kill_site(plane: Site, site: Site, run: str, told: Outage) -> None:
    os.kill(site.pid, signal.SIGKILL)
    site.wait()
    until("the plane to miss the site", lambda: plane.json("sites", "ls")[0]["presence"] == "offline")
    plane.run("sites", "cancel", "berlin", run)
    told.seen = plane.client.get(f"/sites/berlin/runs/{run}")
    site.start()


def _settle(plane: Site, site: Site, run: str, told: Outage) -> None:
    def ended() -> bool:
        states = [item["state_type"] for item in site.client.items("/runs")]
        told.states = {str(state): states.count(state) for state in set(states)}
        return set(states) <= FINAL and len(states) > told.accepted

    def answered() -> bool:
        (command,) = plane.json("sites", "commands", "berlin")
        told.outcome = command["status"]
        told.cancelled = plane.client.get(f"/sites/berlin/runs/{run}")["state_type"]
        return told.cancelled == "CANCELLED" and told.outcome == "accepted"

    def equal() -> bool:
        told.digests = site.client.get("/links/cloud/digest")
        told.equal = bool(told.digests["equal"])
        return told.equal

    for what, look in (("the cancel to be applied", answered), ("all runs to end", ended), ("equal ends", equal)):
        try:
            until(what, look, seconds=90)
        except HubError as error:
            print(f"{error}\nsite: {site.log()}\nplane: {plane.log()}", file=sys.stderr)


def main() -> int:
    """Print what happened; exit 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outage", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the plane is away")
    told = outage(parser.parse_args().seconds)
    print(told)
    return 0 if told.good else 1


if __name__ == "__main__":
    sys.exit(main())
