"""The hook hub_task_wrap: a trusted plugin is around the function of every task, wherever that is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.settings import load_settings
from tests.planes.conftest import Plane

FLOWS = """
def note(name):
    with open({lines!r}, "a") as file:
        print('{{"in": "' + name + '"}}', file=file)
@task
def plain(): note("plain")
@task
async def slow(): note("slow")
@task(timeout_seconds=20)
def items():
    note("items")
    yield 1
    yield 2
@task
def bad(): raise ValueError("no")
@flow
async def f():
    plain()
    await slow()
    assert list(items()) == [1, 2]
    bad.submit().wait()
"""


ONE = "@task\ndef t(): return 1\n@flow\ndef f(): return t()"


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_FILE", str(tmp_path / "lines"))
    return tmp_path / "lines"


def use(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """The plugins of this process are freshly loaded ones."""
    for name in ("_installed", "_hooks", "around_task"):
        monkeypatch.setattr(contributed, name, None)
    contributed.install(load_plugins(load_settings(settings, environ={}), process="worker").hooks)


def test_a_trusted_plugin_is_around_every_kind_of_task(
    plane: Plane, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, plugins_trusted=("echo",))
    plane.execute(f"{plane.file(FLOWS.format(lines=str(lines)))}:f")
    told = [next(iter(json.loads(line).items())) for line in lines.read_text().splitlines()]
    expected = [(what, name) for name in ("plain", "slow", "items") for what in ("begins", "in", "ends")]
    assert told == [*expected, ("begins", "bad"), ("ends", "bad")]


def test_what_it_raises_is_the_task_s_failure(plane: Plane, lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, plugins_trusted=("echo",))
    monkeypatch.setenv("ECHO_MODE", "raise")
    row = plane.execute(f"{plane.file(ONE)}:f")
    assert row["state_name"] == "Failed"
    assert [task["error_message"].strip() for task in plane.tasks()] == ["RuntimeError: hub_echo was told to raise"]
    assert not lines.exists()


def test_one_that_is_not_trusted_is_not_asked(plane: Plane, lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)
    assert contributed.around_task is None
    row = plane.execute(f"{plane.file(ONE)}:f")
    assert row["state_name"] == "Completed"
    assert not lines.exists()
