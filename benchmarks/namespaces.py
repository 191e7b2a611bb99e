"""Hosts of their own on one machine: network namespaces (Linux, root, `ip`, `iptables`), made and removed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PROXY_PORT = 3128


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace. `outside` is this machine's address on the wire to it, `inside` its own."""

    name: str
    outside: str
    inside: str

    @property
    def within(self) -> tuple[str, ...]:
        """What a command begins with to be executed there."""
        return ("ip", "netns", "exec", self.name)


def missing() -> str:
    """Why there can be no namespaces here; empty when there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are Linux's"
    if os.geteuid() != 0:
        return "network namespaces need root"
    lacks = [name for name in ("ip", "iptables") if shutil.which(name) is None]
    if lacks:
        return f"{' and '.join(lacks)} not installed"
    probe = f"hub-probe-{os.getpid()}"
    done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return f"ip netns add: {done.stderr.strip()}" if done.returncode else ""


@contextmanager
def host(number: int, *, walled: bool = False) -> Iterator[Host]:
    """A host on a wire of its own. A `walled` one may open connections to the proxy on this end, and no others."""
    place = (os.getpid() % 200) + 20
    made = Host(f"hub-{os.getpid()}-{number}", f"10.{place}.{number}.1", f"10.{place}.{number}.2")
    wires = (f"hubo{os.getpid() % 100_000}{number}", f"hubi{os.getpid() % 100_000}{number}")
    _do("ip", "netns", "add", made.name)
    try:
        _do("ip", "link", "add", wires[0], "type", "veth", "peer", "name", wires[1], "netns", made.name)
        _do("ip", "addr", "add", f"{made.outside}/30", "dev", wires[0])
        _do("ip", "link", "set", wires[0], "up")
        _do("ip", "-n", made.name, "addr", "add", f"{made.inside}/30", "dev", wires[1])
        for device in ("lo", wires[1]):
            _do("ip", "-n", made.name, "link", "set", device, "up")
        if walled:
            _wall(made)
        yield made
    finally:
        # Its processes have ended; the wire goes with it.
        with suppress(subprocess.CalledProcessError):
            _do("ip", "netns", "del", made.name)


def _wall(made: Host) -> None:
    rules = [
        ("OUTPUT", "-o", "lo"), ("INPUT", "-i", "lo"),
        ("OUTPUT", "-p", "tcp", "-d", made.outside, "--dport", str(PROXY_PORT)),
        ("INPUT", "-p", "tcp", "-s", made.outside, "--sport", str(PROXY_PORT), "!", "--syn"),
    ]  # fmt: skip
    for chain, *match in rules:
        _do(*made.within, "iptables", "-A", chain, *match, "-j", "ACCEPT")
    for chain in ("INPUT", "OUTPUT", "FORWARD"):
        _do(*made.within, "iptables", "-P", chain, "DROP")


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
