"""`hub plugins ls` where no hub runs: what manifests say and the database knows, without the store and the API."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hub.plugins import load_plugins
from hub.runtime import plugin_reports
from hub.settings import load_settings
from hub.store import open_ready
from tests.strangers import stranger

from .conftest import Shell

HEAVY = """
import sys
from hub.cli import main
status = main(["plugins", "ls", "--json"])
assert not {"sqlalchemy", "sqlmodel", "starlette", "hub.store", "hub.web.app"} & set(sys.modules)
sys.exit(status)
"""


def test_a_listing_imports_neither_plugins_nor_the_store(hub: Shell) -> None:
    hub("plugins", "disable", "echo")
    shown = subprocess.run([sys.executable, "-c", HEAVY], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    found = {row["name"]: row for row in json.loads(shown)}
    assert (found["echo"]["state"], found["echo"]["enabled"]) == ("disabled", False)
    assert (found["slack"]["state"], found["slack"]["import_ms"]) == ("loaded", 0)
    assert "No hub answers here" in hub("plugins", "ls")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_says_what_was_set_and_what_a_process_has_reported(
    hub: Shell, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "postgresql":
        monkeypatch.setenv("HUB_DATABASE_URL", request.getfixturevalue("postgres_url"))
    settings = load_settings()
    hub("plugins", "disable", "echo")
    store = open_ready(settings)
    try:
        plugins = load_plugins(settings, process="upkeep", store=store)
        broken = [replace(row, state="failed", problem="no") if row.name == "slack" else row for row in plugins.found]
        plugins.found = tuple(broken)
        plugin_reports.Reporter(store, plugins).step()
    finally:
        store.close()
    found = {row["name"]: row for row in hub.json("plugins", "ls")}
    assert {"state": "failed", "problem": "in upkeep: no"}.items() <= found["slack"].items()
    assert found["echo"]["state"] == "disabled"
    assert "hub_loops" in found["webhooks"]["hooks"]  # as that process has seen
    assert "No hub answers here" in hub("plugins", "ls")


def test_a_database_that_has_no_tables_yet_is_made_ready_first(hub: Shell, tmp_path: Path) -> None:
    path = load_settings().sqlite_path
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert "No hub answers here" not in hub("plugins", "ls")  # the API in this process said it, and has imported them
    assert "No hub answers here" in hub("plugins", "ls")


def test_of_two_plugins_of_one_name_the_first_has_its_place(
    hub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for distribution in ("one-twin", "other-twin"):
        stranger(tmp_path / "strangers", "twin", "", distribution=distribution)
    monkeypatch.syspath_prepend(str(tmp_path / "strangers"))
    twins = [row for row in hub.json("plugins", "ls") if row["name"] == "twin"]
    assert sorted(row["state"] for row in twins) == ["failed", "loaded"]
    assert [row["problem"] for row in twins if row["problem"]] in (
        ["another plugin has this name, that of one-twin"], ["another plugin has this name, that of other-twin"],
    )  # fmt: skip
