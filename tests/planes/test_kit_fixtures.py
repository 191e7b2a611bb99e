"""The fixtures, in a project of its own that has nothing but its tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "tests/thirdparty/flows_under_test"


def _pytest(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    found = any(point.name == "hub" for point in entry_points(group="pytest11"))
    named = [] if found else ["-p", "hub.testing.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *named, *arguments]
    # Options for these tests are none for those.
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100)


def test_a_project_of_flows_tests_them_with_the_fixtures() -> None:
    done = _pytest("-W", "error", folder=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


def test_they_are_announced_to_pytest() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert declared["pytest11"] == {"hub": "hub.testing.pytest_plugin"}


def test_who_does_not_ask_for_them_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    loaded = {name for name in sys.modules if name.split('.')[0] == 'hub'}\n"
        "    assert loaded <= {'hub', 'hub.version', 'hub.testing', 'hub.testing.pytest_plugin'}, loaded\n"
        "    assert not {'sqlalchemy', 'pydantic', 'starlette'} & set(sys.modules)\n",
        encoding="utf-8",
    )
    done = _pytest("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:anyio", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["hub", "hub_home", "hub_clock", "webhook"])
def test_each_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs/testing.md").read_text(encoding="utf-8")
