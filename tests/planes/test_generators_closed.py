"""Generators whose clean-up goes wrong when their caller leaves them: `close()` raises it, and the run has failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hub import flow, task

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_what_its_finally_raises_is_raised_by_close(plane: Plane, kind: type[Exception]) -> None:
    @task(retries=2)
    def made() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise kind("not tidied up")

    @flow
    def whole() -> str:
        items = made()
        assert next(items) == 1
        with pytest.raises(kind, match="not tidied up"):
            items.close()  # type: ignore[attr-defined]
        return "went on"

    assert whole() == "went on"
    (row,) = plane.tasks()
    assert (row["state_name"], row["error_type"]) == ("Failed", kind.__name__)
    assert "not tidied up" in row["error_message"]
    assert plane.only()["state_name"] == "Completed"


def test_what_an_async_one_s_finally_raises_is_raised_by_aclose(plane: Plane) -> None:
    @task
    async def made() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            raise ValueError("not tidied up")

    @flow
    async def whole() -> str:
        items = made()
        assert await anext(items) == 1
        with pytest.raises(ValueError, match="not tidied up"):
            await items.aclose()  # type: ignore[attr-defined]
        return "went on"

    assert asyncio.run(whole()) == "went on"
    assert [(row["state_name"], row["error_type"]) for row in plane.tasks()] == [("Failed", "ValueError")]


def test_one_that_goes_on_when_it_is_closed_has_failed(plane: Plane) -> None:
    @task
    def stubborn() -> Iterator[int]:
        try:
            yield 1
        finally:
            yield 2

    @task
    async def stubborn_too() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            yield 2

    @flow
    async def whole() -> None:
        items, more = stubborn(), stubborn_too()
        assert (next(items), await anext(more)) == (1, 1)
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            items.close()  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
            await more.aclose()  # type: ignore[attr-defined]

    asyncio.run(whole())
    assert [(row["state_name"], row["error_type"]) for row in plane.tasks()] == [("Failed", "RuntimeError")] * 2


def test_a_flow_s_finally_that_raises_fails_the_run(plane: Plane) -> None:
    @flow
    def whole() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise ValueError("not tidied up")

    items = whole()
    assert next(items) == 1
    with pytest.raises(ValueError, match="not tidied up"):
        items.close()  # type: ignore[attr-defined]
    run = plane.only()
    assert (run["state_name"], run["error_message"]) == ("Failed", "ValueError: not tidied up")
