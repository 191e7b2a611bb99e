"""`hub worker --plane` on a bare machine: it joins, takes runs by labels, holds, drains and is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.outage import FLOWS, PACE
from hub.testing.demo.site import Site, until

from .test_forwarded import everything, forms

CANARY = "canary parameter ä&7c1"


class Edge:
    """A machine with nothing on it but the program."""

    def __init__(self, folder: Path, plane: Site) -> None:
        self.home, self.plane, self.log = folder / "edge", plane, folder / "edge.log"
        own = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
        pace = {f"HUB_{name.upper()}": value for name, value in PACE.items()}
        self.env = {**own, **pace, "HUB_HOME": str(self.home), "HUB_LEASE": "4", "HUB_LEASE_RENEW": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hub.cli", *words]
        return subprocess.run(
            command, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def start(self, **more: str) -> None:
        words = ("worker", "--plane", self.plane.url, "--name", "edge", "-l", "region=berlin", "-l", "floor=2")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub.cli", *words], env={**self.env, **more}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_bare_machine_takes_runs_by_its_labels_from_a_plane(tmp_path: Path) -> None:
    with Site(PACE, command=("web",)) as plane:
        plane.start()
        edge = Edge(tmp_path, plane)
        try:
            _it_takes_runs(plane, edge)
        finally:
            if edge.process is not None:
                edge.kill()


def _it_takes_runs(plane: Site, edge: Edge) -> None:
    bare = edge.run("worker", "--plane", plane.url)
    assert bare.returncode == 2
    assert "HUB_SYNC_JOIN_TOKEN" in bare.stderr
    assert edge.run("worker", "-l", "a=b").returncode == 2
    assert edge.run("worker", "--plane", plane.url, "-l", "nonsense").returncode == 2
    assert edge.run("deploy", f"{FLOWS}:one_task", "--name", "one").returncode == 0
    slow = edge.home.parent / "slow.py"
    slow.write_text(SLOW)
    assert edge.run("deploy", f"{slow}:held", "--name", "held").returncode == 0
    token = plane.json("sites", "token")["token"]
    edge.start(HUB_SYNC_JOIN_TOKEN=token)
    until("the machine to offer itself", lambda: _site(plane)["takes_runs"], seconds=60)
    found = _site(plane)
    assert (found["labels"], found["work"]) == ({"region": "berlin", "floor": "2"}, "open")
    assert token.encode() not in b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))

    start: Callable[..., Any] = plane.client.post
    first = start("/sites/runs", {"deployment": "one", "labels": {"region": "berlin"}})
    assert first["site"] == "edge"
    until("it to run", lambda: _state(plane, first) == "COMPLETED")
    for labels, name, code in (({"region": "munich"}, "one", 409), ({"floor": "2"}, "two", 404)):
        body = {"deployment": name, "labels": labels}
        answer = plane.http.post(f"{plane.url}/api/v1/sites/runs", json=body, headers={"origin": plane.url})
        assert answer.status_code == code, answer.text

    gate = edge.home.parent / "go"
    given = {"gate": str(gate), "note": CANARY}
    held = start("/sites/runs", {"deployment": "held", "labels": {"floor": "2"}, "parameters": given})
    until("it to begin", lambda: _state(plane, held) == "RUNNING")
    kept = everything(plane, waiting=False)
    assert not [form for form in forms(CANARY) if form in kept], "parameters are sealed to the site"

    plane.run("sites", "pause", "edge")
    until("the work to be held", lambda: _site(plane)["work"] == "paused")
    edge.kill()
    later = start("/sites/runs", {"deployment": "one", "labels": {"region": "berlin"}})
    edge.start()  # without a token: it has joined
    until("the run to be there", lambda: _state(plane, later) == "SCHEDULED", seconds=60)
    time.sleep(1)
    assert (_state(plane, later), _site(plane)["work"]) == ("SCHEDULED", "paused"), "a kill ends no maintenance"
    plane.run("sites", "resume", "edge")
    until("it to run", lambda: _state(plane, later) == "COMPLETED", seconds=60)
    until("the killed one to be begun anew", lambda: _state(plane, held) == "RUNNING", seconds=60)

    plane.run("sites", "drain", "edge", "--yes")
    until("it to be drained", lambda: _site(plane)["work"] == "draining")
    waits = start("/sites/runs", {"deployment": "one", "site": "edge"})
    time.sleep(2)
    assert edge.process is not None
    assert edge.process.poll() is None, "what executes is waited for"
    gate.touch()
    assert edge.process.wait(60) == 0
    assert (_state(plane, held), _site(plane)["work"]) == ("COMPLETED", "drained")
    edge.start()
    until("the run that waited to be made", lambda: _state(plane, waits) == "COMPLETED", seconds=60)
    assert _site(plane)["work"] == "open"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_events_and_set_times_of_a_plane_are_runs_at_the_machine(tmp_path: Path) -> None:
    with Site(PACE) as plane:
        plane.start()
        edge = Edge(tmp_path, plane)
        try:
            _it_is_told_unattended(plane, edge)
        finally:
            if edge.process is not None:
                edge.kill()


def _it_is_told_unattended(plane: Site, edge: Edge) -> None:
    flows = edge.home.parent / "said.py"
    flows.write_text("from hub import flow\n\n@flow\ndef said(note: str) -> str:\n    return note\n")
    assert edge.run("deploy", f"{flows}:said", "--name", "said").returncode == 0
    edge.start(HUB_SYNC_JOIN_TOKEN=plane.json("sites", "token")["token"])
    until("the machine to offer itself", lambda: _site(plane)["takes_runs"], seconds=60)
    where = ("-l", "region=berlin")
    words = ("--on", "hub.variable.set", "--run", "said", "-p", "note==event.name")
    plane.run("automations", "create", "there", *words, *where)
    plane.run("automations", "create", "nowhere", *words, "-l", "region=munich")
    plane.run("variables", "set", "day", "1")
    (fired,) = until("it to fire", lambda: _evaluations(plane, "there", "fired"))
    assert fired["reason"] == "it matched; placed at edge"
    (failed,) = until("the other to give up", lambda: _evaluations(plane, "nowhere", "error"))
    assert "no site that takes runs from this plane has these labels: region=munich" in failed["error"]
    placed = {"site": "edge", "run_id": fired["run_id"]}
    until("it to run", lambda: _state(plane, placed) == "COMPLETED")
    made = json.loads(edge.run("runs", "show", fired["run_id"], "--json").stdout)
    assert made["parameters"] == {"note": "day"}

    plane.run("deploy", f"{flows}:said", "--name", "said")
    plane.run("schedules", "create", "said", "--interval", "2", "-p", "note=tick", *where)
    until("two of its times to run", lambda: len(_runs(plane)) >= 3)
    assert {run["deployment_name"] for run in _runs(plane)} == {"said"}
    assert plane.client.page("/runs")[0] == [], "the plane makes none itself"


def _evaluations(plane: Site, name: str, outcome: str) -> list[dict[str, Any]]:
    found = plane.client.page(f"/automations/{name}/evaluations")[0]
    return [dict(row) for row in found if row["outcome"] == outcome and (outcome == "error" or row["run_id"])]


def _runs(plane: Site) -> list[dict[str, Any]]:
    return [dict(run) for run in plane.client.page("/sites/edge/runs")[0] if run["state_type"] == "COMPLETED"]


def _site(plane: Site) -> dict[str, Any]:
    found = plane.client.page("/sites")[0]
    return dict(found[0]) if found else {"takes_runs": False}


def _state(plane: Site, placed: dict[str, Any]) -> str:
    answer = plane.http.get(f"{plane.url}/api/v1/sites/{placed['site']}/runs/{placed['run_id']}")
    return str(answer.json()["state_type"]) if answer.status_code == 200 else ""


SLOW = """
import time
from pathlib import Path
from hub import flow

@flow
def held(gate: str, note: str = "") -> str:
    while not Path(gate).exists():
        time.sleep(0.05)
    return note
"""
