"""What an installation weighs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]


def measure(quick: bool) -> list[Row]:
    """A wheel in a fresh environment, without extras; left out of the quick look."""
    if quick:
        return []
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
        wheel = next(Path(folder).glob("*.whl"))
        _run(sys.executable, "-m", "venv", f"{folder}/venv")
        python = f"{folder}/venv/bin/python"
        bare = _megabytes(Path(folder, "venv"))
        _run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", str(wheel))
        size = _megabytes(Path(folder, "venv"))
        packages = len(list(Path(folder, "venv").rglob("*.dist-info"))) - 1  # pip itself came with the environment
    return [
        Row("installed size", size, "MB", 230, bare, "empty environment"),
        Row("installed packages", packages, "", 85),
    ]


def _run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=600, stdout=subprocess.DEVNULL, cwd=ROOT)


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6
