"""The example of nested flows: a region that fails, and one that is cancelled, do not stop the others."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from tests.acceptance.conftest import Site, wait_until
from tests.acceptance.typed import EXAMPLES, given, hub, logged, rows, run_example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def _sales(folder: Path) -> Path:
    folder.mkdir()
    (folder / "north.csv").write_text("day,amount\n1,10\n2,1.5\n")
    (folder / "west.csv").write_text("day,amount\n1,3\n")
    (folder / "south.csv").write_text("day,amount\n1,5\n2,lots\n")
    return folder


def test_a_region_that_fails_does_not_stop_the_others(site: Site, tmp_path: Path) -> None:
    folder = _sales(tmp_path / "sales")
    regions = ["north", "south", "west"]
    assert run_example(site, "nested.py:sales", folder=folder, regions=regions) == {"north": 11.5, "west": 3.0}
    ended = {run["name"]: run["state_name"] for run in rows(site, "sales-of")}
    assert ended == {"sales-of-north": "Completed", "sales-of-south": "Failed", "sales-of-west": "Completed"}
    (whole,) = rows(site, "sales")
    assert whole["state_name"] == "Completed"
    assert "goes on without south: south.csv, line 3: no amount" in logged(site, whole["id"])
    assert {run["parent_run_id"] for run in rows(site, "sales-of")} == {whole["id"]}
    words = given({"folder": folder, "regions": ["east"]})
    assert "no region could be read" in hub(site, "run", str(EXAMPLES / "nested.py:sales"), *words, fails=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_region_that_is_cancelled_does_not_stop_the_others(site: Site, tmp_path: Path) -> None:
    folder = _sales(tmp_path / "sales")
    os.mkfifo(folder / "east.csv")  # a file that nobody ends
    site.up("--slots", "1")
    hub(site, "deploy", str(EXAMPLES / "nested.py:sales"))
    hub(site, "deployments", "run", "sales", *given({"folder": folder, "regions": ["north", "east", "west"]}))
    (east,) = wait_until(lambda: [run for run in rows(site) if run["name"] == "sales-of-east"], 60, site.logs())
    wait_until(lambda: site.row(east["id"])["state_name"] == "Running")
    hub(site, "runs", "cancel", east["id"], "--yes")
    (whole,) = rows(site, "sales")
    site.wait_ended([whole["id"]])
    assert json.loads(site.row(whole["id"])["result"]) == {"north": 11.5, "west": 3.0}
    ended = {run["name"]: run["state_name"] for run in rows(site, "sales-of")}
    assert ended == {"sales-of-north": "Completed", "sales-of-east": "Cancelled", "sales-of-west": "Completed"}
