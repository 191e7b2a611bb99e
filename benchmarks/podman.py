"""Compose files started with podman: the images they need, and a project on a network of its own (Linux, root)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.errors import HubError
from hub.testing.demo.site import until

ROOT = Path(__file__).resolve().parents[1]
IMAGES = Path(__file__).resolve().with_name("images")
BASE = "localhost/hub-base"
STAND_INS = {"docker.io/library/postgres:17": "postgres", "docker.io/library/redis:7": "redis"}
PROGRAMS = {
    "podman": "podman", "runc": "runc", "catatonit": "catatonit", "debootstrap": "debootstrap",
    "/usr/lib/podman/netavark": "netavark", "/usr/lib/podman/aardvark-dns": "aardvark-dns",
}  # fmt: skip
# What this machine allows: nofile and nproc as they are, and no systemd that would watch over containers.
SETTINGS = """[containers]
default_ulimits=["nofile=10000:10000","nproc=5000:5000"]
[engine]
runtime="runc"
[network]
network_backend="netavark"
network_config_dir="{folder}"
"""
PASSWORD = "only-for-this-trial"


def missing() -> str:
    """Why compose files cannot be started here; empty when they can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "it needs Linux and root"
    lacks = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return f"apt-get install {' '.join(lacks)}" if lacks else ""


def configure(folder: Path) -> None:
    """Let podman, in this process and its children, work with settings of its own."""
    (folder / "networks").mkdir()
    (folder / "containers.conf").write_text(SETTINGS.format(folder=folder / "networks"))
    os.environ["CONTAINERS_CONF"] = str(folder / "containers.conf")
    os.environ["BUILDAH_FORMAT"] = "docker"  # the other format knows no health checks


def said(*words: str, stdin: str = "", timeout: float = 900, **environment: str) -> str:
    """What a command printed. Raises HubError with its errors when it fails."""
    done = subprocess.run(
        words, input=stdin, capture_output=True, text=True, timeout=timeout, env=os.environ | environment, check=False
    )
    if done.returncode:
        raise HubError(f"`{' '.join(words)}` ended with {done.returncode}: {_worth(done.stderr or done.stdout)}")
    return done.stdout


def make_images() -> float:
    """Make the base, PostgreSQL and Redis where they are not there, and the hub's image. Seconds of the last."""
    if not _exists(BASE):
        with tempfile.TemporaryDirectory() as root:
            said("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm", root)
            shutil.copy("/etc/ssl/certs/ca-certificates.crt", f"{root}/etc/ssl/certs/")
            packed = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
            subprocess.run(["podman", "import", "-q", "-", BASE], stdin=packed.stdout, check=True, capture_output=True)
            packed.wait()
    for name, file in STAND_INS.items():
        if not _exists(name):
            # Networks of containers are not needed to build.
            said("podman", "build", "--network", "host", "-t", name, "-f", f"{IMAGES}/{file}.Dockerfile", str(IMAGES))
    began = time.monotonic()
    said(
        "podman", "build", "--network", "host", "-t", "localhost/hubspoke", "--build-arg", f"BASE={BASE}",
        "-f", f"{ROOT}/docker/Dockerfile", str(ROOT),
    )  # fmt: skip
    return time.monotonic() - began


class Project:
    """A compose file of docker/ as a project of its own; everything of it is gone at the end."""

    def __init__(self, which: str, flows: Path) -> None:
        self._name = f"hubtrial-{which}"
        self._file = ROOT / "docker" / which / "compose.yaml"
        example = (self._file.parent / ".env.example").read_text()
        filled = re.sub(r"^(HUB_POSTGRES_PASSWORD=)$", rf"\g<1>{PASSWORD}", example, flags=re.M)
        self._env = flows.parent / f"{which}.env"
        more = flows.parent / "settings.env"
        more.write_text("HUB_OUTBOUND_NETWORKS=10.0.0.0/8\n")  # the demo's mailbox is at the other end of it
        for name, value in (("HUB_FLOWS", flows), ("HUB_SETTINGS", more)):
            filled = re.sub(rf"^{name}=.*$", f"{name}={value}", filled, flags=re.M)
        self._env.write_text(filled)

    def __enter__(self) -> Project:
        self._remove()
        return self

    def __exit__(self, *_error: object) -> None:
        self._remove()

    def compose(self, *words: str, stdin: str = "") -> str:
        """Run podman-compose; gives what it printed."""
        program = str(Path(sys.executable).with_name("podman-compose"))
        common = ("-p", self._name, "-f", str(self._file), "--env-file", str(self._env))
        return said(program, *common, *words, stdin=stdin)

    def hub(self, service: str, *words: str, stdin: str = "") -> str:
        """Run a command of `hub` in a service's container."""
        return self.compose("exec", "-T", service, "hub", *words, stdin=stdin)

    def json(self, service: str, *words: str) -> Any:
        """As `hub` with --json, read."""
        return json.loads(self.hub(service, *words, "--json"))

    def owner(self, service: str) -> None:
        """Make the owner's account as the docs say."""
        self.compose("run", "--rm", "-T", service, "owner", "create", "admin", stdin=f"{PASSWORD}\n")

    def healthy(self, *services: str) -> Mapping[str, float]:
        """Ask the health checks, as systemd would, until each is content; seconds that each took from now on."""
        began, took = time.monotonic(), {}
        while left := [name for name in services if name not in took]:
            for name in left:
                if not self._podman("healthcheck", "run", self._container(name)):
                    took[name] = time.monotonic() - began
            if time.monotonic() - began > 180:
                raise HubError(f"not healthy within 180 s: {', '.join(left)}\n{self.logs(left[0])}")
        return took

    def end(self, service: str, how: signal.Signals = signal.SIGKILL, *, number: int = 1) -> None:
        """A signal for the first process of a container, as from the machine; its `restart` brings it back."""
        pid = self._pid(service, number)
        os.kill(pid, how)
        until(f"{service} to be started again", lambda: self._pid(service, number) not in (0, pid), seconds=90)

    def gateway(self) -> str:
        """The address of this end of the project's network."""
        (network,) = json.loads(said("podman", "network", "inspect", f"{self._name}_default"))
        return str(network["subnets"][0]["gateway"])

    def memory(self) -> Mapping[str, str]:
        """What each running container takes."""
        lines = said("podman", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}").splitlines()
        return {line.split()[0].removeprefix(f"{self._name}_"): line.split()[1] for line in lines}

    def logs(self, service: str) -> str:
        """The last lines of a container."""
        done = subprocess.run(
            ["podman", "logs", "--tail", "20", self._container(service)], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def _remove(self) -> None:
        # `down` leaves what `--scale` added, and with it the network's name server.
        mine = f"label=io.podman.compose.project={self._name}"
        self.compose("down", "--volumes")
        for container in said("podman", "ps", "--all", "--quiet", "--filter", mine).split():
            said("podman", "rm", "--force", "--time", "0", "--volumes", container)
        self.compose("down", "--volumes")

    def _container(self, service: str, number: int = 1) -> str:
        return f"{self._name}_{service}_{number}"

    def _pid(self, service: str, number: int) -> int:
        try:
            return int(said("podman", "inspect", "--format", "{{.State.Pid}}", self._container(service, number)))
        except HubError:
            return 0

    def _podman(self, *words: str) -> int:
        return subprocess.run(["podman", *words], capture_output=True, timeout=120, check=False).returncode


def _exists(image: str) -> bool:
    return subprocess.run(["podman", "image", "exists", image], capture_output=True, check=False).returncode == 0


def _worth(text: str) -> str:
    """What podman says without a systemd, left out."""
    return "\n".join(line for line in text.splitlines() if "systemd" not in line)[-3000:]
