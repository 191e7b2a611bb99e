"""`python -m benchmarks.soak [--seconds N]`: send webhooks while processes are killed, then count what was lost.

A sender does what GitHub does: it sends a delivery again until it is accepted. Meanwhile one process of the hub after
another gets SIGKILL: web, upkeep, worker, its child, broker. Afterwards every accepted delivery must have exactly one
run, and every run must be COMPLETED.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from hub.testing.demo import github
from hub.testing.demo.site import Site, until

from benchmarks.footprint import tree

SETTINGS = {"lease": "4", "lease_renew": "1", "claim_timeout": "2", "worker_slots": "2"}
DRAIN = 60.0
FLOWS = Path(__file__).resolve().with_name("flows.py")


@dataclass
class Tally:
    """What happened."""

    accepted: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    doubled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repeated_steps: int = 0

    @property
    def good(self) -> bool:
        """Nothing lost, nothing twice, everything ended well."""
        return not self.doubled and not self.missing and set(self.runs) <= {"COMPLETED"} and bool(self.accepted)

    def __str__(self) -> str:
        return (
            f"{len(self.accepted)} deliveries accepted, {self.kills} processes killed, runs {dict(self.runs)}, "
            f"without a run {self.missing}, with more than one {self.doubled}, "
            f"steps executed again after a kill {self.repeated_steps}, answers on the way {dict(self.refused)}"
        )


def soak(
    seconds: float, *, seed: int = 1, every: float = 2.0, only: str = "", kills: int = 1_000_000, senders: int = 1,
    settings: dict[str, str] | None = None,
) -> Tally:  # fmt: skip
    """Send and kill for a while, let it settle, and count.

    `only` is the name of the process to kill (web, upkeep, worker, runs), else any; it ends early after `kills`.
    """
    tally, stop = Tally(), threading.Event()
    with tempfile.TemporaryDirectory(prefix="hub-soak-") as folder, Site({**SETTINGS, **(settings or {})}) as site:
        site.start()
        source = _prepare(site, folder)
        threads = [
            threading.Thread(target=send_all, args=(site, source, tally, stop, f"s{number}-"), daemon=True)
            for number in range(senders)
        ]
        for sender in threads:
            sender.start()
        _kill(site, seconds, random.Random(seed), every, tally, only=only, kills=kills)
        stop.set()
        for sender in threads:
            sender.join(timeout=60)
        _settle(site, tally)
        lines = Path(folder, "lines").read_text().splitlines() if Path(folder, "lines").exists() else []
        tally.repeated_steps = len(lines) - len(set(lines))
    return tally


def _prepare(site: Site, folder: str) -> dict[str, Any]:
    site.run("deploy", f"{FLOWS}:soaked", "--name", "soaked", "-p", f"folder={folder}")
    source: dict[str, Any] = site.json("webhooks", "create", "soak", "--preset", "github")
    words = ("--on", "github.push", "--run", "soaked", "-p", "name==body.after")
    site.run("automations", "create", "soak", *words)
    return source


def send_all(site: Site, source: dict[str, Any], tally: Tally, stop: threading.Event, prefix: str) -> None:
    """Send one webhook after the other, each again until it is accepted, until `stop` is set."""
    url, number = f"{site.url}/in/" + str(source["url"]).rpartition("/in/")[2], 0
    while not stop.is_set():
        name = f"{prefix}{number}"
        request = github.delivery("push", {**github.PUSH, "after": name}, str(source["secret"]))
        end = time.monotonic() + 45
        while time.monotonic() < end:
            try:
                status = github.send(site.http, url, request).status
            except httpx2.TransportError as error:
                tally.refused[type(error).__name__] += 1
                time.sleep(0.1)
                continue
            if 200 <= status < 300:
                tally.accepted.append(name)
                break
            tally.refused[str(status)] += 1
            time.sleep(0.1)
        number += 1
        time.sleep(0.1)


def _kill(
    site: Site, seconds: float, choose: random.Random, every: float, tally: Tally, *, only: str, kills: int
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and tally.kills < kills:
        time.sleep(min(every * choose.uniform(0.5, 1.5), max(0.1, end - time.monotonic())))
        below = [pid for pid in tree(site.pid) if pid != site.pid and (not only or _name(pid) == f"hub {only}")]
        if below and time.monotonic() < end:
            try:
                os.kill(choose.choice(below), signal.SIGKILL)
                tally.kills += 1
            except ProcessLookupError:
                continue


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _settle(site: Site, tally: Tally) -> None:
    """Wait until every accepted delivery has an ended run, then count."""

    def ended() -> bool:
        try:
            found = _runs(site)
        except Exception:  # noqa: BLE001 - the web process may only just have been started again
            return False
        named = {run["parameters"]["name"] for run in found if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")}
        return named >= set(tally.accepted)

    try:
        until("every accepted delivery to have an ended run", ended, seconds=DRAIN)
    except Exception as error:  # noqa: BLE001 - what is missing is counted below
        print(f"{error}\n{site.log()}", file=sys.stderr)
    found = _runs(site)
    names = Counter(run["parameters"]["name"] for run in found)
    tally.runs = Counter(str(run["state_type"]) for run in found)
    tally.doubled = sorted(name for name, count in names.items() if count > 1)
    tally.missing = sorted(name for name in tally.accepted if not names[name])


def _runs(site: Site) -> list[dict[str, Any]]:
    listed = list(site.client.items("/runs"))
    return [site.client.get(f"/runs/{run['id']}") for run in listed]


def main() -> int:
    """Soak for a while and print the tally; exit 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="kill processes of this name alone: web, upkeep, worker, runs")
    parser.add_argument("--kills", type=int, default=1_000_000, help="end after so many kills")
    parser.add_argument("--senders", type=int, default=1, help="how many send at once")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    tally = soak(
        options.seconds, seed=options.seed, only=options.only, kills=options.kills, senders=options.senders
    )  # fmt: skip
    print(tally)
    return 0 if tally.good else 1


if __name__ == "__main__":
    sys.exit(main())
