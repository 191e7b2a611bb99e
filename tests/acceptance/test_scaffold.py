"""Must show 1 of the plugins' issue: what `hub plugins new` makes passes its own tests and the kit at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hub.cli import main
from hub.cli.scaffold import KINDS
from hub.testing import projects
from tests.acceptance import fresh


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_a_new_plugin_of_each_kind_is_green_at_once_where_only_the_hub_is_installed(tmp_path: Path) -> None:
    """Command by command as its README has them, with pip; `.ci/run` does so in the environment of the wheel."""
    bin_ = fresh.programs(tmp_path)
    for kind in KINDS:
        try:
            is_green(bin_, tmp_path, kind)
        finally:
            fresh.call(bin_, tmp_path, "pip", "uninstall", "-q", "-y", f"hub-green-{kind}")


def is_green(bin_: Path, place: Path, kind: str) -> None:
    name, folder = f"green-{kind}", place / f"hub-green-{kind}"
    for words in (
        ["hub", "plugins", "new", name, "--kind", kind],
        ["pip", "install", "-q", ".[test]"],
        ["pytest", "-q", "-W", "error"],
        ["hub", "plugins", "check", name],
        ["hub", "plugins", "check", ".", "--level", "bronze", "--json"],
    ):
        done = fresh.call(bin_, folder if folder.exists() else place, *words)
        assert done.returncode == 0, f"{kind}: {' '.join(words)}\n{done.stdout}{done.stderr}"
    report = json.loads(done.stdout)
    assert (report["plugin"], report["claimed"], report["kept"]) == (name, "bronze", True)
    assert "failed" not in {row["outcome"] for row in report["findings"]}


def test_a_new_plugin_is_green_without_pip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As `hub plugins dev` has it: the project is lent to the process."""
    folder = tmp_path / "project"
    assert main(["plugins", "new", "green", "--kind", "action", "--path", str(folder)]) == 0
    project = projects.read(folder)
    env = projects.lent_environment(project, tmp_path / "lent")
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # as where nothing but the hub and pytest is installed
    words = [sys.executable, "-m", "pytest", "-q", "-p", "hub.testing.pytest_plugin", "-W", "error"]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr

    capsys.readouterr()
    assert main(["plugins", "check", str(folder), "--level", "silver", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    failed = {row["rule"] for row in report["findings"] if row["outcome"] == "failed"}
    assert failed == {"MAINTAINER"}, "all but a person's name is there"
