"""What is expected of flows: judged by their runs, told once when it is broken, over when it is kept again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hub.errors import NotFoundError, UsageError
from hub.runtime.commands import Command, apply, register
from hub.store import Store, runs
from hub.types import SECOND, Id, Scope, from_rfc3339, new_id
from pydantic import ValidationError
from sqlalchemy import update

from hub_notifications import firing
from hub_notifications.plugin import hub_commands
from hub_notifications.slas import Sla, Verdict, judge
from hub_notifications.watching import of_slas

SCOPE = Scope()
MINUTE = 60 * SECOND
NOW = from_rfc3339("2026-03-10T09:00:00Z")


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


def row(number: int, state: str, began: int | None, ended: int | None = None, **more: Any) -> dict[str, Any]:
    """A run; times in minutes before NOW."""
    at = [None if one is None else NOW - one * MINUTE for one in (began, ended)]
    first = at[0] or NOW
    return {
        "id": f"{number:04}", "name": f"run-{number}", "state_type": state, "state_name": state, "attempt": 1,
        "created_at": first, "due_at": first, "started_at": at[0], "ended_at": at[1], "retries_used": 0, "crashes": 0,
    } | more  # fmt: skip


def waits(made: int, **more: Any) -> dict[str, Any]:
    """A run that waits, made so many minutes before NOW."""
    return row(1, "SCHEDULED", None, created_at=NOW - made * MINUTE, **more)


def took(*minutes: int) -> list[dict[str, Any]]:
    """Completed runs, one an hour, the first given is the newest; so long each."""
    return [row(900 - n, "COMPLETED", 60 * (n + 1), 60 * (n + 1) - one) for n, one in enumerate(minutes)]


def verdict(rows: list[dict[str, Any]], *, since: int = 10**6, more: bool = False, **spec: Any) -> Verdict:
    newest = sorted(rows, key=lambda one: one["id"], reverse=True)
    return judge(Sla.model_validate({"flow": "f", **spec}), newest, NOW, since=NOW - since * MINUTE, more=more)


def ended(pattern: str, gap: int = 10) -> list[dict[str, Any]]:
    """Runs that ended, the newest first: `.` completed, `x` failed, `c` was cancelled."""
    states = {".": "COMPLETED", "x": "FAILED", "c": "CANCELLED"}
    return [row(900 - n, states[one], gap * n + 2, gap * n + 1) for n, one in enumerate(pattern)]


@pytest.mark.parametrize(
    ("pattern", "rate", "is_broken"),
    [
        ("x....", {}, False), ("xx...", {}, True), ("xxxx", {}, False), ("....." + "x" * 20, {"last": 5}, False),
        ("xxcccc...", {}, True), ("xx........", {}, False), ("xx...", {"at_most": 0.4}, False),
        ("xx..." + "." * 50, {"window_s": 3000}, True), ("." * 5 + "x" * 50, {"window_s": 3000}, False),
    ],
)  # fmt: skip
def test_the_rate_of_failures(pattern: str, rate: dict[str, Any], is_broken: bool) -> None:
    assert verdict(ended(pattern), failure_rate={"at_most": 0.2, **rate}).is_broken is is_broken


@pytest.mark.parametrize(
    ("rows", "duration", "is_broken"),
    [
        (took(10, 40), {"limit_s": 1800}, False),
        (took(31, 10), {"limit_s": 1800}, True),
        ([row(990, "RUNNING", 29), *took(5)], {"limit_s": 1800}, False),
        ([row(990, "RUNNING", 29), *took(5)], {"limit_s": 1800, "offset_s": -120}, True),
        ([row(990, "RUNNING", 31), *took(5)], {"limit_s": 1800, "offset_s": 120}, False),
        ([row(990, "RUNNING", 31), *took(5)], {"limit_s": 1800}, True),
        ([row(990, "FAILED", 99, 1), *took(5)], {"limit_s": 1800}, False),
        (took(21, 10, 10, 10, 10, 10), {"average": True, "factor": 2}, True),
        (took(20, 10, 10, 10, 10, 10), {"average": True, "factor": 2}, False),
        (took(99, 10, 10, 10, 10), {"average": True, "factor": 2}, False),
        (took(99, 10, 10, 10), {"average": True, "last": 3}, True),
        (took(30, *range(1, 21)), {"percentile": 95}, True),
        (took(19, *range(1, 21)), {"percentile": 95}, False),
        (took(20, *range(1, 21)), {"percentile": 95}, True),
        (took(20, *range(1, 21)), {"percentile": 95, "last": 5}, True),
        (took(4, *range(1, 21)), {"percentile": 80, "last": 5}, False),
    ],
)
def test_how_long_runs_take(rows: list[dict[str, Any]], duration: dict[str, Any], is_broken: bool) -> None:
    assert verdict(rows, duration=duration).is_broken is is_broken


@pytest.mark.parametrize(
    ("rows", "deadline", "since", "is_broken"),
    [
        # It is 09:00 in UTC, 10:00 in Berlin.
        ([], {"cron": "0 8 * * *"}, 3000, True),
        ([], {"cron": "0 8 * * *"}, 59, False),
        ([], {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}, 3000, True),
        ([], {"cron": "30 9 * * *", "timezone": "Europe/Berlin"}, 3000, True),
        ([], {"cron": "30 10 * * *", "timezone": "Europe/Berlin"}, 600, False),
        ([], {"cron": "20 9 * * *"}, 60, False),
        ([], {"cron": "20 9 * * *", "offset_s": -1200}, 60, True),
        ([], {"cron": "0 8 * * *", "offset_s": 3601}, 600, False),
        ([row(1, "COMPLETED", 50, 40)], {"cron": "0 8 * * *"}, 3000, False),
        ([row(1, "COMPLETED", 190, 180)], {"cron": "0 8 * * *", "since_s": 7200}, 3000, False),
        ([row(1, "COMPLETED", 190, 181)], {"cron": "0 8 * * *", "since_s": 7200}, 3000, True),
        ([row(1, "FAILED", 190, 100)], {"cron": "0 8 * * *"}, 3000, True),
        ([row(1, "RUNNING", 31)], {"within_s": 1800, "counted_from": "start"}, 3000, True),
        ([row(1, "RUNNING", 29)], {"within_s": 1800, "counted_from": "start"}, 3000, False),
        ([row(1, "RUNNING", 29, due_at=NOW - 31 * MINUTE)], {"within_s": 1800}, 3000, False),
        ([row(1, "RUNNING", 29, created_at=NOW - 31 * MINUTE, due_at=NOW - 31 * MINUTE)], {"within_s": 1800}, 9, True),
        (
            [waits(99, due_at=NOW - 31 * MINUTE)],
            {"within_s": 1800},
            9,
            True,
        ),
        ([waits(99, due_at=NOW + MINUTE)], {"within_s": 1800}, 9, False),
        (
            [waits(31, started_at=NOW - 9 * MINUTE, due_at=NOW, retries_used=1)],
            {"within_s": 1800},
            9,
            True,
        ),
        ([row(1, "COMPLETED", 90, 50)], {"within_s": 1800}, 3000, True),
    ],
)
def test_deadlines(rows: list[dict[str, Any]], deadline: dict[str, Any], since: int, is_broken: bool) -> None:
    assert verdict(rows, deadline=deadline, since=since).is_broken is is_broken


@pytest.mark.parametrize(
    ("rows", "not_run", "since", "more", "is_broken"),
    [
        ([], {"for_s": 3600}, 61, False, True), ([], {"for_s": 3600}, 60, False, False),
        ([row(1, "COMPLETED", 90, 60)], {"for_s": 3600}, 900, False, False),
        ([row(1, "COMPLETED", 90, 61)], {"for_s": 3600}, 900, False, True),
        ([row(1, "FAILED", 20, 9)], {"for_s": 3600}, 900, False, True),
        ([row(1, "FAILED", 20, 9)], {"for_s": 3600, "counts": "started"}, 900, False, False),
        ([row(1, "FAILED", 20, 9)], {"for_s": 3600}, 900, True, False),
    ],
)  # fmt: skip
def test_that_it_runs_at_all(
    rows: list[dict[str, Any]], not_run: dict[str, Any], since: int, more: bool, is_broken: bool
) -> None:
    assert verdict(rows, not_run=not_run, since=since, more=more).is_broken is is_broken


@pytest.mark.parametrize(
    "spec",
    [
        {"not_run": {"for_s": 60}}, {"flow": "f"}, {"flow": "f", "deployment": "d", "not_run": {"for_s": 60}},
        {"flow": "f", "not_run": {"for_s": 60}, "duration": {"limit_s": 1}}, {"flow": "f", "duration": {}},
        {"flow": "f", "duration": {"limit_s": 1, "average": True}}, {"flow": "f", "deadline": {}},
        {"flow": "f", "deadline": {"cron": "0 8 * * *", "within_s": 1}}, {"flow": "f", "failure_rate": {"at_most": 1}},
        {"flow": "f", "deadline": {"cron": "0 8 * * *", "timezone": "Mars"}},
        {"flow": "f", "deadline": {"cron": "never"}},
    ],
)  # fmt: skip
def test_what_is_no_sla_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sla.model_validate(spec)


def new_run(store: Store, state: str, began: int, ended: int | None, **more: Any) -> Id:
    """A run as it stands in the store; times in minutes before now."""
    run_id = new_id()
    with store.write() as tx:
        given = {"id": run_id, "name": f"run-{run_id[-4:]}", "flow_name": "nightly", "state_type": state, **more}
        runs.create(tx, SCOPE, given)
        times = {"started_at": tx.now - began * MINUTE, "ended_at": None if ended is None else tx.now - ended * MINUTE}
        tx.conn.execute(update(runs.TABLE).where(runs.TABLE.c.id == run_id).values(**times))
    return run_id


def expect(store: Store, **spec: Any) -> None:
    apply(store, Command("sla.set", SCOPE, args={"name": "quick", "spec": {"flow": "nightly", **spec}}))


def alerts(store: Store) -> list[dict[str, Any]]:
    """All alerts after a process that has just started looked twice: what it knows is in rows."""
    for _ in range(2):
        replace(of_slas(store), holder="watcher").step()
    with store.read() as tx:
        return firing.list_alerts(tx, SCOPE, status=None, limit=50, cursor=None).items


def test_a_broken_one_is_told_once_and_over_when_it_is_kept_again(store: Store) -> None:
    expect(store, duration={"limit_s": 600}, severity="critical")
    new_run(store, "COMPLETED", 30, 20, origin="hooks", parent_run_id=new_id())
    new_run(store, "COMPLETED", 29, 20)
    assert alerts(store) == []
    slow = new_run(store, "RUNNING", 11, None)
    (alert,) = alerts(store)
    assert (alert["kind"], alert["severity"], alert["status"]) == ("sla-duration", "critical", "firing")
    assert (alert["title"], alert["run_id"]) == ("nightly takes too long", slow)
    assert (alert["labels"]["flow"], alert["labels"]["sla"], alert["count"]) == ("nightly", "quick", 1)
    with store.write() as tx:
        firing.resolve_one(tx, SCOPE, alert["id"])
    assert [one["status"] for one in alerts(store)] == ["resolved"], "somebody has ended it by hand"
    new_run(store, "RUNNING", 12, None)
    assert [one["status"] for one in alerts(store)] == ["firing", "resolved"], "another run is another time"
    with store.write() as tx:
        still = runs.TABLE.c.state_type == "RUNNING"
        done = {"state_type": "COMPLETED", "ended_at": tx.now, "started_at": tx.now - 9 * MINUTE}
        tx.conn.execute(update(runs.TABLE).where(still).values(**done))
    assert [one["status"] for one in alerts(store)] == ["resolved", "resolved"]


def test_one_of_a_deployment_sees_its_runs_only_and_ends_with_it(store: Store) -> None:
    deployed = {"name": "shop", "flow_name": "nightly", "entrypoint": "f.py:f"}
    made = apply(store, Command("deployment.set", SCOPE, args=deployed)).result
    expect(store, flow="", deployment="shop", failure_rate={"at_most": 0, "last": 5})
    for _ in range(5):
        new_run(store, "FAILED", 2, 1)
        new_run(store, "COMPLETED", 2, 1, deployment_id=made["id"], deployment_name="shop")
    assert alerts(store) == []
    new_run(store, "FAILED", 2, 1, deployment_id=made["id"], deployment_name="shop")
    assert [one["title"] for one in alerts(store)] == ["shop fails too often"]
    apply(store, Command("sla.rm", SCOPE, "quick"))
    assert [one["status"] for one in alerts(store)] == ["resolved"]
    with pytest.raises(NotFoundError):
        apply(store, Command("sla.rm", SCOPE, "quick"))


def test_a_changed_one_counts_from_then_on_and_one_that_is_off_tells_nothing(store: Store) -> None:
    expect(store, not_run={"for_s": 60})
    with store.write() as tx:
        tx.conn.exec_driver_sql(f"UPDATE slas SET updated_at = {tx.now - 5 * MINUTE}")
    expect(store, not_run={"for_s": 60})
    assert [one["kind"] for one in alerts(store)] == ["sla-not-run"], "nothing has changed"
    expect(store, not_run={"for_s": 120})
    assert [one["status"] for one in alerts(store)] == ["resolved"]
    with store.write() as tx:
        tx.conn.exec_driver_sql(f"UPDATE slas SET updated_at = {tx.now - 5 * MINUTE}")
    assert [one["status"] for one in alerts(store)] == ["firing", "resolved"]
    expect(store, not_run={"for_s": 120}, enabled=False)
    assert {one["status"] for one in alerts(store)} == {"resolved"}
    with pytest.raises(UsageError, match="no channel"):
        expect(store, not_run={"for_s": 60}, to=["nobody"])
