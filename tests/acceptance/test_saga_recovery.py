"""A rollback is cut off by kill -9, in the run itself and in the run that undoes it: another worker finishes it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hub.store import transactions

from .conftest import SCOPE, Site, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
CODE = """

from hub import transaction


def undo(step) -> None:
    folder = step.arguments["folder"]
    mark(folder, f"undoing-{step.result}")
    while step.result == "hotel" and not (Path(folder) / "go").exists():
        time.sleep(0.02)
    mark(folder, "undone-" + step.result)
    with open(Path(folder) / "order", "a") as out:
        out.write(step.result + "\\n")


@task(on_rollback=[undo])
def book(folder: str, what: str) -> str:
    mark(folder, f"booked-{what}")
    return what


@task
def pay(folder: str) -> None:
    if not (Path(folder) / "rich").exists():
        raise ValueError("no money")


@flow
def trip(folder: str, key: str) -> str:
    with transaction():
        for what in ("flight", "hotel", "car"):
            book(folder, what)
        pay(folder)
    return "booked"


@flow(crash_retries=0)
def fragile(folder: str, key: str) -> str:
    return trip.fn(folder, key)
"""


@pytest.mark.long("trip-sqlite", "fragile-postgresql")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("flow", ["trip", "fragile"])
def test_another_worker_finishes_a_rollback(
    kind: str, flow: str, request: pytest.FixtureRequest, make_site: Callable[..., Site]
) -> None:
    env = {"HUB_LEASE": "10", "HUB_LEASE_RENEW": "2"}
    if kind == "postgresql":
        env["HUB_DATABASE_URL"] = request.getfixturevalue("own_postgres_url")
    site = make_site(**env)
    with (site.home.parent / "flows.py").open("a") as file:
        file.write(CODE)
    site.up("--slots", "1")
    site.start("worker", "--slots", "1", "--queue", "default")
    site.wait_ready(2)
    site.deploy(flow, crash_retries=0 if flow == "fragile" else 2)
    run_id = site.run(flow, "a")
    kills = 2 if flow == "fragile" else 1
    for number in range(1, kills + 1):
        # Of "fragile", the second time it is the run that undoes the first one's steps.
        wait_until(lambda number=number: site.marks("undoing-hotel") == number, 90, site.logs())
        pid = int((site.folder / "undoing-hotel").read_text().split()[-1])
        if number == kills:
            (site.folder / "rich").touch()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda number=number: site.marks("undoing-hotel") > number or number == kills, 90, site.logs())
    (site.folder / "go").touch()
    site.wait_ended([run_id], timeout=120)
    wait_until(lambda: not _open(site), 120, site.logs())
    assert (site.folder / "order").read_text().split() == ["car", "hotel", "flight"]
    assert (site.marks("undone-hotel"), site.marks("undone-flight")) == (1, 1)
    row = site.row(run_id)
    if flow == "trip":
        # Its next attempt undid the rest, then did the block again: now there is money.
        assert row["state_name"] == "Completed", (row["error_message"], site.logs())
        assert [site.marks(f"booked-{what}") for what in ("flight", "hotel", "car")] == [2, 2, 2]
        assert _states(site) == ["done"] * 3 + ["committed"] * 3
    else:
        assert row["state_name"] == "Crashed"
        assert _states(site) == ["done"] * 3
        with site.store.read() as tx:
            (undoing,) = transactions.rollback_runs(tx, SCOPE, run_id)
        site.wait_ended([undoing["id"]])
        undoing = site.row(undoing["id"])
        assert undoing["state_name"] == "Completed"
        assert "Recovering" in site.history(undoing["id"])
    site.end()


def _open(site: Site) -> list[dict[str, Any]]:
    with site.store.read() as tx:
        return transactions.abandoned(tx)


def _states(site: Site) -> list[str]:
    table = transactions.TABLE
    with site.store.read() as tx:
        query = table.select().where(table.c.hooks > 0).order_by(table.c.ordinal)
        return [row["state"] for row in tx.conn.execute(query).mappings()]
