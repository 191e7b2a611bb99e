"""What is in the wheel, and what is not."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from .repository import PACKAGES, ROOT, tracked


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that was built from the sources as they are."""
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling, which is not installed")
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(Path(out).glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_the_wheel_holds_the_four_packages_and_nothing_else_on_top(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"hub", "hub_notifications", "hub_hybrid", "hub_plugins"}


def test_the_wheel_holds_every_file_of_the_packages(names: set[str]) -> None:
    missing = []
    for package in PACKAGES:
        base = ROOT / package
        for path in tracked():
            if path.is_relative_to(base):
                inside = f"{base.name}/{path.relative_to(base).as_posix()}"
                if inside not in names:
                    missing.append(inside)
    assert missing == []


def test_the_wheel_holds_the_examples_that_the_demo_runs(names: set[str]) -> None:
    assert "hub/testing/examples/github_ci.py" in names


def test_the_wheel_has_types_licence_and_entry_points(names: set[str]) -> None:
    assert {f"{Path(package).name}/py.typed" for package in PACKAGES} <= names
    assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
    assert any("licenses/LICENSE" in name for name in names)
