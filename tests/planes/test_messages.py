"""Messages to runs: each received once, in the order of sending, durable over attempts; sent once by a step."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import hub
import pytest
from hub import flow, task
from hub.engine.run import Lose
from hub.errors import ConflictError, NotFoundError, ParameterError, UsageError, WaitTimeout
from hub.runtime.commands import Command, answers, apply
from hub.runtime.orchestrator import handle
from hub.runtime.waits import Waits
from hub.store import messages, trimming
from hub.types import Scope, new_id, now_us
from sqlalchemy import func, select
from tests.planes.test_suspended import eventually, points, run_out

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
GETS = """
import hub
@flow
def whole(): return [hub.receive("orders", timeout=3600) for _ in range(3)]
"""


def send(plane: Plane, run_id: str, value: Any, name: str = "orders", command_id: str | None = None) -> None:
    more = {} if command_id is None else {"id": command_id}
    apply(plane.store, Command("run.send", SCOPE, run_id, {"name": name, "value": value}, **more))


def left(plane: Plane) -> int:
    with plane.store.read() as tx:
        return int(tx.conn.execute(select(func.count()).select_from(messages.TABLE)).scalar_one())


def test_messages_are_received_once_and_in_order(plane: Plane) -> None:
    run_id = plane.run(f"{plane.file(GETS)}:whole")
    send(plane, run_id, "a")
    send(plane, run_id, "else", name="other")
    plane.attempt(run_id)
    assert plane.row(run_id)["state_name"] == "Suspended"
    send(plane, run_id, {"b": [1]})
    assert plane.row(run_id)["state_name"] == "Scheduled"
    send(plane, run_id, "c")
    plane.attempt(run_id)
    assert plane.row(run_id)["result"] == b'["a",{"b":[1]},"c"]'
    assert left(plane) == 1, "the one that it did not receive"
    again = plane.execute(plane.row(run_id)["entrypoint"], restart_of=run_id)
    assert (again["state_name"], again["attempt"]) == ("Completed", 1)


def test_a_message_that_a_lost_attempt_took_is_not_lost(plane: Plane) -> None:
    """Its process dies after the message was taken and before the step was kept."""
    file = plane.file("""
import hub
from hub.engine.run import Lose
from hub.runtime import inline
from hub.runtime.executor import waiting
from hub.runtime.orchestrator import handle
from hub.types import Scope
real = waiting.note

def lost(context, *args):
    if context.attempt == 1:
        handle(inline.home().store, Scope(), context.run_id, Lose(1, 1, "killed"))
    return real(context, *args)

waiting.note = lost

@flow
def whole(): return [hub.receive(), hub.receive()]
""")
    run_id = plane.run(f"{file}:whole")
    send(plane, run_id, 1, name="message")
    send(plane, run_id, 2, name="message")
    try:
        plane.attempt(run_id)
        assert plane.row(run_id)["state_name"] == "Recovering"
        assert left(plane) == 1
        plane.attempt(run_id)
    finally:
        from hub.runtime.executor import replayed, waiting

        waiting.note = replayed.note  # type: ignore[attr-defined]
    assert plane.row(run_id)["result"] == b"[1,2]"
    assert left(plane) == 0


def test_nested_flows_receive_their_own(plane: Plane) -> None:
    file = plane.file("""
import hub
@flow
def inner(): return hub.receive("x")
@flow
def whole(): return inner()
""")
    row = plane.execute(f"{file}:whole")
    send(plane, row["id"], "to the outer one", name="x")
    assert plane.row(row["id"])["state_name"] == "Suspended"
    send(plane, plane.only("inner")["id"], "to the inner one", name="x")
    assert {found["state_name"] for found in plane.rows()} == {"Scheduled"}
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b'"to the inner one"'


def test_a_flow_and_a_task_send_once_however_often_they_come_there(plane: Plane) -> None:
    getter = plane.execute(f"{plane.file(GETS, 'gets.py')}:whole")["id"]
    file = plane.file(f"""
import hub
@task(retries=1)
def by_task():
    hub.send("{getter}", "from a task", name="orders")
    if hub.sdk.context.current.get().task_attempt == 1: raise ValueError("once more")

@flow(retries=1)
def whole():
    hub.send("{getter}", "from a flow", name="orders")
    by_task()
    hub.sleep(3600)
""")
    row = plane.execute(f"{file}:whole")
    assert row["state_name"] == "Sleeping", row["state_message"]
    handle(plane.store, SCOPE, row["id"], hub.engine.run.Wake())  # type: ignore[attr-defined]
    plane.attempt(row["id"])
    plane.attempt(getter)
    assert plane.row(getter)["state_name"] == "Suspended", "the third has not come"
    assert [point["answer"] for point in points(plane)] == ["from a flow", "from a task", None]


def test_two_plain_calls_talk_to_each_other(plane: Plane) -> None:
    @flow
    def gets() -> Any:
        return [hub.receive("n", timeout=60) for _ in range(20)]

    @flow
    async def sends(to: str) -> None:
        for number in range(20):
            await hub.send(to, number, name="n")

    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(gets()))
    other.start()
    run_id = eventually(lambda: [row["run_id"] for row in points(plane)])[0]
    asyncio.run(sends(run_id))
    other.join()
    assert found == [list(range(20))]


def test_a_send_outside_a_run_is_one_of_a_program(plane: Plane) -> None:
    run_id = plane.execute(f"{plane.file(GETS)}:whole")["id"]
    hub.send(run_id, 1, name="orders")
    assert [point["answered_by"] for point in points(plane)] == ["local"]


@pytest.mark.parametrize(("given", "result"), [("", "WaitTimeout"), (", default=0", None)])
def test_when_its_time_is_over_it_raises_or_gives_the_default(plane: Plane, given: str, result: str | None) -> None:
    file = plane.file(f"import hub\n@flow\ndef whole(): return [hub.receive(timeout=3600{given}), hub.receive()]")
    row = plane.execute(f"{file}:whole")
    run_out(plane)
    send(plane, row["id"], "late", name="message")
    assert left(plane) == 1, "it is for the next one who asks"
    Waits(plane.store).step()
    plane.attempt(row["id"])
    assert plane.row(row["id"])["error_type"] == result
    if result is None:
        assert plane.row(row["id"])["result"] == b'[0,"late"]'


def test_a_message_sent_twice_by_one_command_is_one(plane: Plane) -> None:
    run_id, once = plane.run(f"{plane.file(GETS)}:whole"), new_id()
    send(plane, run_id, 1, command_id=once)
    send(plane, run_id, 1, command_id=once)
    assert left(plane) == 1


def test_messages_that_cannot_be_are_refused(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = plane.run(f"{plane.file(GETS)}:whole")
    with pytest.raises(ParameterError, match="at most 65536 are allowed"):
        send(plane, run_id, "x" * 70_000)
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        hub.send(run_id, object())
    with pytest.raises(UsageError, match="1 to 200 characters"):
        hub.receive("")
    with pytest.raises(UsageError, match="not the body of one"):
        hub.receive()
    with pytest.raises(NotFoundError):
        send(plane, new_id(), 1)
    with pytest.raises(NotFoundError):
        apply(plane.store, Command("run.send", Scope(new_id()), run_id, {"value": 1}))
    monkeypatch.setattr(answers, "MOST_MESSAGES", 2)
    send(plane, run_id, 1)
    send(plane, run_id, 2)
    with pytest.raises(ConflictError, match="2 messages wait for run"):
        send(plane, run_id, 3)
    apply(plane.store, Command("run.cancel", SCOPE, run_id))
    with pytest.raises(ConflictError, match="has ended"):
        send(plane, run_id, 1)
    with plane.store.write() as tx:
        while trimming.runs(tx, before=now_us() + 1, limit=100):
            pass
    assert left(plane) == 0, "they go with their run"


def test_a_task_may_not_receive_and_a_lost_attempt_takes_nothing(plane: Plane) -> None:
    @task
    def within() -> None:
        hub.receive()

    @flow
    def gets() -> None:
        within()

    with pytest.raises(UsageError, match="not the body of one"):
        gets()
    file = plane.file("""
import hub
from hub.engine.run import Lose
from hub.runtime import inline
from hub.runtime.orchestrator import handle
from hub.types import Scope
@flow
def whole():
    if hub.runtime_context().attempt == 1:
        handle(inline.home().store, Scope(), hub.runtime_context().run_id, Lose(1, 1, "given up"))
    return hub.receive()
""")
    run_id = plane.run(f"{file}:whole")
    send(plane, run_id, "mine", name="message")
    plane.attempt(run_id)
    assert left(plane) == 1
    plane.attempt(run_id)
    assert plane.row(run_id)["result"] == b'"mine"'


assert issubclass(WaitTimeout, TimeoutError)
assert Lose
