"""The hook hub_task_state on every store: told after the commit, in order, at least once, from the history itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub.plugins import Context, load_plugins
from hub.runtime import taskstates
from hub.runtime.taskstates import TaskStates
from hub.settings import load_settings
from hub.store.tables import StateRow
from tests.planes.conftest import Plane

FLOW = "@task(retries=1)\ndef bad(): raise ValueError\n@task\ndef good(): ...\n@flow\ndef f(): good(); bad()"
STORY = [
    ("good", "Running"), ("good", "Completed"), ("bad", "Running"), ("bad", "AwaitingRetry"), ("bad", "Retrying"),
    ("bad", "Failed"),
]  # fmt: skip


@pytest.fixture
def ctx(plane: Plane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("ECHO_FILE", str(tmp_path / "lines"))
    monkeypatch.setenv("ECHO_TASKS", "1")
    return load_plugins(load_settings({"home": tmp_path}, environ={}), process="upkeep", store=plane.store).context


def told(tmp_path: Path) -> list[tuple[str, str]]:
    lines = (tmp_path / "lines").read_text().splitlines() if (tmp_path / "lines").exists() else []
    return [(line["task"], line["state"]) for line in map(json.loads, lines)]


def test_every_state_of_a_task_is_told_in_order_and_once(plane: Plane, ctx: Context, tmp_path: Path) -> None:
    plane.execute(f"{plane.file(FLOW)}:f")
    first = TaskStates(ctx)
    first.step()
    assert told(tmp_path) == [], "it begins with what comes after its first look"
    plane.execute(f"{plane.file(FLOW)}:f")
    while first.step():
        pass
    first.step()
    assert told(tmp_path) == STORY
    plane.execute(f"{plane.file(FLOW)}:f")
    TaskStates(ctx, holder="another").step()
    assert told(tmp_path) == STORY, "one process at a time"
    while first.step():
        pass
    assert told(tmp_path) == STORY * 2


def test_a_number_that_is_missing_is_waited_for_a_while(
    plane: Plane, ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = TaskStates(ctx)
    plane.execute(f"{plane.file(FLOW)}:f")
    loop.step()
    with plane.store.write() as tx:
        last = taskstates._last(tx)
        task = plane.tasks()[0]
        row = {"workspace_id": task["workspace_id"], "run_id": task["run_id"], "task_run_id": task["id"], "at": 1,
               "type": "RUNNING", "message": "", "attempt": 1, "actor": "system"}  # fmt: skip
        table = StateRow.__table__  # type: ignore[attr-defined]
        tx.insert(table, {**row, "id": last + 2, "name": "Second"})
    loop.step()
    assert told(tmp_path) == []
    with plane.store.write() as tx:  # whoever took its number earlier commits later
        tx.insert(table, {**row, "id": last + 1, "name": "First"})
        tx.insert(table, {**row, "id": last + 4, "name": "Fourth"})
    loop.step()
    assert [state for _, state in told(tmp_path)] == ["First", "Second"]
    monkeypatch.setattr(taskstates, "GAP_S", 0.0)
    loop.step()
    assert [state for _, state in told(tmp_path)] == ["First", "Second", "Fourth"]


def test_a_plugin_of_the_hub_s_own_that_fails_is_tried_again_and_given_up_at_last(
    plane: Plane, ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = TaskStates(ctx)
    loop.step()
    plane.execute(f"{plane.file(FLOW)}:f")
    monkeypatch.setenv("ECHO_TASKS", "raise")
    monkeypatch.setattr(ctx.hooks, "_trusted", frozenset({"echo"}))
    for _ in range(3):
        assert loop.step() is False
    monkeypatch.setenv("ECHO_TASKS", "1")
    ctx.hooks.breakers["echo", "hub_task_state"].passed()
    loop.step()
    assert told(tmp_path) == STORY
    monkeypatch.setenv("ECHO_TASKS", "raise")
    plane.execute(f"{plane.file(FLOW)}:f")
    for _ in range(taskstates.TRIES + 1):
        ctx.hooks.breakers["echo", "hub_task_state"].passed()
        loop.step()
    monkeypatch.setenv("ECHO_TASKS", "1")
    ctx.hooks.breakers["echo", "hub_task_state"].passed()
    loop.step()
    assert told(tmp_path) == STORY, "what was given up is not told"
