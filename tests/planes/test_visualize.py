"""Pictures of flows: their functions are called, their tasks are not, and what follows on what is found out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import allow_failure, as_completed, concurrency, create_markdown_artifact, flow, lazy, rate_limit, shell, task
from hub.errors import ParameterError, UsageError
from hub.graphs.model import Graph

CALLED: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_is_called() -> Iterator[None]:
    CALLED.clear()
    yield
    assert CALLED == []


@task
def load(part: Any = 0) -> int:
    CALLED.append("load")
    return 1


@task
def double(n: Any) -> int:
    CALLED.append("double")
    return 2


@task(viz_return_value=[3, 4])
def parts() -> list[int]:
    CALLED.append("parts")
    return []


@task
async def fetch(n: Any) -> int:
    CALLED.append("fetch")
    return 1


count = shell("touch {path}", name="count")


def edges(graph: Graph) -> set[str]:
    """Each edge as text."""
    names = {node.id: f"{node.label}{number}" for number, node in enumerate(graph.nodes)}
    return {f"{names[edge.source]}{'~' if edge.waits else '>'}{names[edge.target]}" for edge in graph.edges}


def test_calls_futures_maps_and_waits_are_found_and_nothing_runs(tmp_path: Path) -> None:
    @flow
    def whole() -> Any:
        one = load()
        two = double.submit(one)
        three = double.submit({"deep": [two]}, wait_for=[load.submit(1)])
        many = load.map([1, 2, two])
        list(as_completed(many))
        return double(allow_failure(many)), count(tmp_path / "x"), three.result() + 1

    graph = whole.visualize().graph
    assert [(node.label, node.count) for node in graph.nodes] == [
        ("load", 1), ("double", 1), ("load", 1), ("double", 1), ("load", 3), ("double", 1), ("count", 1),
    ]  # fmt: skip
    assert edges(graph) == {"load0>double1", "double1>double3", "load2~double3", "double1>load4", "load4>double5"}
    assert not (tmp_path / "x").exists()


def test_maps_over_iterators_give_streams_and_artifacts_are_not_made() -> None:
    @flow
    def whole() -> int:
        create_markdown_artifact("hello")
        stream = double.map(load(n) for n in range(3))
        later = [double(future.result()) for future in stream]
        return len(later) + len(load.map(lazy([1, 2])).result())

    graph = whole.visualize().graph
    assert [(node.label, node.count) for node in graph.nodes] == [
        *[("load", 1)] * 3, ("double", 3), *[("double", 1)] * 3, ("load", 2),
    ]  # fmt: skip
    assert {edge.target for edge in graph.edges if edge.source == "n3"} == {"n4", "n5", "n6"}


def test_what_is_computed_from_a_result_still_comes_from_it() -> None:
    @flow
    def whole() -> None:
        found = load()
        double((found["x"].strip().upper() + 1) * 2)
        double.map(found)
        double(load.submit().result())

    graph = whole.visualize().graph
    assert edges(graph) == {"load0>double1", "load0>double2", "load3>double4"}
    assert graph.nodes[2].count == -1
    assert "double ×?" in whole.visualize().mermaid


def test_a_value_for_the_picture_is_what_the_flow_gets_and_its_origin_is_known() -> None:
    @flow
    def whole() -> int:
        found = parts()
        for part in found:
            if part > 3:
                double(part)
        load(found)
        load(list(parts()))
        return sum(found)

    graph = whole.visualize().graph
    assert edges(graph) == {"parts0>double1", "parts0>load2", "parts3>load4"}


@pytest.mark.parametrize(
    ("look", "says"),
    [
        (lambda value: value and 1, "decides by"), (list, "iterates over"), (len, "looks into"),
        (lambda value: 3 in value, "looks into"), (int, "needs the value of"),
        (lambda value: value > 3 or 0, "decides by"),
        (lambda value: [1, 2][value], "needs the value of"),
    ],
)  # fmt: skip
def test_a_flow_that_looks_at_a_result_is_told_whose_value_is_wanted(look: Any, says: str) -> None:
    @flow
    def whole() -> Any:
        return look(load())

    with pytest.raises(UsageError, match=f"the flow {says} the result of task load") as caught:
        whole.visualize()
    assert "viz_return_value" in caught.value.hint


def test_other_errors_of_the_flow_say_when_they_came_up() -> None:
    @flow
    def whole() -> Any:
        import json

        return json.dumps(load())

    with pytest.raises(TypeError) as caught:
        whole.visualize()
    assert "placeholders" in caught.value.__notes__[0]


def test_nested_flows_are_boxes_and_parameters_are_checked() -> None:
    @flow
    def inner(n: int) -> Any:
        return double(load(n))

    @flow
    def outer(n: int) -> Any:
        first = inner(n)
        return inner(first), double(first)

    graph = outer.visualize("3").graph  # type: ignore[arg-type]
    assert [(c.id, c.label, c.parent) for c in graph.clusters] == [("c0", "inner", ""), ("c1", "inner", "")]
    assert [node.cluster for node in graph.nodes] == ["c0", "c0", "c1", "c1", ""]
    assert edges(graph) == {"load0>double1", "double1>load2", "load2>double3", "double1>double4"}
    with pytest.raises(ParameterError, match="n: expected a valid integer"):
        outer.visualize("x")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="task load: got an unexpected"):
        flow(lambda: load(odd=1)).visualize()  # type: ignore[call-arg]


def test_async_flows_and_generators() -> None:
    @flow
    async def inner() -> Any:
        return await fetch(1)

    @flow
    async def whole() -> AsyncIterator[Any]:
        first = await inner()
        found = await asyncio.gather(*(fetch(n) for n in (first, 2)))
        yield await fetch.submit(found)

    @flow
    def items() -> Iterator[Any]:
        yield load()

    assert edges(whole.visualize().graph) == {"fetch0>fetch1", "fetch1>fetch3", "fetch2>fetch3"}
    assert len(items.visualize().graph.nodes) == 1

    async def in_a_notebook() -> int:
        return len(whole.visualize().graph.nodes)

    assert asyncio.run(in_a_notebook()) == 4


def test_limits_are_not_taken_and_run_names_are_labels() -> None:
    @task(task_run_name="load-{part}")
    def named(part: Any) -> None:
        CALLED.append("named")

    @flow
    def whole() -> None:
        with concurrency("nobody-made-it"):
            rate_limit("nor-this")
            named(3)
            named(load())

    graph = whole.visualize().graph
    assert [(node.label, node.group) for node in graph.nodes] == [
        ("load-3", "named"), ("load", "load"), ("load-<load>", "named"),
    ]  # fmt: skip
    assert whole.visualize().svg.startswith("<svg ")


def test_files_and_notebooks(tmp_path: Path) -> None:
    @flow(name="nightly <load>")
    def whole() -> None:
        double(load())

    picture = whole.visualize()
    assert picture.save(tmp_path / "flow.svg").read_text() == picture._repr_svg_()
    assert picture.save(str(tmp_path / "flow.mmd")).read_text() == picture.mermaid
    assert (
        picture.save(tmp_path / "flow.md").read_text()
        == picture._repr_markdown_()
        == f"```mermaid\n{picture.mermaid}```\n"
    )
    assert repr(picture) == "<picture of nightly <load>: 2 steps>"
    with pytest.raises(UsageError) as caught:
        picture.save("x.png")
    assert caught.value.hint == "End it in .svg, .mmd or .md."
