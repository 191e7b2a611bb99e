"""Many sites come back to their plane at once: how they arrive, what that costs the plane, and when all are in step.

The sites are simulated: each has a database of its own in memory and the real threads of a link, some hundred of them
in a process. The plane is a real web process on PostgreSQL, over HTTP. It is killed, sites go on working meanwhile, and
when it is there again all of them come in the same moment. `python -m benchmarks.herd [--sites N] [--plot FILE.svg]`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply
from hub.runtime.commands.registry import register
from hub.runtime.sequencer import Sequencer
from hub.settings import load_settings
from hub.store import open_store, runs, stream
from hub.testing.demo.site import Site, until
from hub.types import Scope, new_id

from benchmarks import herd_plot
from benchmarks.footprint import cpu, pss, tree
from benchmarks.row import Row, percentile
from benchmarks.tasks import POSTGRES
from hub_hybrid import credentials, digests, links
from hub_hybrid.supervisor import Pace, Worker
from hub_hybrid.wire import HttpWire

SCOPE = Scope()
IN_PROCESS = 50
WAIT_S = 600.0
PLACE = Path(__file__).parents[1] / "docs" / "images" / "herd.svg"


def measure(quick: bool) -> list[Row]:
    """200 sites with 50 events each (40 in the short look)."""
    sites = 40 if quick else 200
    told = herd(sites, 50)
    if not quick:
        PLACE.write_text(herd_plot.drawn(told))
    note = f"{sites} sites, {told.refused} times told to come later, {told.most} let in in one second at most"
    return [
        Row("herd, all in step", told.in_step[-1], "s", 300, note=note),
        Row("herd, half of them in step", percentile(told.in_step, 0.5), "s"),
        Row("herd, most memory of the plane (PSS)", told.memory, "MB", 300, note=f"{told.memory_before:.0f} MB before"),
        Row("herd, slowest answer of /healthz", max(told.health) * 1000, "ms", 1000),
        Row("herd, CPU time of the plane for a site", told.cpu / sites * 1000, "ms"),
        Row("herd, CPU of the plane while all wait", told.waiting * 100, "%", note=f"{sites} long polls"),
    ]


@dataclass
class Told:
    """What happened. Times are seconds after all sites had come at once."""

    sites: int
    asked: list[float] = field(default_factory=list)
    """When a session was asked for; again by those that were told to come later."""
    let_in: list[float] = field(default_factory=list)
    in_step: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    """All answers of the plane."""
    memory: float = 0.0
    memory_before: float = 0.0
    cpu: float = 0.0
    waiting: float = 0.0
    """CPU seconds in a second when all are in step."""
    health: list[float] = field(default_factory=list)
    equal: int = 0
    """Sites whose runs are the same at both ends, by their digests."""

    @property
    def refused(self) -> int:
        """Times that a site was told to come later."""
        return len(self.asked) - len(self.let_in)

    @property
    def most(self) -> int:
        """Sessions that began in one second."""
        return max(Counter(int(at) for at in self.let_in).values())


def herd(sites: int, events: int, *, rate: float = 20.0, idle: float = 10.0, database: str = "") -> Told:
    """Let them come; gives what happened. `events` is what each has to tell, `rate` the plane's `sync_sessions`, `idle`
    the seconds in which they then wait for commands, `database` the plane's; without it a new one is made.
    """
    settings = {"sync_sessions": str(rate)}
    with _database(database) as url, Site({**settings, "database_url": url}, command=("web",)) as plane:
        plane.start()
        token = plane.json("sites", "token", "--uses", str(sites))["token"]
        shares = [range(start, min(start + IN_PROCESS, sites)) for start in range(0, sites, IN_PROCESS)]
        with _flocks(shares, plane.url, token) as flocks:
            _all(flocks, "join", 600)
            os.killpg(plane.pid, signal.SIGKILL)
            plane.wait()
            _all(flocks, ("work", events), 300)
            plane.start()
            told = _watched(plane, flocks, sites, idle)
            told.equal = sum(_all(flocks, "compare", 300))
    return told


def _watched(plane: Site, flocks: list[Connection], sites: int, idle: float) -> Told:
    told = Told(sites)
    pids = tree(plane.pid)
    told.memory_before = told.memory = _memory(pids)
    spent, began = cpu(pids), time.time() + 1
    for flock in flocks:
        flock.send(("come", began))
    while not all(flock.poll() for flock in flocks):
        asked = time.monotonic()
        plane.http.get(f"{plane.url}/healthz")
        told.health.append(time.monotonic() - asked)
        told.memory = max(told.memory, _memory(pids))
        time.sleep(0.2)
    for flock in flocks:
        asked_at, let_in, in_step, statuses = _answer(flock)
        told.asked += asked_at
        told.let_in += let_in
        told.in_step += in_step
        told.statuses += statuses
    told.cpu = cpu(pids) - spent
    told.in_step.sort()
    before = cpu(pids)
    time.sleep(idle)
    told.waiting = (cpu(pids) - before) / idle
    return told


def _memory(pids: list[int]) -> float:
    return sum(pss(pid) for pid in pids) / 1024


@contextmanager
def _database(given: str) -> Iterator[str]:
    if given:
        yield given
        return
    import psycopg

    name = f"hub_herd_{os.getpid()}"
    with psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield POSTGRES.rsplit("/", 1)[0] + f"/{name}"
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def _flocks(shares: list[range], url: str, token: str) -> Iterator[list[Connection]]:
    """Processes with some sites each; they are told what to do through a pipe."""
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in shares]
    flocks = [
        context.Process(target=_flock, args=(theirs, url, token, list(share)), daemon=True)
        for (_, theirs), share in zip(pairs, shares, strict=True)
    ]
    for process in flocks:
        process.start()
    try:
        yield [ours for ours, _ in pairs]
    finally:
        for (ours, _), process in zip(pairs, flocks, strict=True):
            ours.send("end")
            process.join(20)
            process.kill()


def _all(flocks: list[Connection], task: Any, seconds: float) -> list[Any]:
    for flock in flocks:
        flock.send(task)
    for flock in flocks:
        if not flock.poll(seconds):
            raise TimeoutError(f"some sites took more than {seconds:g} s for {task}")
    return [_answer(flock) for flock in flocks]


def _answer(flock: Connection) -> Any:
    got = flock.recv()
    if isinstance(got, BaseException):
        raise got
    return got


def _flock(orders: Connection, url: str, token: str, numbers: list[int]) -> None:
    """The process of some sites."""
    register(*links.OPS)
    settings = load_settings({"plugins": "only:hybrid"}, environ={})
    contributed.install(load_plugins(settings, process="upkeep").hooks)
    sites = [_Simulated(url, number) for number in numbers]
    while (order := orders.recv()) != "end":
        try:
            orders.send(_done(sites, order, token))
        except Exception as error:  # noqa: BLE001 - the parent raises it
            orders.send(RuntimeError(f"{type(error).__name__}: {error}"))
    os._exit(0)  # hundreds of threads in their polls: nobody waits for them


def _done(sites: list[_Simulated], order: Any, token: str) -> Any:
    if order == "join":
        for site in sites:
            site.join(token)
        return len(sites)
    if order == "compare":
        return sum(site.equal() for site in sites)
    kind, value = order
    if kind == "work":
        for site in sites:
            site.work(value)
            site.prepare()
        return len(sites)
    began = float(value)
    time.sleep(max(0.0, began - time.time()))
    for site in sites:
        site.come()
    in_step: dict[int, float] = {}
    while len(in_step) < len(sites):
        if time.time() - began > WAIT_S:
            raise TimeoutError(f"{len(sites) - len(in_step)} sites are not in step: {sites[0].trouble()}")
        for place, site in enumerate(sites):
            if place not in in_step and site.in_step():
                in_step[place] = time.time() - began
        time.sleep(0.05)
    asked = [at - began for site in sites for at, path, _ in site.network.seen if path.endswith("/sessions")]
    let_in = [
        at - began for site in sites for at, path, status in site.network.seen
        if path.endswith("/sessions") and status == 200
    ]  # fmt: skip
    statuses = Counter(status for site in sites for _, _, status in site.network.seen)
    return asked, let_in, list(in_step.values()), statuses


class _Watched(httpx2.BaseTransport):
    """The network, and what went over it: when a request left, its path, and the status of its answer; 0 for none."""

    def __init__(self) -> None:
        self._inside = httpx2.HTTPTransport()
        self.seen: list[tuple[float, str, int]] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        at, status = time.time(), 0
        try:
            response = self._inside.handle_request(request)
            status = response.status_code
        finally:
            self.seen.append((at, request.url.path, status))
        return response

    def close(self) -> None:
        self._inside.close()


class _Simulated:
    """One site: everything that a link is made of, and no runs but those that are written down here."""

    def __init__(self, url: str, number: int) -> None:
        self.url, self.name = url, f"site-{number:03}"
        self.store = open_store("sqlite://")
        self.store.migrate()
        self.network = _Watched()
        self.worker: Worker | None = None

    def join(self, token: str) -> None:
        wire = HttpWire(self.url, token, self.network)
        answer, who = credentials.join(self.store, wire, token, self.name)
        if answer.status != 200:
            raise RuntimeError(f"{self.name} may not join: {answer.status} {answer.body}")
        args = {"name": "cloud", "url": self.url, "token": token, **who}
        apply(self.store, Command("link.connect", SCOPE, "cloud", args))

    def work(self, events: int) -> None:
        with self.store.write() as tx:
            for number in range(events):
                row = {
                    "id": new_id(), "name": f"run-{number}", "flow_name": "offline", "home": "inline", "attempt": 1,
                    "state_type": "COMPLETED", "state_name": "Completed",
                }  # fmt: skip
                runs.create(tx, SCOPE, row)
        sequencer = Sequencer(self.store)
        while sequencer.step():
            pass

    def prepare(self) -> None:
        self.network.seen.clear()
        with self.store.read() as tx:
            (link,) = links.live(tx)
            known = credentials.credentials_of(tx, link)
        self.worker = Worker(self.store, link, known, Pace(), self.network)

    def come(self) -> None:
        assert self.worker is not None
        self.worker.start()

    def in_step(self) -> bool:
        session = self.worker.agent.session if self.worker is not None else None
        if session is None:
            return False
        with self.store.read() as tx:
            return session.acked == stream.read(tx).seq

    def trouble(self) -> str:
        with self.store.read() as tx:
            (link,) = links.live(tx)
        return f"{link['status']} {link['last_error']}"

    def equal(self) -> bool:
        assert self.worker is not None
        with self.store.read() as tx:
            here = digests.of_site(tx, SCOPE.workspace_id)
        there = until("a digest", lambda: self.worker.agent.digest(0))  # type: ignore[union-attr]
        return here == there


def main() -> int:
    """Print what happened; exit 1 when a site is not in step."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.herd", description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--events", type=int, default=50, help="what each of them has to tell")
    parser.add_argument("--rate", type=float, default=20.0, help="the plane's HUB_SYNC_SESSIONS")
    parser.add_argument("--plot", type=Path, help="where the arrivals are drawn (SVG)")
    options = parser.parse_args()
    told = herd(options.sites, options.events, rate=options.rate)
    if options.plot:
        options.plot.write_text(herd_plot.drawn(told))
    print(
        f"{told.sites} sites asked {len(told.asked)} times for a session, {told.most} began in one second at most;"
        f" in step after {told.in_step[len(told.in_step) // 2]:.1f} s (half) and {told.in_step[-1]:.1f} s (all);"
        f" plane: {told.cpu:.1f} s of CPU, {told.memory_before:.0f} MB before and {told.memory:.0f} MB at most,"
        f" /healthz in {max(told.health) * 1000:.0f} ms at most, {told.waiting:.0%} of a core while all wait;"
        f" answers {dict(told.statuses)}; {told.equal} equal by digest"
    )
    return 0 if told.equal == told.sites else 1


if __name__ == "__main__":
    sys.exit(main())
