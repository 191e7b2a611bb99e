"""Which run is this, tags of a block, the schema of parameters; inline and on a worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, tags, task
from hub.errors import UsageError
from hub.runtime import deployment, flow_run, task_run

from .test_limits import held, make

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


def facts() -> list[Any]:
    return [
        flow_run.id, flow_run.name, flow_run.flow_name, flow_run.attempt, flow_run.parameters, flow_run.tags,
        flow_run.parent_run_id, task_run.id, task_run.task_name, task_run.attempt, deployment.id, deployment.name,
    ]  # fmt: skip


def test_everything_is_none_outside_a_run(plane: Plane) -> None:
    assert set(facts()) == {None}
    assert task(facts)()[:7] == [None] * 7


def test_flow_and_task_runs_are_told(plane: Plane) -> None:
    @task(retries=1)
    def step() -> list[Any]:
        if task_run.attempt == 1:
            raise ValueError
        return facts()

    @flow(tags=["own"])
    def inner(n: int) -> list[Any]:
        return facts()

    @flow
    async def outer(n: int) -> list[Any]:
        return [facts(), await step.submit(), inner(n)]

    whole, of_step, nested = asyncio.run(outer(3))
    row, child, step_row = (
        plane.only("outer"),
        plane.only("inner"),
        next(t for t in plane.tasks() if t["task_name"] == "step"),
    )
    assert whole == [row["id"], row["name"], "outer", 1, {"n": 3}, (), None, None, None, None, None, None]
    assert of_step[7:10] == [step_row["id"], "step", 2]
    assert nested[:7] == [child["id"], child["name"], "inner", 1, {"n": 3}, ("own",), row["id"]]


def test_tags_of_a_block_are_added_to_all_that_is_called_in_it(plane: Plane) -> None:
    @flow(tags=["own"])
    def inner() -> None: ...

    @flow
    def outer() -> tuple[str, ...] | None:
        inner()
        with tags("c", "own"):
            inner()
        return flow_run.tags

    with tags("a"), tags("b", "a"):
        assert outer() == ("a", "b")
    inner()
    assert [(r["flow_name"], r["tags"]) for r in plane.rows()] == [
        ("outer", ["a", "b"]), ("inner", ["a", "b", "own"]), ("inner", ["a", "b", "c", "own"]), ("inner", ["own"]),
    ]  # fmt: skip


def test_tags_must_be_texts() -> None:
    for wrong in ("", 3, ["a"]):
        with pytest.raises(UsageError, match="are not tags"), tags(wrong):  # type: ignore[arg-type]
            pass


def test_a_flow_says_what_its_parameters_are() -> None:
    @flow
    def whole(day: int, name: str = "x") -> None: ...

    made = whole.parameter_schema
    assert (made["required"], made["properties"]["name"]["default"]) == (["day"], "x")


FLOW = """
from hub.runtime import deployment, flow_run, task_run

@task
def step():
    return [task_run.task_name, flow_run.attempt, flow_run.tags]

@flow
def whole():
    return [flow_run.id, *step()]
"""


def test_on_a_worker(plane: Plane) -> None:
    run_id = plane.run(f"{plane.file(FLOW)}:whole", tags=["x"])
    plane.attempt(run_id)
    assert plane.row(run_id)["result"].decode().startswith(f'["{run_id}","step",1,')


def test_tasks_hold_the_limits_of_the_tags_around_them(plane: Plane) -> None:
    make(plane, "tag:db", slots=1)

    @task
    def step() -> int:
        return held(plane, "tag:db")

    @flow
    def whole() -> list[int]:
        with tags("db"):
            inside = [step(), step.submit().result()]
        return [*inside, step()]

    assert whole() == [1, 1, 0]
