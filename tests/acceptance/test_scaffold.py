"""Must show 1 of the plugins' issue: what `hub plugins new` makes passes its own tests and the kit at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub.cli import main
from hub.cli.scaffold import KINDS
from hub.testing import projects


@pytest.mark.long("channel", "panel", "result-store")
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_of_each_kind_is_green_at_once(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    assert main(["plugins", "new", f"green-{kind}", "--kind", kind, "--path", str(folder)]) == 0
    project = projects.read(folder)
    env = projects.lent_environment(project, tmp_path / "lent")
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # as where nothing but the hub and pytest is installed
    words = [sys.executable, "-m", "pytest", "-q", "-p", "hub.testing.pytest_plugin", "-W", "error"]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr

    capsys.readouterr()
    assert main(["plugins", "check", str(folder), "--level", "bronze", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["plugin"], report["claimed"], report["kept"]) == (f"green-{kind}", "bronze", True)
    assert "failed" not in {row["outcome"] for row in report["findings"]}


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_that_pip_has_installed_is_green_too(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wheel has all that the plugin needs, and it is known by its name."""
    folder, site = tmp_path / "project", tmp_path / "site"
    assert main(["plugins", "new", f"green-{kind}", "--kind", kind, "--path", str(folder)]) == 0
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([*pip, str(folder)], check=True, timeout=100, capture_output=True)
    (folder / "src").rename(tmp_path / "away")  # nothing but what was installed can be found
    env = {**os.environ, "PYTHONPATH": str(site), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for words in (
        ["pytest", "-q", "-p", "hub.testing.pytest_plugin"],
        ["hub.cli", "plugins", "check", f"green-{kind}"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr
