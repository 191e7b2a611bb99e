"""Submitted tasks in processes: results and errors come back, a timeout or a death takes one call with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hub import ProcessPoolTaskRunner, flow, task
from hub.errors import UsageError

from .conftest import Plane

CODE = """
import threading

@task
def who(n):
    time.sleep(0.05)
    return n, os.getpid()

@task
def odd(value):
    return value

@task
def fails():
    raise KeyError("x")

@task(timeout_seconds=0.5)
def hangs():
    time.sleep(60)

@task(retries=1)
def dies(mark):
    if not Path(mark).exists():
        Path(mark).touch()
        os._exit(3)
    return "lived"

@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def f(mark):
    found = who.map(range(6)).result()
    pids = {pid for _, pid in found}
    out = {"order": [n for n, _ in found], "processes": len(pids), "elsewhere": os.getpid() not in pids}
    out["died"] = dies.submit(mark).result()
    for name, call in (("failed", fails), ("late", hangs)):
        out[name] = type(call.submit().exception()).__name__
    out["unsent"] = type(odd.submit(threading.Lock()).exception()).__name__
    out["here"] = who(1)[1] == os.getpid()
    return out
"""


@pytest.mark.long("sqlite")
def test_tasks_execute_in_processes_and_each_loses_only_itself(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(CODE)}:f", {"mark": str(plane.folder / "mark")})
    assert row["state_name"] == "Completed", row["error_trace"]
    found: dict[str, Any] = json.loads(row["result"])
    assert 1 <= found.pop("processes") <= 2
    assert found == {
        "order": [0, 1, 2, 3, 4, 5], "elsewhere": True, "died": "lived", "failed": "KeyError", "late": "RunTimedOut",
        "unsent": "UsageError", "here": True,
    }  # fmt: skip


def test_a_task_that_a_process_could_not_find_is_refused(plane: Plane) -> None:
    @task
    def inside() -> None: ...

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def local() -> None:
        inside.submit()

    with pytest.raises(UsageError, match="workers cannot find task inside"):
        local()


NESTED = """
@task
def leaf(n):
    return [n, os.getpid()]

@task
def branch(n):
    submitted = leaf.submit(n).result()
    mapped = leaf.map([n + 1, n + 2]).result()
    return [[leaf(n), submitted, *mapped], os.getpid()]

@task
def trunk(n):
    return [[branch.submit(n).result(), branch(n + 1)], os.getpid()]

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def f():
    return trunk.map([0, 10]).result()
"""


@pytest.mark.long("postgresql")
def test_tasks_in_tasks_are_part_of_their_call_and_cannot_wait_for_a_process(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(NESTED)}:f")
    assert row["state_name"] == "Completed", row["error_trace"]
    found = json.loads(row["result"])
    pids = set[int]()
    for start, (branches, pid) in zip((0, 10), found, strict=True):
        pids.add(pid)
        for n, (leaves, where) in zip((start, start + 1), branches, strict=True):
            assert [value for value, _ in leaves] == [n, n, n + 1, n + 2]
            pids |= {where, *(place for _, place in leaves)}
    assert len(pids) == 1  # one process is all there is, and nobody waited for another
    assert [task["task_name"] for task in plane.tasks()] == ["trunk", "trunk"]
