"""Bursts of webhook requests under flow control, on real processes, with the upkeep process killed in between."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from hub.store import runs

from .conftest import SCOPE, Site, wait_until
from .test_promises import SECRET, address, headers, hub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

COLLECTING = """
from pathlib import Path
import json
from hub import flow


@flow
def latest(folder: str, order: str, n: int = 0) -> None:
    with open(Path(folder) / "latest", "a") as file:
        file.write(json.dumps([order, n]) + "\\n")


@flow
def collected(events: list[dict], folder: str = "") -> None:
    with open(Path(events[0]["folder"]) / "collected", "a") as file:
        file.write(json.dumps([one["n"] for one in events]) + "\\n")
"""


def make_door(site: Site) -> str:
    """A source whose requests start a debounced and a batched deployment; its address."""
    file = site.home.parent / "collecting.py"
    file.write_text(COLLECTING)
    made = hub(site, "webhooks", "create", "orders", "--preset", "token", "--secret", SECRET, "--json")
    mapping = ("-p", f"folder={site.folder}", "-p", "order==body.order", "-p", "n==body.n")
    hub(
        site, "deploy", f"{file}:latest", "--flow-control", "{debounce: {period: 15s, key: params.order, timeout: 10m}}"
    )
    hub(site, "automations", "create", "last", "--on", "token.*", "--run", "latest", *mapping)
    hub(site, "deploy", f"{file}:collected")
    batch = "{batch: {max_size: 15, timeout: 10m, key: body.order}}"
    hub(
        site, "automations", "create", "all", "--on", "token.*", "--run", "collected", *mapping, "--flow-control", batch
    )
    return address(site) + "/in/" + str(made["url"]).rpartition("/in/")[2]


def send(url: str, orders: list[tuple[str, int]]) -> None:
    """Send requests, four at a time; every one is taken."""

    def one(order: tuple[str, int]) -> int:
        body = json.dumps({"order": order[0], "n": order[1]})
        return int(httpx2.post(url, content=body, headers=headers(), timeout=20).status_code)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, orders)) == {202}


def lines(site: Site, name: str) -> list[Any]:
    path = site.folder / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def found(site: Site, deployment: str) -> list[dict[str, Any]]:
    with site.store.read() as tx:
        rows = runs.listing(tx, SCOPE, limit=100).items
    return [row for row in rows if row["deployment_name"] == deployment]


@pytest.mark.long("0")
@pytest.mark.parametrize("kills", [0, 2])
def test_a_burst_becomes_one_run_and_all_of_it_is_in_one_batch(make_site: Callable[..., Site], kills: int) -> None:
    """`kills`: so many times the upkeep is killed while a debounced and a batched run wait for more."""
    site = make_site()
    site.up()
    url = make_door(site)
    for part in range(3):
        send(url, [("a", part * 10 + number) for number in range(9)])
        if part < kills:
            wait_until(lambda upto=part * 10 + 9: _in_all(site) == upto, 40, site.logs())
            kill_upkeep(site)
        send(url, [("a", part * 10 + 9)])
    wait_until(lambda: _in_all(site) == 30, 60, site.logs())
    made = found(site, "latest")
    assert len(made) == 1, "debounced into one run"
    site.wait_ended([made[0]["id"], *(row["id"] for row in found(site, "collected"))], 90)
    assert lines(site, "latest") == [["a", 29]], "the last request counts, once"
    batches = lines(site, "collected")
    assert sorted(len(one) for one in batches) == [15, 15]
    assert sorted(number for one in batches for number in one) == list(range(30)), "none lost, none twice"
    told = hub(site, "automations", "evaluations", "all", "--json")
    assert len(told) == 30
    assert {row["run_id"] for row in told} == {row["id"] for row in found(site, "collected")}
    assert sum("batch: 15 of 15 requests; it is full" in row["reason"] for row in told) == 2
    merged = hub(site, "events", "ls", "--type", "hub.flow_control.merged", "--limit", "200", "--json")
    assert sorted(event["body"]["control"] for event in merged) == ["batch"] * 28 + ["debounce"] * 29


def test_upkeep_killed_at_any_moment_loses_nothing_of_a_batch_and_puts_nothing_in_twice(site: Site) -> None:
    site.up()
    url = make_door(site)
    for part in range(6):
        send(url, [("a", part * 10 + number) for number in range(10)])
        kill_upkeep(site)
    # What the dead ones had claimed is taken by others when their leases end.
    wait_until(lambda: _in_all(site) == 60, 150, site.logs())
    site.wait_ended([row["id"] for row in found(site, "collected")], 60)
    batches = lines(site, "collected")
    assert sorted(number for one in batches for number in one) == list(range(60))
    assert [len(one) for one in batches] == [15] * 4
    assert len(batches) == len(found(site, "collected"))


def kill_upkeep(site: Site) -> None:
    """kill -9, and wait for the next one."""
    old = site.kill("upkeep")
    wait_until(lambda: [pid for pid in site.pids("upkeep") if pid != old], 30, "another upkeep")


def _in_all(site: Site) -> int:
    return sum(len(row["parameters"]["events"]) for row in found(site, "collected"))
