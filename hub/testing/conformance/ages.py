"""A rule of the level gold: the oldest hub that a plugin admits is one that it works with."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from packaging.version import Version

from hub.plugins import OWN_DISTRIBUTION
from hub.testing import projects
from hub.testing.conformance.gold import requirements
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject
from hub.version import __version__

VARIABLE = "HUB_TEST_OLDEST_PYTHON"
_LONGEST_S = 300


def works_with_the_oldest_hub(subject: Subject) -> None:
    """C18: It works with the oldest hub that it admits: this one, or the one of HUB_TEST_OLDEST_PYTHON."""
    if subject.distribution.name == OWN_DISTRIBUTION:
        raise NotHere("it comes with the hub itself")
    oldest = _oldest(subject)
    if oldest == Version(__version__):
        return  # what all other rules have looked at
    if oldest > Version(__version__):
        raise Broken(f"it asks for {OWN_DISTRIBUTION}>={oldest}, and this is {__version__}: judge it with that one")
    python = os.environ.get(VARIABLE, "")
    if not python:
        raise Broken(
            f"it admits {OWN_DISTRIBUTION} {oldest}, and this is {__version__}: name the Python of an environment with"
            f" {oldest} by {VARIABLE}, or ask for >={__version__}"
        )
    _judged_there(subject, python, oldest)


def _oldest(subject: Subject) -> Version:
    own = dict(requirements(subject.distribution.requires or [])).get(OWN_DISTRIBUTION)
    said = own.specifier if own is not None else ()
    bounds = [Version(one.version.removesuffix(".*")) for one in said if one.operator in (">=", "~=", "==")]
    if not bounds:
        raise NotHere("it names no oldest hub, see C19")
    return max(bounds)


def _judged_there(subject: Subject, python: str, oldest: Version) -> None:
    with tempfile.TemporaryDirectory(prefix="hub-oldest-") as folder:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HUB_", "PYTHON"))}
        env["HUB_HOME"] = f"{folder}/home"
        if subject.folder is not None:  # else it must be installed there
            env["PYTHONPATH"] = os.pathsep.join(projects.lend(projects.read(subject.folder), Path(folder)))
        there = _asked(python, ["-c", "import hub.version as v; print(v.__version__)"], env, folder)
        if Version(there) != oldest:
            raise Broken(f"{VARIABLE} leads to {OWN_DISTRIBUTION} {there}, and the oldest that it admits is {oldest}")
        words = ["-m", "hub.testing.conformance", subject.point.name, "bronze"]
        report: dict[str, Any] = json.loads(_asked(python, words, env, folder))
    failed = [f"{row['rule']}: {row['detail']}" for row in report["findings"] if row["outcome"] == "failed"]
    if failed:
        raise Broken(f"with {OWN_DISTRIBUTION} {oldest} it breaks {failed[0]}: raise the bound, or do without that")


def _asked(python: str, words: list[str], env: dict[str, str], folder: str) -> str:
    """The last line that a process says."""
    try:
        done = subprocess.run(
            [python, *words], env=env, cwd=folder, capture_output=True, text=True, timeout=_LONGEST_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Broken(f"{VARIABLE}: {python} cannot be asked: {getattr(error, 'strerror', None) or error}") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise Broken(f"the Python of {VARIABLE} fails: {said[:300]}")
    return lines[-1]
