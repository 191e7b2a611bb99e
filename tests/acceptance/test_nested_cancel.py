"""Nested runs that are cancelled alone while real workers execute them."""

from __future__ import annotations

from hub.runtime import process
from hub.runtime.commands import Command, apply
from hub.store import runs

from .conftest import SCOPE, Site, wait_until

FLOWS = """
from hub.errors import RunCancelled

@flow
def listens(folder: str, key: str) -> None:
    mark(folder, f"inner-{key}")
    time.sleep(300)


@flow
def deaf(folder: str, key: str) -> None:
    stubborn.fn(folder, f"inner-{key}")


@flow
def outer(folder: str, key: str) -> str:
    first(folder, key)
    try:
        (listens if key == "listens" else deaf)(folder, key)
    except RunCancelled:
        return second(folder, key)
    return "not cancelled"
"""


def add_flows(site: Site) -> None:
    file = site.home.parent / "flows.py"
    file.write_text(file.read_text() + FLOWS)


def cancel_nested(site: Site, flow_name: str) -> str:
    with site.store.read() as tx:
        (found,) = runs.listing(tx, SCOPE, flow_name=flow_name).items
    apply(site.store, Command("run.cancel", SCOPE, found["id"], {"message": "not that one"}))
    return str(found["id"])


def test_a_nested_run_is_interrupted_and_its_caller_goes_on_in_the_same_process(site: Site) -> None:
    add_flows(site)
    site.up()
    site.deploy("outer")
    run_id = site.run("outer", "listens")
    site.wait_marks("inner-listens")
    nested = cancel_nested(site, "listens")
    site.wait_ended([run_id])
    assert (site.row(run_id)["state_name"], site.row(run_id)["attempt"]) == ("Completed", 1)
    assert site.row(nested)["state_name"] == "Cancelled"
    assert (site.marks("first-listens"), site.marks("second-listens")) == (1, 1)


def test_one_that_does_not_listen_loses_its_process_and_its_caller_goes_on_in_another(site: Site) -> None:
    add_flows(site)
    site.up()
    site.deploy("outer")
    run_id = site.run("outer", "deaf")
    site.wait_marks("between-inner-deaf")
    helper = int((site.folder / "helper").read_text())
    nested = cancel_nested(site, "deaf")
    site.wait_ended([run_id])
    row = site.row(run_id)
    assert (row["state_name"], row["attempt"], row["crashes"]) == ("Completed", 2, 0)
    assert site.row(nested)["state_name"] == "Cancelled"
    wait_until(lambda: not process.alive(helper), what="what the nested flow started is gone")
    assert (site.marks("first-deaf"), site.marks("second-deaf"), site.marks("between-inner-deaf")) == (1, 1, 1)
