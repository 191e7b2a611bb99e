"""The flows that are measured."""

from __future__ import annotations

import time
from pathlib import Path

from hub import flow, task


@task
def nothing(number: int) -> int:
    """A task that does nothing."""
    return number


@flow
def one_after_another(count: int) -> float:
    """Seconds a task takes, in a loop of `count`."""
    began = time.perf_counter()
    for number in range(count):
        nothing(number)
    return (time.perf_counter() - began) / count


@flow
def mapped(count: int) -> int:
    """How many of `count` mapped tasks came back."""
    return len(nothing.map(range(count)).result())


@flow
def one_task(number: int = 0) -> int:
    """A short run."""
    return nothing(number)


@flow
def first_line(folder: str, name: str) -> None:
    """Write down when the first line ran."""
    at = time.time()
    file = Path(folder, f"{name}.part")
    file.write_text(repr(at))
    file.rename(Path(folder, name))


@task
def step(folder: str, name: str, number: int) -> None:
    """Leave a line: how often was this step executed?"""
    with Path(folder, "lines").open("a") as file:
        file.write(f"{name} {number}\n")
    time.sleep(0.02)


@flow
def soaked(folder: str, name: str) -> None:
    """Three steps, one after the other."""
    for number in range(3):
        step(folder, name, number)
