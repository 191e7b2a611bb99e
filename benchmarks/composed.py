"""`python -m benchmarks.composed [local] [cloud]`: start docker/*/compose.yaml with podman, use them, and kill parts.

Local: the demo on it, two workers, a restart of each service, SIGKILL for a worker amid runs. Cloud: two sites join the
plane, which is ended and killed while one of them executes runs. No run may be lost. Everything happens on a
network of its own, so no port of this machine is taken. Linux, root; the first time it makes the images.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.client import Client
from hub.errors import HubError
from hub.testing.demo import story
from hub.testing.demo.mail import Mailbox
from hub.testing.demo.screen import Screen
from hub.testing.demo.site import Site, until

from benchmarks.outage import FINAL, Load
from benchmarks.podman import ROOT, Project, configure, make_images, missing, said

INSIDE = "HUB_COMPOSED_INSIDE"
FLOW = '''"""Runs that take a while."""

import time

from hub import flow, task


@task
def wait(number: int) -> int:
    time.sleep(1)
    return number


@flow
def slow(count: int = 6) -> int:
    return sum(wait(number) for number in range(count))


@flow
def short() -> int:
    return 1
'''
FLOWS = Path("/flows")
SHORT = f"{FLOWS}/trial.py:short"


class Contained(Site):
    """A hub whose processes are containers: commands are executed in one of them, the API is asked from outside."""

    def __init__(self, project: Project, service: str, port: int) -> None:
        super().__init__()
        self._project, self._service = project, service
        self.client.close()
        self.url = f"http://127.0.0.1:{port}"
        self.client = Client(self.url, token=str(self.json("tokens", "create", "trial")["token"]))

    def run(self, *words: str, stdin: str = "") -> str:
        """See Site.run."""
        return self._project.hub(self._service, *words, stdin=stdin)

    def log(self, lines: int = 15) -> str:
        """See Site.log."""
        return "\n".join(self._project.logs(self._service).splitlines()[-lines:])

    def states(self) -> dict[str, int]:
        """How many runs there are of each state."""
        states = [str(item["state_type"]) for item in self.client.items("/runs")]
        return {state: states.count(state) for state in set(states)}


def local(flows: Path) -> None:
    """The local shape."""
    with Project("local", flows) as project:
        _came_up(project, ("postgres", "redis"), ("web",), ("web", "upkeep", "worker"))
        hub = Contained(project, "worker", 4300)
        with hub, Mailbox("0.0.0.0", 2525) as mailbox:
            story.play(Screen(), hub, mailbox, FLOWS, post=project.gateway())
            _two_workers(project, hub)
            _restarted(project, hub)
        _say("memory", project.memory())


def cloud(flows: Path) -> None:
    """The cloud shape."""
    with Project("cloud", flows) as project:
        _came_up(
            project,
            ("postgres", "certificates"),
            ("plane", "berlin", "oslo"),
            ("plane", "plane-upkeep", "berlin", "oslo"),
        )
        for name in ("berlin", "oslo"):
            project.hub(
                name, "cloud", "connect", "https://plane:4300", project.json("plane", "sites", "create", name)["token"]
            )
        with Contained(project, "berlin", 4301) as berlin, Contained(project, "oslo", 4302) as oslo:
            for site in (berlin, oslo):
                site.run("deploy", SHORT, "--name", "short")
                site.run("deployments", "run", "short", "--wait")
            _plane_away(project, berlin)
            for site, name in ((berlin, "berlin"), (oslo, "oslo")):
                _in_step(site, name)
        _say("sites", project.hub("plane", "sites", "ls"))
        _say("memory", project.memory())


def _came_up(project: Project, stores: tuple[str, ...], owners: tuple[str, ...], ours: tuple[str, ...]) -> None:
    # Before podman 4.6 podman-compose does not wait for `service_healthy`.
    project.compose("up", "--detach", *stores)
    _say("healthy", project.healthy(*stores))
    for name in owners:
        project.owner(name)
    began = time.monotonic()
    project.compose("up", "--detach")
    started = time.monotonic() - began
    _say("healthy", {name: seconds + started for name, seconds in project.healthy(*ours).items()})
    for name in ours:
        project.hub(name, "doctor")
    _say("doctor", "content in " + ", ".join(ours))


def _two_workers(project: Project, hub: Contained) -> None:
    project.compose("up", "--detach", "--scale", "worker=2")
    until("two workers", lambda: _ready(hub) == 2, seconds=90)
    hub.run("deploy", f"{FLOWS}/trial.py:slow", "--name", "slow")
    runs = [str(hub.client.post("/deployments/slow/runs", {})["id"]) for _ in range(4)]
    until("all four to run", lambda: _how(hub, runs).count("RUNNING") == len(runs), seconds=60)
    began = time.monotonic()
    project.end("worker")
    until("the worker's runs to end", lambda: set(_how(hub, runs)) <= FINAL, seconds=180)
    _expect(set(_how(hub, runs)) == {"COMPLETED"}, f"after SIGKILL for a worker: {_how(hub, runs)}")
    _say("worker", f"killed amid 4 runs: all completed {time.monotonic() - began:.1f} s later")
    until("the killed worker's return", lambda: _ready(hub) == 2, seconds=120)


def _restarted(project: Project, hub: Contained) -> None:
    hub.run("deploy", SHORT, "--name", "short")
    for name in ("redis", "postgres", "web", "upkeep", "worker"):
        began = time.monotonic()
        project.end(name, signal.SIGINT if name == "postgres" else signal.SIGTERM)  # SIGTERM lets clients finish
        project.healthy(name, "web")
        (run,) = [str(hub.client.post("/deployments/short/runs", {})["id"])]
        until(f"a run after the restart of {name}", lambda run=run: _how(hub, [run])[0] in FINAL, seconds=120)  # type: ignore[misc]
        _expect(_how(hub, [run]) == ["COMPLETED"], f"after the restart of {name}: {_how(hub, [run])}")
        _say("restart", f"{name}: a run completed {time.monotonic() - began:.1f} s later")


def _plane_away(project: Project, berlin: Contained) -> None:
    load = Load(berlin)
    load.start()
    until("some load", lambda: load.accepted > 5)
    try:
        for how in (signal.SIGTERM, signal.SIGKILL):
            before, began = load.accepted, time.monotonic()
            project.end("plane", how)
            project.healthy("plane")
            _say(
                "plane",
                f"{how.name}: back after {time.monotonic() - began:.1f} s; berlin took {load.accepted - before} runs",
            )
            _expect(load.accepted > before, "the site took no run while the plane was away")
    finally:
        load.stop()
    until("all runs to end", lambda: set(berlin.states()) <= FINAL, seconds=180)
    states = berlin.states()
    _expect(states == {"COMPLETED": load.accepted + 1}, f"of {load.accepted + 1} accepted runs there are {states}")
    _say("berlin", f"{load.accepted + 1} runs, all completed")


def _in_step(site: Contained, name: str) -> None:
    began = time.monotonic()
    found: dict[str, Any] = {}

    def equal() -> bool:
        found.update(site.client.get("/links/cloud/digest"))
        return bool(found["equal"])

    until(f"the plane to have what {name} has", equal, seconds=120)
    _say(name, f"the plane has the same, {time.monotonic() - began:.1f} s after the last run: {found}")


def _ready(hub: Contained) -> int:
    return [item["status"] for item in hub.client.items("/workers")].count("ready")


def _how(hub: Contained, runs: list[str]) -> list[str]:
    return [str(hub.client.get(f"/runs/{run}")["state_type"]) for run in runs]


def _say(name: str, found: Mapping[str, Any] | str) -> None:
    if not isinstance(found, str):
        found = ", ".join(
            f"{key} {value:.1f} s" if isinstance(value, float) else f"{key} {value}" for key, value in found.items()
        )
    print(f"{name:<9} {found}", flush=True)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise HubError(f"the trial went wrong: {otherwise}")


def _flows(folder: Path) -> Path:
    flows = folder / "flows"
    shutil.copytree(ROOT / "examples", flows, ignore=shutil.ignore_patterns("__pycache__"))
    (flows / "trial.py").write_text(FLOW)
    for path in (folder, flows):
        path.chmod(0o755)  # for the user in the container
    return flows


def main() -> int:
    """Make the images, then try the shapes on a network of their own. Exit 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.composed", description=__doc__)
    parser.add_argument("shapes", nargs="*", default=["local", "cloud"], help="local, cloud; both without one")
    shapes = parser.parse_args().shapes
    if why := missing():
        print(f"Cannot start compose files here: {why}", file=sys.stderr)
        return 77
    if folder := os.environ.get(INSIDE, ""):
        return _tried(shapes, Path(folder))
    with tempfile.TemporaryDirectory() as made:
        configure(Path(made))
        _say("image", f"built in {make_images():.0f} s")
        _say("image", said("podman", "images", "--format", "{{.Repository}} {{.Size}}", "localhost/hubspoke").strip())
        words = ("unshare", "--net", sys.executable, "-m", "benchmarks.composed", *shapes)
        return subprocess.run(words, env=os.environ | {INSIDE: made}, check=False).returncode


def _tried(shapes: list[str], folder: Path) -> int:
    said("ip", "link", "set", "lo", "up")
    flows = _flows(folder)
    try:
        for shape in shapes:
            print(f"\n== docker/{shape}", flush=True)
            {"local": local, "cloud": cloud}[shape](flows)
    except HubError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
