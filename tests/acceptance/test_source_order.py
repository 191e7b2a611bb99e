"""Requests of one key start runs that never overlap and keep their order, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from hub.runtime.commands import Command, apply
from hub.types import new_id
from tests.planes.doors import Made

from .conftest import SCOPE, Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
KEYS, EACH, KILLS = "abc", 10, 4
CODE = """

@flow(retries=1, retry_delay_seconds=0.1, crash_retries=20)
def in_order(folder: str, key: str, n: int) -> None:
    mark(folder, f"begun-{key}")
    with open(Path(folder) / f"line-{key}", "a") as file:
        file.write(f"+{n}\\n")
    time.sleep(0.15)
    with open(Path(folder) / f"line-{key}", "a") as file:
        file.write(f"-{n}\\n")
    if n % 4 == 1:
        raise ValueError("fails, and is tried again, and fails")
"""


def blocks(path: Path) -> list[int]:
    """The numbers of the runs in the order in which they executed; tries of one run stand together."""
    found: list[int] = []
    for line in path.read_text().split():
        number = int(line[1:])
        if not found or found[-1] != number:
            found.append(number)
    return found


@pytest.mark.long("sqlite")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_runs_of_a_key_stay_in_order_while_upkeep_and_workers_are_killed(
    kind: str, request: pytest.FixtureRequest, make_site: Callable[..., Site]
) -> None:
    env = {"HUB_DATABASE_URL": request.getfixturevalue("own_postgres_url")} if kind == "postgresql" else {}
    site = make_site(**env)
    with (site.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    site.up("--queue", "elsewhere", "--slots", "1")
    web = f"http://127.0.0.1:{port}"
    site.start("web", "--port", str(port))
    wait_until(lambda: answers(web), 60, "the web process answers")
    site.deploy("in_order")
    made = httpx2.post(f"{web}/api/v1/sources", json={"name": "ci", "preset": "github", "order_by": "body.key"}).json()
    source = Made(made["id"], "ci", "github", made["url"].rpartition("/")[2], made["secret"], {})
    parameters = {"folder": str(site.folder), "key": "=body.key", "n": "=body.n"}
    rule = {
        "name": "rule", "trigger": {"expect": ["github.push"]},
        "actions": [{"run_deployment": "in_order", "parameters": parameters}],
    }  # fmt: skip
    apply(site.store, Command("automation.set", SCOPE, args=rule))
    upkeep = [site.start("upkeep") for _ in range(2)]
    workers = [site.start("worker", "--slots", "2", "--queue", "default") for _ in range(2)]
    chance = random.Random(4)
    with httpx2.Client() as client:
        for n in range(EACH):
            for key in KEYS:
                body = json.dumps({"key": key, "n": n}).encode()
                headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": new_id(), "Content-Type": "application/json"}
                signed = source.signed(body, headers)
                assert client.post(web + source.path, content=body, headers=dict(signed.headers)).status_code == 202
    lines = [site.folder / f"line-{key}" for key in KEYS]
    for number in range(KILLS):
        seen = sum(site.marks(f"begun-{key}") for key in KEYS)
        wait_until(lambda seen=seen: sum(site.marks(f"begun-{key}") for key in KEYS) >= seen + 2, 90, site.logs())
        group = upkeep if number % 2 else workers
        place = chance.randrange(2)
        os.kill(group[place].pid, signal.SIGKILL)
        group[place].wait(10)
        group[place] = (
            site.start("upkeep") if number % 2 else site.start("worker", "--slots", "2", "--queue", "default")
        )
    wait_until(lambda: done(site) == EACH * len(KEYS), 240, f"all runs have ended: {done(site)}")
    for line in lines:
        assert blocks(line) == list(range(EACH)), line.read_text()
    site.end()


def answers(web: str) -> bool:
    try:
        return httpx2.get(f"{web}/healthz").status_code < 500
    except httpx2.TransportError:
        time.sleep(0.05)
        return False


def done(site: Site) -> int:
    with site.store.read() as tx:
        return int(
            tx.conn.exec_driver_sql(
                "SELECT COUNT(*) FROM runs WHERE flow_name = 'in_order' AND ended_at IS NOT NULL"
            ).scalar_one()
        )
