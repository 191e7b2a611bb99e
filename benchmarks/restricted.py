"""`python -m benchmarks.restricted [--seconds N]`: a site behind a firewall reports to a plane on another host.

The site may open connections to a proxy and to nothing else; the plane is reached by HTTPS through it. Runs start all
the while the network is slow and loses packets, uploads are cut in the middle, and the plane is away for N seconds.
Afterwards the plane must have every fact, once and in order, and no run may have failed. Linux, root.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2
from hub.cli.connection import LOCAL_URL
from hub.client import Client
from hub.errors import HubError
from hub.settings import load_settings
from hub.testing.demo.site import Site, until
from hub.web import own

from benchmarks.forward import Forward, forward
from benchmarks.namespaces import PROXY_PORT, Host, host, missing
from benchmarks.outage import FINAL, FLOWS, PACE, SITE, Load

NAME, PORT = "plane.test", 4300
FAULTY_S = 8.0
CUTS = 6


@dataclass
class Told:
    """What happened."""

    accepted: int = 0
    during: int = 0
    """Accepted while the plane was away."""
    states: dict[str, int] = field(default_factory=dict)
    cuts: int = 0
    late: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    sealed: bool = False
    walled: bool = False
    """Whether the site could open no other connection."""
    digests: dict[str, Any] = field(default_factory=dict)
    lag: int = -1
    drained_s: float = 0.0
    """Until the plane had all that it had missed."""

    @property
    def good(self) -> bool:
        """Every fact arrived once and in order, and nothing failed for it."""
        one_place = set(self.asked) == {f"CONNECT {NAME}:{PORT}"} and self.sealed and self.walled
        whole = bool(self.digests.get("equal")) and self.lag == 0
        return one_place and whole and self.cuts > 0 and self.during > 0 and set(self.states) == {"COMPLETED"}


class Apart(Site):
    """A hub on a host of its own, asked through its socket in the file system."""

    def __init__(self, place: Host, settings: dict[str, str], environment: dict[str, str], *command: str) -> None:
        super().__init__(settings, command=command, within=place.within)
        self._more = environment
        self.client.close()
        self._socket = load_settings({"home": self.home}, environ={}).api_socket
        transport = httpx2.HTTPTransport(uds=str(self._socket), verify=False)
        self.client = Client(LOCAL_URL, transport=transport)

    def run(self, *words: str, stdin: str = "") -> str:
        """See Site.run."""
        return self._run(self._environment(), words, stdin)

    def _environment(self) -> dict[str, str]:
        return super()._environment() | self._more

    def _ready(self) -> bool:
        # Asked before: httpx leaves a socket open that it could not connect.
        return own.answers(self._socket)


def restricted(seconds: float) -> Told:
    """Do all that, and tell."""
    told = Told()
    with host(1, walled=True) as here, host(2) as there:
        names = {f"{NAME}:{PORT}": (there.inside, PORT)}
        settings = {"web_host": there.inside, "web_port": str(PORT)}
        with forward((here.outside, PROXY_PORT), names) as network, Apart(there, PACE | settings, {}, "web") as plane:
            files = plane.prepare("tls", "create", NAME, there.inside)
            plane.set(web_tls_cert=files["cert"], web_tls_key=files["key"])
            proxy = f"http://{here.outside}:{PROXY_PORT}"
            outward = {"HTTPS_PROXY": proxy, "SSL_CERT_FILE": files["ca"]}
            with Apart(here, SITE, outward, "up") as site:
                plane.start()
                site.start()
                told.walled = not any(_reaches(here, at) for at in ((there.inside, PORT), (here.outside, 22)))
                _suffer(plane, site, network, seconds, told)
    return told


def _reaches(place: Host, address: tuple[str, int]) -> bool:
    code = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"
    command = [*place.within, sys.executable, "-c", code, address[0], str(address[1])]
    return subprocess.run(command, capture_output=True).returncode == 0


def _suffer(plane: Site, site: Site, network: Forward, seconds: float, told: Told) -> None:
    token = plane.json("sites", "create", "berlin")["token"]
    site.run("cloud", "connect", f"https://{NAME}:{PORT}", token)
    site.run("deploy", f"{FLOWS}:one_task", "--name", "short")
    load = Load(site)
    load.start()
    try:
        until("some load", lambda: load.accepted > 5)
        network.troubles.delay, network.troubles.loss = 0.15, 0.05
        time.sleep(min(FAULTY_S, seconds))
        network.troubles.cuts = CUTS
        until("uploads to be cut", lambda: network.seen.cut >= CUTS, seconds=120)
        network.away(True)
        before = load.accepted
        time.sleep(seconds)
        told.during = load.accepted - before
        network.away(False)
    finally:
        load.stop()
    told.accepted = load.accepted
    _settle(plane, site, told)
    told.cuts, told.late = network.seen.cut, network.seen.late
    told.asked, told.sealed = dict(network.seen.asked), network.seen.sealed


def _settle(plane: Site, site: Site, told: Told) -> None:
    def ended() -> bool:
        time.sleep(0.5)
        states = [item["state_type"] for item in site.client.items("/runs")]
        told.states = {str(state): states.count(state) for state in set(states)}
        return set(states) <= FINAL and len(states) >= told.accepted

    def equal() -> bool:
        time.sleep(0.5)
        (link,) = site.client.get("/links")["items"]
        told.lag = int(link["lag"])
        if told.lag == 0:
            told.drained_s = round(time.monotonic() - began, 1)
            told.digests = dict(site.client.get("/links/cloud/digest"))
        return told.lag == 0 and bool(told.digests["equal"])

    began = time.monotonic()
    for what, look in (("the plane to have everything", equal), ("all runs to end", ended), ("equal ends", equal)):
        try:
            until(what, look, seconds=300)
        except HubError as error:
            print(f"{error}\nsite: {site.log()}\nplane: {plane.log()}", file=sys.stderr)


def main() -> int:
    """Print what happened; exit 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restricted", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the plane is away")
    seconds = parser.parse_args().seconds
    if why := missing():
        print(why, file=sys.stderr)
        return 2
    told = restricted(seconds)
    print(json.dumps(told.__dict__, indent=2))
    return 0 if told.good else 1


if __name__ == "__main__":
    sys.exit(main())
