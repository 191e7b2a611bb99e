"""Real processes on a home of their own; whatever a test does, none of them outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hub.runtime import process
from hub.runtime.commands import Command, apply
from hub.settings import socket_dir
from hub.states import TERMINAL, StateType
from hub.store import Store, open_store, runs
from hub.store.tables import Worker
from hub.types import Id, Scope, new_id

SCOPE = Scope()
WORKERS = Worker.__table__  # type: ignore[attr-defined]

FLOWS = """
import os, time
from pathlib import Path
from hub import flow, task


def mark(folder: str, name: str) -> None:
    with open(Path(folder) / name, "a") as file:
        file.write(f"{os.getpid()}\\n")


@task
def first(folder: str, key: str) -> str:
    mark(folder, f"first-{key}")
    return key


@task
def second(folder: str, key: str) -> str:
    mark(folder, f"second-{key}")
    return key


@flow
def quick(folder: str, key: str) -> str:
    return second(folder, first(folder, key))


@flow
def slow(folder: str, key: str, seconds: float = 3.0) -> str:
    first(folder, key)
    mark(folder, f"between-{key}")
    time.sleep(seconds)
    return second(folder, key)


@flow
def held(folder: str, key: str) -> str:
    first(folder, key)
    mark(folder, f"between-{key}")
    while not (Path(folder) / "go").exists():
        time.sleep(0.02)
    return second(folder, key)


@flow
def stubborn(folder: str, key: str) -> None:
    import subprocess
    helper = subprocess.Popen(["sleep", "300"])
    (Path(folder) / "helper").write_text(str(helper.pid))
    mark(folder, f"between-{key}")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def wait_until(check: Callable[[], Any], timeout: float = 30.0, what: str = "") -> Any:
    """Wait for something true and give it."""
    deadline = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"it did not come true in {timeout:g} s: {what}"
        time.sleep(0.05)


class Site:
    """A home, its database, and the processes a test has started on them."""

    def __init__(self, home: Path, env: dict[str, str]) -> None:
        self.home = home
        self.folder = home.parent / "marks"
        self.folder.mkdir(parents=True)
        (home.parent / "flows.py").write_text(textwrap.dedent(FLOWS))
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
            "HUB_HOME": str(home), "HUB_WEB_PORT": "0", "HUB_LEASE": "6", "HUB_LEASE_RENEW": "1",
            "HUB_CLAIM_TIMEOUT": "2", "HUB_CANARY_INTERVAL": "2", "HUB_WORKER_CANCEL_GRACE": "1",
            "HUB_WORKER_STOP_GRACE": "5", "PYTHONUNBUFFERED": "1", **env,
        }  # fmt: skip
        self.started: list[subprocess.Popen[bytes]] = []
        self._store: Store | None = None

    # --- processes -------------------------------------------------------------------------------------------------

    def start(self, *command: str, **env: str) -> subprocess.Popen[bytes]:
        """Start `hub ...`, its log in the test's folder."""
        log = self.home.parent / f"{command[0]}-{len(self.started)}.log"
        with log.open("ab") as out:
            started = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", *command],
                env={**self.env, **env},
                cwd=self.home.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.started.append(started)
        return started

    def up(self, *more: str, workers: int = 1) -> subprocess.Popen[bytes]:
        """Start everything and wait until runs can be executed."""
        started = self.start("up", *more)
        self.wait_ready(workers)
        return started

    def wait_ready(self, workers: int = 1, timeout: float = 60.0) -> None:
        """Wait until so many workers take runs."""
        try:
            wait_until(lambda: len(self.ready()) >= workers, timeout)
        except AssertionError:
            raise AssertionError(f"workers are not ready: {self.processes()}\n{self.logs()}") from None

    def ready(self) -> list[dict[str, Any]]:
        """Workers that take runs now."""
        try:
            with self.store.read() as tx:
                query = WORKERS.select().where(WORKERS.c.status == "ready", WORKERS.c.lease_until > tx.now)
                return [dict(row) for row in tx.conn.execute(query).mappings()]
        except Exception:  # the database is being made
            return []

    def processes(self) -> dict[int, str]:
        """Every process of this site: pid -> its name in `ps`."""
        # The broker writes its title over its environment; the title names its socket.
        marks = (f"HUB_HOME={self.home}\0".encode(), f"{socket_dir(self.home)}/broker/".encode())
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and process.alive(int(entry.name)):
                try:
                    told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                    if any(mark in told for mark in marks):
                        found[int(entry.name)] = (entry / "comm").read_text().strip()
                except OSError:
                    continue
        return found

    def pids(self, name: str) -> list[int]:
        """The pids of the processes of that name: web, upkeep, worker, celery, runs, valkey-server."""
        wanted = {f"hub {name}", name}
        return sorted(pid for pid, comm in self.processes().items() if comm in wanted)

    def kill(self, name: str) -> int:
        """kill -9 one process of that name."""
        (pid, *_) = wait_until(lambda: self.pids(name), what=f"a process named {name}")
        os.kill(pid, signal.SIGKILL)
        return int(pid)

    def stop(self, started: subprocess.Popen[bytes], how: int = signal.SIGTERM, timeout: float = 40.0) -> int:
        """Ask a started command to end, and give its exit status."""
        started.send_signal(how)
        return started.wait(timeout)

    def end(self) -> None:
        """Kill whatever is left."""
        for started in self.started:
            started.kill()
            started.wait(10)
        for pid in self.processes():
            process.send(pid, signal.SIGKILL)
        if self._store is not None:
            self._store.close()

    def logs(self) -> str:
        """What all processes have written."""
        return "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in self.home.parent.glob("*.log"))

    # --- runs ------------------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The database, opened by the test beside the processes."""
        if self._store is None:
            url = self.env.get("HUB_DATABASE_URL") or f"sqlite:///{self.home / 'hub.db'}"
            self._store = open_store(url)
        return self._store

    def reconnect(self) -> None:
        """Leave the connections that the test held to a database that was restarted."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def deploy(self, flow: str, **more: Any) -> None:
        """Make a deployment of a flow of FLOWS, under its own name."""
        entrypoint = f"{self.home.parent / 'flows.py'}:{flow}"
        apply(self.store, Command("deployment.set", SCOPE, flow, {
            "name": flow, "flow_name": flow, "entrypoint": entrypoint, **more}))  # fmt: skip

    def run(self, flow: str, key: str, **parameters: Any) -> Id:
        """Start a run of a deployed flow."""
        run_id = new_id()
        given = {"folder": str(self.folder), "key": key, **parameters}
        apply(self.store, Command("run.create", SCOPE, flow, {"run_id": run_id, "parameters": given}))
        return run_id

    def row(self, run_id: Id) -> dict[str, Any]:
        """A run's row."""
        with self.store.read() as tx:
            row = runs.row(tx, SCOPE, run_id)
        assert row is not None
        return row

    def states(self, run_ids: Sequence[Id]) -> Counter[str]:
        """How many of the runs are in which state, by name."""
        return Counter(self.row(run_id)["state_name"] for run_id in run_ids)

    def history(self, run_id: Id) -> list[str]:
        """The names of the states a run was in."""
        with self.store.read() as tx:
            return [row["name"] for row in runs.history(tx, SCOPE, run_id)]

    def wait_ended(self, run_ids: Sequence[Id], timeout: float = 60.0) -> float:
        """Wait until all have ended; gives the seconds it took."""
        began = time.monotonic()

        def ended() -> bool:
            return all(StateType(self.row(run_id)["state_type"]) in TERMINAL for run_id in run_ids)

        try:
            wait_until(ended, timeout)
        except AssertionError:
            raise AssertionError(f"not all runs ended: {self.states(run_ids)}\n{self.logs()}") from None
        return time.monotonic() - began

    def marks(self, name: str) -> int:
        """How often a flow has left this mark."""
        path = self.folder / name
        return path.read_text().count("\n") if path.exists() else 0

    def wait_marks(self, *names: str, timeout: float = 40.0) -> None:
        """Wait until flows have got so far."""
        wait_until(lambda: all(self.marks(name) for name in names), timeout, f"{names}\n{self.logs()}")


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites, and ends all they have started."""
    made: list[Site] = []

    def make(**env: str) -> Site:
        site = Site(tmp_path / f"site{len(made)}" / "home", env)
        made.append(site)
        return site

    yield make
    for site in made:
        site.end()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site on SQLite and the embedded broker."""
    return make_site()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of the test's own, that it may stop."""
    from hub.runtime.broker import binary

    program = binary() or "redis-server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), what="the test's own Redis answers")
        yield f"redis://127.0.0.1:{port}/0", server
    finally:
        process.send(server.pid, signal.SIGCONT)
        server.kill()
        server.wait(10)
