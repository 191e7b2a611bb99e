"""Flows that wait for somebody: without a process (suspend) or with it (pause), once, and no longer than they want."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hub
import pytest
from hub import flow, task
from hub.engine.run import Pause
from hub.errors import ConflictError, PauseTimeout, UsageError
from hub.runtime import waits as answering
from hub.runtime.commands import Command, apply
from hub.runtime.orchestrator import handle
from hub.runtime.waits import Waits
from hub.runtime.why import why
from hub.store import attempts, waits
from hub.store.tables import WaitPoint
from hub.types import SECOND, Scope, new_id
from tests.planes.test_sleeping import MARK, marks

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
POINTS = WaitPoint.__table__  # type: ignore[attr-defined]
ASKS = (
    MARK
    + """
@flow
def whole():
    step("before")
    hub.suspend(timeout=3600)
    return step("after")
"""
)


def resume(plane: Plane, run_id: str) -> str:
    return str(apply(plane.store, Command("run.resume", SCOPE, run_id)).result["state_name"])


def points(plane: Plane) -> list[dict[str, Any]]:
    with plane.store.read() as tx:
        return [dict(row) for row in tx.conn.execute(POINTS.select().order_by(POINTS.c.created_at)).mappings()]


def run_out(plane: Plane) -> None:
    """As if the time of all that is waited for were over."""
    with plane.store.write() as tx:
        tx.conn.execute(POINTS.update().values(expires_at=1))


def eventually(check: Callable[[], Any]) -> Any:
    until = threading.Event()
    for _ in range(600):
        found = check()
        if found:
            return found
        until.wait(0.05)
    raise AssertionError("it did not come true")


def test_it_waits_without_a_process_until_somebody_resumes_it(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    assert (row["state_type"], row["state_name"], row["retries_used"]) == ("PAUSED", "Suspended", 0)
    with plane.store.read() as tx:
        assert attempts.claimed(tx) == []
    reason = why(plane.store, plane.settings, SCOPE, row["id"])
    (point,) = points(plane)
    assert (reason.rule, reason.expected_at) == ("waiting", point["expires_at"])
    assert reason.sentence.startswith("It waits for somebody to resume it, until 20")
    assert reason.sentence.endswith(" UTC, without a process.")
    assert reason.hint == f"`hub runs resume {row['id']}` lets it go on."
    assert resume(plane, row["id"]) == "Scheduled"
    plane.attempt(row["id"])
    assert plane.row(row["id"])["state_name"] == "Completed"
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 1)
    (point,) = points(plane)
    assert (point["state"], point["answered_by"]) == ("answered", str(SCOPE.actor))
    with pytest.raises(ConflictError):
        resume(plane, row["id"])


def test_several_are_passed_one_by_one(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@flow
async def whole():
    for number in range(2):
        await hub.suspend(key="gate")
        step(f"passed-{number}")
"""
    )
    row = plane.execute(f"{file}:whole")
    for number in range(2):
        assert marks(plane, f"passed-{number}") == 0
        resume(plane, row["id"])
        plane.attempt(row["id"])
        assert marks(plane, f"passed-{number}") == 1
    assert plane.row(row["id"])["state_name"] == "Completed"
    assert [point["key"] for point in points(plane)] == ["gate", "gate"]


@pytest.mark.parametrize(("given", "result"), [("", "PauseTimeout"), (", default='late'", None)])
def test_when_its_time_is_over_it_raises_or_gives_the_default(plane: Plane, given: str, result: str | None) -> None:
    file = plane.file(f"import hub\n@flow\ndef whole(): return hub.suspend(timeout=1800{given})")
    row = plane.execute(f"{file}:whole")
    Waits(plane.store).step()
    assert plane.row(row["id"])["state_name"] == "Suspended"
    run_out(plane)
    Waits(plane.store).step()
    row = plane.row(row["id"])
    assert (row["state_name"], row["state_message"]) == ("Scheduled", "nobody answered suspend in time")
    plane.attempt(row["id"])
    row = plane.row(row["id"])
    if result is None:
        assert (row["state_name"], row["result"]) == ("Completed", b'"late"')
    else:
        assert (row["state_name"], row["error_type"], row["error_class"]) == ("Failed", result, "timeout")
        assert row["error_message"] == "PauseTimeout: nobody resumed the run within 1800 s"


def test_an_answer_that_comes_while_it_leaves_is_not_lost(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
from hub.runtime import inline
from hub.runtime.commands import Command, apply
from hub.types import Scope

@flow
def whole():
    try:
        hub.suspend()
    finally:
        if runtime_context().attempt == 1:
            apply(inline.home().store, Command("run.resume", Scope(), runtime_context().run_id))
    return step("after")
"""
    )
    row = plane.execute(f"{file}:whole")
    assert (row["state_name"], row["state_message"]) == ("Scheduled", "what it waited for came while it left")
    plane.attempt(row["id"])
    assert plane.row(row["id"])["state_name"] == "Completed"


def test_a_suspended_run_is_cancelled_at_once_and_not_resumed_again(plane: Plane) -> None:
    file = plane.file("import hub\n@flow\ndef inner(): hub.suspend()\n@flow\ndef whole(): inner()")
    row = plane.execute(f"{file}:whole")
    assert {found["state_name"] for found in plane.rows()} == {"Suspended"}
    assert apply(plane.store, Command("run.cancel", SCOPE, row["id"])).result["state_name"] == "Cancelled"
    assert {found["state_name"] for found in plane.rows()} == {"Cancelled"}
    assert [point["state"] for point in points(plane)] == ["closed"]
    for found in plane.rows():
        with pytest.raises(ConflictError) as refused:
            resume(plane, found["id"])
        assert refused.value.code == "already_final"


def test_a_hold_of_a_person_is_another_one(plane: Plane) -> None:
    run_id = plane.run(f"{plane.file(ASKS)}:whole")
    handle(plane.store, SCOPE, run_id, Pause("not yet"))
    assert why(plane.store, plane.settings, SCOPE, run_id).rule == "paused"
    assert resume(plane, run_id) == "Scheduled"


def test_a_pause_keeps_the_process_and_shows_the_run_as_waiting(plane: Plane) -> None:
    file = plane.file(MARK + "@flow\ndef whole():\n    hub.pause(timeout=600)\n    return step('after')\n")
    run_id = plane.run(f"{file}:whole")
    seen: list[Any] = []

    def somebody() -> None:
        eventually(lambda: plane.row(run_id)["state_name"] == "Waiting")
        seen.append(plane.row(run_id)["state_type"])
        seen.append(why(plane.store, plane.settings, SCOPE, run_id))
        seen.append(resume(plane, run_id))

    other = threading.Thread(target=somebody)
    other.start()
    plane.attempt(run_id)
    other.join()
    assert (seen[0], seen[1].rule, seen[2]) == ("RUNNING", "waiting", "Waiting")
    assert "it keeps its slot on worker" in seen[1].sentence
    assert plane.history(run_id) == ["Scheduled", "Pending", "Running", "Waiting", "Running", "Completed"]
    assert plane.row(run_id)["attempt"] == 1


def test_a_pause_whose_process_is_lost_is_waited_for_by_the_next_one(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
from hub.engine.run import Lose
from hub.runtime import inline
from hub.runtime.orchestrator import handle
from hub.types import Scope
import threading

def lost(run_id):
    store = inline.home().store
    while not Path(__file__).with_name("lost").exists():
        with store.read() as tx:
            name = tx.conn.exec_driver_sql("SELECT state_name FROM runs").scalar()
        if name == "Waiting":
            handle(store, Scope(), run_id, Lose(1, 1, "killed"))
            mark("lost")
        time.sleep(0.02)

@flow
def whole():
    step("before")
    if runtime_context().attempt == 1:
        threading.Thread(target=lost, args=(runtime_context().run_id,), daemon=True).start()
    hub.pause(timeout=1 if runtime_context().attempt == 1 else 600)
    return step("after")
"""
    )
    run_id = plane.run(f"{file}:whole")
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Recovering"
    assert [point["state"] for point in points(plane)] == ["expired"], "its time was over; the zombie knew no more"
    plane.attempt(run_id)
    assert plane.row(run_id)["error_type"] == "PauseTimeout", "and the next attempt learns that it was"
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 0)


def test_a_plain_call_waits_in_its_process(plane: Plane) -> None:
    @flow
    def whole(leaves: bool) -> int:
        (hub.suspend if leaves else hub.pause)()
        return 1

    def somebody() -> None:
        for _ in range(2):
            run = eventually(lambda: [row for row in plane.rows() if row["state_name"] == "Waiting"])[0]
            assert why(plane.store, plane.settings, SCOPE, run["id"]).rule == "waiting"
            resume(plane, run["id"])
            eventually(lambda run=run: plane.row(run["id"])["state_name"] == "Completed")

    other = threading.Thread(target=somebody)
    other.start()
    assert whole(True) + whole(False) == 2
    other.join()
    assert {row["attempt"] for row in plane.rows()} == {1}


def test_a_plain_call_sees_itself_to_its_timeout(plane: Plane) -> None:
    @flow
    async def whole() -> str:
        with pytest.raises(PauseTimeout):
            await hub.pause(timeout=0.05)
        return str(await hub.suspend(timeout=0.05, default="on"))

    assert asyncio.run(whole()) == "on"


def test_two_codes_that_wait_at_once_show_one_waiting_run(plane: Plane) -> None:
    @flow
    async def whole() -> int:
        await asyncio.gather(hub.pause(timeout=0.1, default=1), hub.pause(timeout=0.4, default=2))
        return 1

    assert asyncio.run(whole()) == 1
    assert plane.history(plane.only()["id"]) == ["Scheduled", "Running", "Waiting", "Running", "Completed"]


def test_it_belongs_into_the_body_of_a_flow(plane: Plane) -> None:
    @task
    def inside() -> None:
        hub.suspend()

    @flow
    def whole() -> None:
        inside()

    with pytest.raises(UsageError, match="not the body of one"):
        whole()
    with pytest.raises(UsageError, match="not the body of one"):
        hub.pause()


@pytest.mark.parametrize(
    ("given", "told"),
    [({"timeout": -1}, "number of seconds"), ({"default": 1}, "for a timeout"), ({"key": ""}, "1 to 200")],
)
def test_wrong_options_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        hub.suspend(**given)


def test_without_a_store_nobody_could_resume_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")

    @flow
    def whole() -> None:
        hub.suspend()

    with pytest.raises(UsageError, match="needs the hub's store"):
        whole()


def test_only_the_live_attempt_opens_a_point(plane: Plane) -> None:
    file = plane.file("""
import hub
from hub.engine.run import Lose
from hub.runtime import inline
from hub.runtime.orchestrator import handle
from hub.types import Scope

@flow
def whole():
    handle(inline.home().store, Scope(), runtime_context().run_id, Lose(1, 1, "no beat"))
    hub.suspend()
""")
    run_id = plane.run(f"{file}:whole")
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Recovering"
    assert points(plane) == []


def test_answers_are_given_once_and_in_their_own_workspace(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    with plane.store.write() as tx:
        (point,) = waits.open_of(tx, SCOPE, row["id"])
        assert waits.open_of(tx, Scope(new_id()), row["id"]) == []
        assert not waits.settle(tx, Scope(new_id()), point.id, "answered")
        assert answering.answer(tx, SCOPE, point, {"any": ["json", 1]})
        assert not answering.answer(tx, SCOPE, point, None)
        assert not answering.expire(tx, SCOPE, point)
        found = waits.get(tx, SCOPE, point.id)
    assert found is not None
    assert (found.state, found.answer) == ("answered", {"any": ["json", 1]})


def test_points_go_with_their_runs(plane: Plane) -> None:
    from hub.store import trimming

    row = plane.execute(f"{plane.file(ASKS)}:whole")
    apply(plane.store, Command("run.cancel", SCOPE, row["id"]))
    with plane.store.write() as tx:
        while trimming.runs(tx, before=tx.now + SECOND, limit=100):
            continue
    assert (points(plane), plane.rows()) == ([], [])


def test_a_restarted_run_walks_through_what_was_answered(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    resume(plane, row["id"])
    plane.attempt(row["id"])
    again = plane.execute(row["entrypoint"], restart_of=row["id"])
    assert (again["state_name"], again["attempt"]) == ("Completed", 1)
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 1)


def test_a_drawing_of_a_flow_waits_for_nothing() -> None:
    @flow
    def whole() -> None:
        hub.sleep(3600)
        hub.suspend()

    assert whole.visualize() is not None
