"""`hub plugins check`: a plugin is judged by the conformance kit, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from hub.cli import output
from hub.cli.output import AsJson, Column
from hub.errors import NotFoundError, UnavailableError

_LONGEST_S = 600
_OUTCOMES = {"passed": "ok", "not-applicable": "ok", "exempt": "exempt", "failed": "failed"}
COLUMNS = (
    Column("RULE", "rule"),
    Column("LEVEL", "level"),
    Column("", lambda row: _OUTCOMES[row["outcome"]], "state"),
    Column("WHAT IT SAYS", lambda row: _said(row)),
)


def check(
    target: Annotated[str, Parameter(help="Folder of a project, or the name of an installed plugin.")] = ".",
    *,
    level: Annotated[
        Literal["bronze", "silver", "gold"] | None, Parameter(help="The manifest's own without it.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """See which rules a plugin keeps. Exit code 1 when one of the level is broken."""
    with tempfile.TemporaryDirectory(prefix="hub-check-") as folder:
        name, env = _found(target, Path(folder))
        report = _report(name, level or "", env, Path(folder))
    findings = report["findings"]
    broken = [row for row in findings if row["outcome"] == "failed"]
    if as_json:
        output.print_json({**report, "kept": not broken})
    else:
        output.table(findings, COLUMNS, as_json=False, empty="")
        output.say(_conclusion(report, broken))
    return 1 if broken else 0


def _said(row: Mapping[str, Any]) -> str:
    if row["outcome"] == "passed":
        return str(row["summary"]).partition(": ")[2]
    words = {"failed": "", "exempt": "exempt: ", "not-applicable": "nothing to check: "}
    return words[row["outcome"]] + str(row["detail"])


def _conclusion(report: Mapping[str, Any], broken: list[Any]) -> str:
    if broken:
        rules = ", ".join(row["rule"] for row in broken)
        return f"\n{report['plugin']} is not {report['level']}: it breaks {rules}."
    return f"\n{report['plugin']} is {report['level']}."


def _found(target: str, folder: Path) -> tuple[str, dict[str, str]]:
    """The plugin's name, and the environment in which it is found. Raises UsageError, NotFoundError."""
    from hub.testing import projects

    if os.sep in target or target in (".", "..") or Path(target, "pyproject.toml").is_file():
        project = projects.read(Path(target))
        return project.plugin, projects.lent_environment(project, folder)
    from importlib.metadata import entry_points

    if not list(entry_points(group="hub.plugins", name=target)):
        raise NotFoundError(
            f"no plugin {target!r} is installed, and no folder of that name has a pyproject.toml",
            hint="`hub plugins ls` lists what is installed; give a project as a path, such as ./hub-acme.",
        )
    return target, dict(os.environ)


def _is_passed_on(variable: str) -> bool:
    return not variable.startswith("HUB_") or variable.startswith("HUB_TEST_")


def _report(name: str, level: str, env: Mapping[str, str], folder: Path) -> dict[str, Any]:
    words = [sys.executable, "-m", "hub.testing.conformance", name, level]
    # A home of its own: nothing of the hub that is set up here is touched.
    given = {variable: value for variable, value in env.items() if _is_passed_on(variable)}
    given["HUB_HOME"] = str(folder / "home")
    try:
        done = subprocess.run(
            words, env=given, capture_output=True, text=True, timeout=_LONGEST_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"judging {name} did not end within {_LONGEST_S} s") from None
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UnavailableError(f"the process that judged {name} ended badly: {said[:300]}") from None
