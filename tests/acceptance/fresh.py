"""An environment where nothing but the hub is installed, as its users have it: from the wheel, by pip."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.architecture.repository import ROOT


def programs(folder: Path) -> Path:
    """The folder of its programs: the one of HUB_TEST_FRESH_BIN, which CI has anyway, else of one that is made here."""
    given = os.environ.get("HUB_TEST_FRESH_BIN")
    if given:
        return Path(given)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    venv.create(folder / "fresh", with_pip=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    bin_ = folder / "fresh" / "bin"
    done = call(bin_, folder, "pip", "install", "-q", str(wheel), timeout=900)
    assert done.returncode == 0, done.stderr
    return bin_


def environment(bin_: Path) -> dict[str, str]:
    """That of a person who works there: nothing of these tests but the home."""
    ours = ("HUB_", "PYTHON", "PYTEST", "VIRTUAL_ENV", "COV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HUB_HOME": os.environ["HUB_HOME"], "PATH": f"{bin_}{os.pathsep}{kept.get('PATH', '')}"}


def call(bin_: Path, folder: Path, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Type a line there."""
    whole = [str(bin_ / words[0]), *words[1:]]
    return subprocess.run(
        whole, cwd=folder, env=environment(bin_), capture_output=True, text=True, timeout=timeout
    )  # fmt: skip
