"""Submitted tasks that workers make: sent in chunks, made once, gathered, found again by the next attempt."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hub import CeleryTaskRunner, ThreadPoolTaskRunner, flow, task
from hub.engine.run import Cancel, Claim, Dispatch, Lose
from hub.errors import HubError, RunCancelled, RunCrashed, UsageError
from hub.runtime import loader
from hub.runtime.attempt import execute_attempt
from hub.runtime.executor import remote
from hub.runtime.orchestrator import handle
from hub.runtime.why import why
from hub.store import attempts
from hub.types import new_id

from .conftest import SCOPE, Plane

CODE = """
from collections import Counter
runner = CeleryTaskRunner(chunk=3)

@task
def double(n):
    Path(os.environ["MARKS"], f"{n}-{time.time_ns()}").touch()
    return n * 2

@task
def fails(n):
    if n == 2:
        raise ValueError("two")
    return n

@task
def fails_once(n):
    mark = Path(os.environ["MARKS"], "failed")
    if n == 2 and not mark.exists():
        mark.touch()
        raise ValueError("two")
    Path(os.environ["MARKS"], f"{n}-{time.time_ns()}").touch()
    return n

@task
def is_lost(n):
    Path(os.environ["MARKS"], f"{n}-{time.time_ns()}").touch()
    time.sleep(0.05)  # so that it is committed before the next one begins
    if n == 1 and runtime_context().attempt == 1:
        from hub.engine.run import Lose
        from hub.runtime import inline, orchestrator
        from hub.types import Scope
        orchestrator.handle(inline.home().store, Scope(), runtime_context().run_id, Lose(1, 1, "gone"))
    return n

@flow(task_runner=runner)
def loses():
    return is_lost.map(range(3)).result()

@task
async def slowly(n):
    await asyncio.sleep(0.01)
    return n + 1

@task(result_serializer="pickle")
def odd(value):
    return {"same": value}

@task
def where():
    return runtime_context().run_id

@task
def nothing(n):
    return Counter("abc")

@task
def large(text):
    return text * 2

@flow(task_runner=runner)
def doubles(count=7):
    return double.map(range(count)).result()

@flow(task_runner=runner)
def states():
    return [f.exception() and str(f.exception()) for f in fails.map(range(4))]

@flow(task_runner=runner, retries=1)
def again():
    return fails_once.map(range(4)).result()

@flow(task_runner=runner)
def mixed():
    first = double.submit(4)
    second = double.submit(first)
    return second.result(), slowly.map([1, 2, 3, 4]).result(), odd.submit({1j}).result(), double(21)

@flow(task_runner=runner)
def by_reference():
    return [len(text) for text in large.map(["x" * 100_000, "y"]).result()]

@flow(task_runner=runner)
def unknown():
    return nothing.submit(1).result()

@flow(task_runner=runner)
def inner():
    return where.submit().result()

@flow(task_runner=runner)
def one():
    return double.submit(1).result()

@flow(task_runner=runner)
def unsendable():
    return double.submit(object()).result()
"""


@pytest.fixture
def marks(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> Any:
    folder = plane.folder / "marks"
    folder.mkdir()
    monkeypatch.setenv("MARKS", str(folder))
    return folder


@pytest.fixture
def code(plane: Plane, marks: Any) -> str:
    return str(plane.file(CODE))


class Workers:
    """Executes chunks as a worker's child would; `meets` is called with a chunk's run before it is executed."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.meets: Callable[[str], bool] = lambda _: True
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        listener = self.plane.store.listen("runs")
        while not self._stop.is_set():
            for row in self.plane.rows():
                if row["origin"] == "tasks" and row["state_type"] == "SCHEDULED":
                    self._execute(row["id"])
            listener.wait(0.05)
        listener.close()

    def _execute(self, run_id: str) -> None:
        try:
            with contextlib.suppress(HubError):  # somebody else was faster
                if self.meets(run_id):
                    self.plane.attempt(run_id)
        except BaseException as error:
            self.errors.append(error)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert self.errors == []


@pytest.fixture
def workers(plane: Plane) -> Iterator[Workers]:
    found = Workers(plane)
    yield found
    found.close()


def answer(plane: Plane, code: str, name: str, **more: Any) -> Any:
    row = plane.execute(f"{code}:{name}", **more)
    assert row["state_name"] == "Completed", (row["state_message"], row["error_trace"])
    return json.loads(row["result"])


def test_a_map_goes_out_in_chunks_and_comes_back_in_order(
    plane: Plane, code: str, workers: Workers, marks: Any
) -> None:
    assert answer(plane, code, "doubles") == [0, 2, 4, 6, 8, 10, 12]
    chunks = [row for row in plane.rows() if row["origin"] == "tasks"]
    (parent,) = [row for row in plane.rows() if row["origin"] != "tasks"]
    assert sorted(row["name"] for row in chunks) == ["double-0 to double-2", "double-3 to double-5", "double-6"]
    assert {row["parent_run_id"] for row in chunks} == {parent["id"]}
    assert len(plane.tasks()) == len(list(marks.iterdir())) == 7
    assert plane.tasks(parent["id"]) == []


def test_a_failed_call_fails_alone(plane: Plane, code: str, workers: Workers) -> None:
    states = answer(plane, code, "states")
    assert states[:2] + states[3:] == [None, None, None]
    assert "fails-2 failed on a worker: ValueError: two" in states[2]
    assert {row["state_type"] for row in plane.rows()} == {"COMPLETED"}


def test_futures_coroutines_pickles_and_plain_calls_go_together(plane: Plane, code: str, workers: Workers) -> None:
    row = plane.execute(f"{code}:mixed")
    assert row["state_name"] == "Completed", row["error_trace"]
    assert b"16" in row["result"]
    assert b"[2,3,4,5]" in row["result"]
    assert b"42" in row["result"]


def test_large_arguments_and_results_travel_by_reference(plane: Plane, code: str, workers: Workers) -> None:
    assert answer(plane, code, "by_reference") == [200_000, 2]
    (chunk,) = [row for row in plane.rows() if row["origin"] == "tasks"]
    assert chunk["parameters"]["calls"]["format"].startswith("local:")
    assert any(row["result_format"].startswith("local:") for row in plane.tasks())


def test_what_cannot_travel_is_said(plane: Plane, code: str, workers: Workers) -> None:
    for name, told in (("unknown", "result (Counter) cannot be written"), ("unsendable", "cannot be sent to a worker")):
        row = plane.execute(f"{code}:{name}")
        assert row["state_name"] == "Failed"
        assert told in row["error_message"]
    assert [(task["name"], task["state_name"]) for task in plane.tasks()] == [("nothing-0", "Failed")]


def test_the_next_attempt_of_a_flow_finds_what_was_sent(plane: Plane, code: str, workers: Workers, marks: Any) -> None:
    run_id = plane.run(f"{code}:doubles")
    number = handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt
    workers.meets = lambda _: False
    lost = threading.Thread(target=lambda: plane_execute(plane, run_id, number), daemon=True)
    lost.start()
    wait_for(lambda: sum(row["origin"] == "tasks" for row in plane.rows()) == 3)
    handle(plane.store, SCOPE, run_id, Lose(number, 1, "gone"))
    workers.meets = lambda _: True
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed"
    lost.join(30)
    assert len(list(marks.iterdir())) == 7


def test_a_flow_that_is_tried_again_sends_only_what_failed(
    plane: Plane, code: str, workers: Workers, marks: Any
) -> None:
    run_id = plane.run(f"{code}:again", retry_policy={"retries": 1})
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "AwaitingRetry"
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Completed", plane.row(run_id)["error_message"]
    assert len(list(marks.glob("*-*"))) == 4


def test_a_lost_worker_s_chunk_is_made_again_without_what_was_done(
    plane: Plane, code: str, workers: Workers, marks: Any
) -> None:
    seen: list[str] = []

    def loses_first(run_id: str) -> bool:
        seen.append(run_id)
        if seen.count(run_id) > 1:
            return True
        number = handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt
        handle(plane.store, SCOPE, run_id, Claim(number, 1))
        handle(plane.store, SCOPE, run_id, Lose(number, 1, "gone"))
        return False

    workers.meets = loses_first
    assert answer(
        plane,
        code,
        "doubles",
    ) == [0, 2, 4, 6, 8, 10, 12]
    assert len(list(marks.iterdir())) == 7


def test_calls_that_were_done_when_their_worker_was_lost_are_not_made_again(
    plane: Plane, code: str, workers: Workers, marks: Any
) -> None:
    assert answer(plane, code, "loses") == [0, 1, 2]
    made = sorted(path.name.partition("-")[0] for path in marks.iterdir())
    assert made == ["0", "1", "1", "2"]


@pytest.mark.parametrize("how", ["cancelled", "crashed"])
def test_a_chunk_that_does_not_end_well_ends_its_futures(plane: Plane, code: str, workers: Workers, how: str) -> None:
    def ends(run_id: str) -> bool:
        if how == "cancelled":
            handle(plane.store, SCOPE, run_id, Cancel("no"))
            return False
        number = handle(plane.store, SCOPE, run_id, Dispatch(new_id())).attempt
        handle(plane.store, SCOPE, run_id, Claim(number, 1))
        handle(plane.store, SCOPE, run_id, Lose(number, 1, "gone"))
        return False

    workers.meets = ends
    row = plane.execute(f"{code}:one")
    kind = RunCancelled if how == "cancelled" else RunCrashed
    assert (row["state_name"], row["error_type"]) == ("Failed", kind.__name__)


@pytest.mark.usefixtures("quick_renewal")
def test_a_cancelled_flow_takes_its_chunks_with_it(plane: Plane, code: str, workers: Workers) -> None:
    parents: list[str] = []

    def cancels(_run_id: str) -> bool:
        if not parents:
            parents.append(next(row["id"] for row in plane.rows() if row["origin"] != "tasks"))
            handle(plane.store, SCOPE, parents[0], Cancel("no"))
        return False

    workers.meets = cancels

    @flow(task_runner=CeleryTaskRunner())
    def calls() -> None:
        loader.load_task(f"{code}:double").submit(1).result()

    with pytest.raises(RunCancelled):
        calls()
    wait_for(lambda: {row["state_type"] for row in plane.rows()} == {"CANCELLED"})


def test_a_flow_whose_chunks_nobody_takes_says_so(
    plane: Plane, code: str, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PATIENCE_S", 0.2)
    reasons = []

    def takes(run_id: str) -> bool:
        parent = plane.row(run_id)["parent_run_id"]
        reasons.append(why(plane.store, plane.settings, SCOPE, parent))
        return any("no worker has taken a chunk" in line for _, line in plane.logs())

    workers.meets = takes
    assert answer(plane, code, "one") == 2
    assert "1 chunk of its tasks wait" in reasons[0].sentence


def test_a_task_that_workers_could_not_find_is_refused(plane: Plane) -> None:
    @task
    def inside() -> None: ...

    @flow(task_runner=CeleryTaskRunner())
    def local() -> None:
        inside.submit()

    with pytest.raises(UsageError, match="workers cannot find task inside"):
        local()


def test_a_trigger_rule_is_refused(plane: Plane) -> None:
    @task(trigger="all_done")
    def last() -> None: ...

    @flow(task_runner=CeleryTaskRunner())
    def local() -> None:
        last.submit()

    with pytest.raises(UsageError, match="cannot follow"):
        local()


def test_it_needs_the_store(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @task
    def inside() -> None: ...

    @flow(task_runner=CeleryTaskRunner())
    def local() -> None:
        inside.submit()

    with pytest.raises(UsageError, match="needs the hub's store"):
        local()


def test_runners_check_what_they_are_given() -> None:
    for given in ({"queue": ""}, {"chunk": 0}, {"threads": True}):
        with pytest.raises(UsageError):
            CeleryTaskRunner(**given)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        ThreadPoolTaskRunner(max_workers=0)
    with pytest.raises(UsageError, match="not a task runner"):
        flow(task_runner="celery")  # type: ignore[call-overload]
    made = flow(task_runner=ThreadPoolTaskRunner(max_workers=3))(lambda: None)
    assert made.options.max_threads == 3
    assert [CeleryTaskRunner().size(count) for count in (1, 64, 65, 10_000, 1_000_000)] == [1, 1, 2, 157, 500]


def plane_execute(plane: Plane, run_id: str, number: int) -> None:
    execute_attempt(plane.store, plane.settings, attempts.attempt_id(run_id, number), 1)


def wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)
