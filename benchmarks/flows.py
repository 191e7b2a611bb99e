"""The flows that are measured."""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

from hub import CeleryTaskRunner, as_completed, flow, get_run_logger, task


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


@task(persist=False)
def writes(count: int) -> None:
    """Write `count` lines."""
    logger = get_run_logger()
    for number in range(count):
        logger.info("line %d", number)


@flow
def writes_lines(count: int) -> None:
    """Write so many lines on each of three threads."""
    writes.map([count] * 3).result()


@flow
def growing(how: str, count: int) -> tuple[float, float]:
    """Seconds a task takes among `count`, and the megabytes that the process has more after them than after 10,000."""
    before, began = 0.0, time.perf_counter()
    for number, _ in enumerate(_WAYS[how](count)):
        if number == 9_999:
            before = _megabytes()
    return (time.perf_counter() - began) / count, _megabytes() - before


def _called(count: int) -> Iterator[object]:
    for number in range(count):
        yield nothing(number)


def _submitted(count: int) -> Iterator[object]:
    for number in range(count):
        last = nothing.submit(number)
        yield None
    last.wait()


def _mapped(count: int) -> Iterator[object]:
    yield from as_completed(nothing.map(iter(range(count))))


_WAYS = {"called": _called, "submitted": _submitted, "mapped": _mapped}


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@flow
def one_task(number: int = 0) -> int:
    """A short run."""
    return nothing(number)


@flow(task_runner=CeleryTaskRunner())
def spread(how: str, count: int, file: str) -> None:
    """Have workers make `count` calls; writes the seconds that took and the most memory this process had, in MB."""
    Path("/proc/self/clear_refs").write_text("5")  # a new peak: the process may have made other maps before
    began = time.perf_counter()
    numbers = range(count)
    futures = nothing.map(numbers) if how == "list" else nothing.map(iter(numbers))
    back = sum(future.result() is not None for future in as_completed(futures))
    seconds = time.perf_counter() - began
    if back != count:
        raise RuntimeError(f"{back} of {count} came back")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    part = Path(f"{file}.part")
    part.write_text(json.dumps({"seconds": seconds, "peak": peak}))
    part.rename(file)


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
