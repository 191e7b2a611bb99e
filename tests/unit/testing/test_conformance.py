"""Every rule of the conformance kit, broken by a plugin that breaks this one alone."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hub
import pytest
from hub.testing import PluginConformance, projects
from hub.testing.conformance import RULES
from hub.testing.conformance.rules import Finding, judge
from hub.testing.conformance.subject import Subject
from hub.version import __version__
from tests.unit.testing.judged import BAD, GOOD


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Files of a project; `load` gives its module."""
    yield dict(GOOD)
    for name in [name for name in sys.modules if name.split(".")[0] == "hub_judged"]:
        del sys.modules[name]


def load(files: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    for path in reversed(projects.lend(projects.read(folder), folder / "lent")):
        monkeypatch.syspath_prepend(path)
    return importlib.import_module("hub_judged.plugin")


SLOW = {"C01", "C08", "C09", "C15", "C16", "C17"}
"""These start a process or a hub each; they are judged where they are what is broken, and of the good plugin."""


def judged(module: ModuleType, *, but: set[str] = frozenset()) -> dict[str, Finding]:  # type: ignore[assignment]
    subject = Subject(module)
    return {rule.id: judge(rule, subject) for rule in RULES if rule.id not in but}


def test_a_good_plugin_keeps_every_rule_and_each_has_something_to_look_at(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = judged(load(made, tmp_path, monkeypatch))
    assert {rule: (one.outcome, one.detail) for rule, one in found.items()} == {r.id: ("passed", "") for r in RULES}


@pytest.mark.parametrize(("rule", "place", "old", "new", "told"), BAD, ids=[f"{row[0]}: {row[4]}" for row in BAD])
def test_a_plugin_that_breaks_one_rule_is_told_this_one(
    rule: str, place: str, old: str, new: str, told: str,
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert old in made[place]
    made[place] = made[place].replace(old, new)
    found = judged(load(made, tmp_path, monkeypatch), but=SLOW - {rule})
    assert {one.rule: one.detail for one in found.values() if not one.ok}.keys() == {rule}, found
    assert told in found[rule].detail


OLDER = {
    "as it is": ("", ""),
    "a hook is missing": ("def hub_channel_kinds(", "def _channel_kinds("),
}


@pytest.mark.parametrize("kind", OLDER)
def test_the_oldest_hub_is_asked_what_it_says_of_the_plugin(
    kind: str, made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of the hub that is said to be older, in one case without a hook that came later."""
    old = tmp_path / "old" / "hub"
    shutil.copytree(Path(hub.__file__).parent, old, ignore=shutil.ignore_patterns("__pycache__", "templates", "static"))
    (old / "version.py").write_text('__version__ = "0.0.1"\n')
    specs, (was, now) = old / "hookspecs.py", OLDER[kind]
    specs.write_text(specs.read_text().replace(f"@hookspec\n{was}", now) if was else specs.read_text())
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={old.parent}:$PYTHONPATH exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made["pyproject.toml"] = made["pyproject.toml"].replace(__version__, "0.0.1")
    subject = Subject(load(made, tmp_path / "project", monkeypatch))
    rule = next(rule for rule in RULES if rule.id == "C18")
    monkeypatch.setenv("HUB_TEST_OLDEST_PYTHON", str(python))
    found = judge(rule, subject)
    if not was:
        assert (found.outcome, found.detail) == ("passed", "")
        monkeypatch.setenv("HUB_TEST_OLDEST_PYTHON", sys.executable)
        found = judge(rule, subject)
        assert f"leads to hubspoke {__version__}, and the oldest that it admits is 0.0.1" in found.detail
    else:
        assert "with hubspoke 0.0.1 it breaks C04: there is no hook hub_channel_kinds" in found.detail


def test_every_rule_is_broken_by_somebody() -> None:
    assert {row[0] for row in BAD} == {rule.id for rule in RULES}


def test_a_rule_that_the_manifest_exempts_from_is_a_skip_with_its_reason(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made["hub_judged/manifest.toml"] += '\n[exemptions]\nREADME = "It is told in the handbook."\n'
    made["README.md"] = ""
    module = load(made, tmp_path, monkeypatch)
    case = type("TestIt", (PluginConformance,), {"plugin": module})()
    with pytest.raises(pytest.skip.Exception, match="exempt: It is told in the handbook"):
        case.test_readme_has_a_readme()
    case.test_c02_says_what_it_is()


def test_the_project_of_somebody_else_is_not_taken_for_the_plugins_own(
    made: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(made, tmp_path, monkeypatch)
    assert Subject(module).folder == tmp_path
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'an application with this plugin in its .venv'\n")
    subject = Subject(module)
    assert subject.folder is None
    assert subject.readme.strip() == made["README.md"].strip()
