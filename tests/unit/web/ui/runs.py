"""The runs that have a page of their own in the tests."""

from __future__ import annotations

from typing import Any

from hub.states import NAMES
from hub.store.tables import Attempt, Compensation, Log, RunRow, StateRow, TaskRunRow
from hub.types import SECOND
from tests.unit.web.ui.seed import Seed

TRACE = """Traceback (most recent call last):
  File "/srv/flows/github_ci.py", line 48, in run_tests
    report = session.run(["pytest", "-q", target], timeout=limit)
  File "/srv/flows/session.py", line 112, in run
    raise SuiteFailed(f"{failed} of {total} tests failed")
session.SuiteFailed: 3 of 214 tests failed
"""


def shown_runs(seed: Seed) -> None:
    """The runs that have a page of their own in the tests."""
    ci = {
        "flow_name": "github_ci",
        "deployment_id": seed.ids["ci"],
        "deployment_name": "github-ci",
        "entrypoint": "examples/github_ci.py:github_ci",
    }
    _failed(seed, ci)
    _running(seed, ci)
    _waiting(seed, ci)


def _failed(seed: Seed, ci: dict[str, Any]) -> None:
    made = seed.ago(420)
    seed.ids["failed"] = run = seed.add(
        RunRow,
        at_=made,
        name="github-ci-9c41aa",
        **ci,
        state_type="FAILED",
        state_name="Failed",
        created_at=made,
        started_at=made + 9000,
        state_message="SuiteFailed: 3 of 214 tests failed",
        ended_at=seed.ago(301),
        attempt=2,
        retries_used=1,
        version=7,
        origin="automation",
        origin_id=seed.ids["automation"],
        created_by="automation:ci-on-push",
        tags=["ci", "github"],
        parameters={
            "repository": "octocat/hello-world",
            "retries": 3,
            "target": {"host": "ci.example.org", "port": 443},
        },
        error_type="SuiteFailed",
        error_message="3 of 214 tests failed",
        error_trace=TRACE,
    )
    _history(seed, run, made, ["Scheduled", "Pending", "Running", "AwaitingRetry", "Pending", "Retrying", "Failed"])
    _tasks(seed, run, made)
    _undone(seed, run, made)
    _logs(seed, run, made)


def _running(seed: Seed, ci: dict[str, Any]) -> None:
    running = seed.ago(75)
    seed.ids["running"] = run = seed.add(
        RunRow,
        at_=running,
        name="github-ci-77e0b2",
        **ci,
        state_type="RUNNING",
        state_name="Running",
        created_at=running,
        started_at=running + 7000,
        attempt=1,
        epoch=1,
        version=2,
        parameters={"repository": "octocat/hello-world"},
    )
    seed.add(Attempt, run_id=run, number=1, epoch=1, state="CLAIMED", lease_until=seed.ago(-20), claimed_at=running)
    _history(seed, run, running, ["Scheduled", "Pending", "Running"])
    seed.add(
        TaskRunRow,
        run_id=run,
        journal_key="0",
        task_name="checkout",
        name="checkout-0",
        state_type="COMPLETED",
        state_name="Completed",
        created_at=running + 8000,
        started_at=running + 9000,
        ended_at=running + 9_000_000,
        attempt=1,
    )
    seed.add(
        TaskRunRow,
        run_id=run,
        journal_key="1",
        task_name="run_tests",
        name="run_tests-0",
        state_type="RUNNING",
        state_name="Running",
        created_at=running + 9_100_000,
        started_at=running + 9_200_000,
        attempt=1,
    )


def _waiting(seed: Seed, ci: dict[str, Any]) -> None:
    seed.ids["waiting"] = seed.add(
        RunRow,
        at_=seed.ago(130),
        name="github-ci-late",
        **ci,
        state_type="SCHEDULED",
        state_name="Late",
        created_at=seed.ago(130),
        due_at=seed.ago(130),
        state_message="no worker serves the queue heavy",
        queue="heavy",
    )
    _history(seed, seed.ids["waiting"], seed.ago(130), ["Scheduled", "Late"])


def _history(seed: Seed, run: str, at: int, names: list[str]) -> None:
    for index, name in enumerate(names):
        message = (
            "no worker serves the queue heavy"
            if name == "Late"
            else "connection reset, next try in 10 s"
            if name == "AwaitingRetry"
            else ""
        )
        seed.add(
            StateRow,
            run_id=run,
            type=NAMES[name].value,
            name=name,
            message=message,
            at=at + index * 1_900_000,
            attempt=1 + (index > 3),
        )


def _undone(seed: Seed, run: str, at: int) -> None:
    steps = [
        ("lease_runner-0", "failed", 8, "OSError: the API of the cloud answered 503"),
        ("create_database-0", "done", 2, None),
        ("mount_volume-0", "done", 1, None),
    ]
    for index, (name, state, tries, error) in enumerate(steps):
        seed.add(
            Compensation,
            ordinal=index + 1,
            run_id=run,
            owner_run_id=run,
            task_name=name.split("-")[0],
            name=name,
            path="a",
            state=state,
            hooks=1,
            tries=tries,
            error=error,
            created_at=at + index,
            ended_at=at + 115 * SECOND,
        )


def _tasks(seed: Seed, run: str, at: int) -> None:
    rows = [
        ("checkout", 0, 3.2, "COMPLETED"),
        ("install", 3.3, 21, "COMPLETED"),
        *((f"lint-{n}", 21.1, 24 + n, "COMPLETED") for n in range(3)),
        ("run_tests", 24, 112, "FAILED"),
        ("publish_report", 112.1, None, "SCHEDULED"),
    ]
    ids: list[str] = []
    for index, (name, start, end, state) in enumerate(rows):
        begun = at + int(start * SECOND)
        failed = state == "FAILED"
        made = seed.add(
            TaskRunRow,
            at_=at + index,
            run_id=run,
            journal_key=str(index),
            task_name=name.split("-")[0],
            # Each used the one before; the linters all used what was installed.
            upstream=[ids[1]] if name.startswith("lint") else ids[2:5] if name == "run_tests" else ids[-1:],
            name=name,
            state_type=state,
            state_name={"COMPLETED": "Cached" if name == "install" else "Completed", "FAILED": "Failed"}.get(
                state, "Scheduled"
            ),
            created_at=begun,
            started_at=begun + 200_000 if end else None,
            ended_at=at + int(end * SECOND) if end else None,
            attempt=2 if failed else 1 if end else 0,
            error_type="SuiteFailed" if failed else None,
            error_message="3 of 214 tests failed" if failed else None,
            error_trace=TRACE if failed else None,
        )
        ids.append(made)


def _logs(seed: Seed, run: str, at: int) -> None:
    lines = [
        (20, "checking out octocat/hello-world at 9049f12"),
        (20, "installing 31 packages"),
        (10, "cache hit: requirements.lock"),
        (30, "test_login took 41.2 s, over its budget of 30 s"),
        (20, "214 tests collected"),
        (40, "FAILED tests/test_login.py::test_remember_me - AssertionError: expected 200, got 302\n" + TRACE),
    ]
    for index, (level, message) in enumerate(lines):
        seed.add(Log, run_id=run, at=at + index * 7_777_000, level=level, logger="hub.run", message=message, attempt=1)
