"""Flows that ask a person for a value: what fits is given once and replays, what does not is refused."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Literal

import hub
import pytest
from hub import flow, task
from hub.errors import ConflictError, NotFoundError, ParameterError, UsageError
from hub.runtime import asked, links
from hub.runtime.commands import Command, apply
from hub.runtime.waits import Waits
from hub.runtime.why import why
from hub.store import event_log, stream, waits
from hub.types import Scope, new_id
from pydantic import BaseModel, Field, field_validator
from tests.planes.test_sleeping import MARK, marks
from tests.planes.test_suspended import eventually, points, run_out

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
ASKS = (
    MARK
    + """
from pydantic import BaseModel, field_validator

class Approval(BaseModel):
    approved: bool
    amount: int = 3
    reason: str = ""

    @field_validator("reason")
    @classmethod
    def kind(cls, value):
        if value == "rude": raise ValueError("be kind")
        return value

@flow
def whole():
    step("before")
    found = hub.wait_for_input(Approval, key="approval", timeout=3600, description="May it?")
    return [step("after"), found.approved, found.amount, found.reason]
"""
)


class Approval(BaseModel):
    """What the tests in this process ask for."""

    approved: bool
    amount: int = Field(3, ge=0)


def give(plane: Plane, run_id: str, value: Any, key: str | None = "approval") -> dict[str, Any]:
    return apply(plane.store, Command("run.answer", SCOPE, run_id, {"value": value, "key": key})).result


def test_it_waits_without_a_process_and_goes_on_with_what_was_given(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    assert row["state_name"] == "Suspended"
    assert "waits for input 'approval', until" in row["state_message"]
    reason = why(plane.store, plane.settings, SCOPE, row["id"])
    assert (reason.rule, reason.hint) == ("waiting", "`hub runs waits " + row["id"] + "` says what it asks for.")
    with pytest.raises(ConflictError, match="waits for input 'approval', which resuming does not give"):
        apply(plane.store, Command("run.resume", SCOPE, row["id"]))
    told = give(plane, row["id"], {"approved": True, "reason": "yes"})
    assert (told["state_name"], told["key"]) == ("Scheduled", "approval")
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b'["after",true,3,"yes"]'
    assert (marks(plane, "before"), marks(plane, "after")) == (1, 1)
    again = plane.execute(row["entrypoint"], restart_of=row["id"])
    assert (again["state_name"], again["attempt"]) == ("Completed", 1), "a restarted run walks through"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({}, "approved: missing"),
        ({"approved": "perhaps"}, "approved: expected true or false; got a text"),
        ({"approved": True, "amount": "many"}, "amount: expected an integer; got a text"),
        ({"approved": True, "more": 1}, "more: the input has no such field"),
        ([True], "the answer is not an object"),
        ({"approved": True, "reason": "x" * 70_000}, "at most 65536 are allowed"),
        ({"approved": float("nan")}, "is not JSON"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_run_waits_on(plane: Plane, value: Any, told: str) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    with pytest.raises(ParameterError, match=told):
        give(plane, row["id"], value)
    assert plane.row(row["id"])["state_name"] == "Suspended"


def test_what_only_the_type_refuses_is_asked_again_with_the_reason(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    give(plane, row["id"], {"approved": True, "reason": "rude"})
    plane.attempt(row["id"])
    assert plane.row(row["id"])["state_name"] == "Suspended"
    first, second = points(plane)
    assert second["asks"]["problem"] == "reason: be kind; got a text"
    assert second["expires_at"] == first["expires_at"], "asking again gives no more time"
    with plane.store.read() as tx:
        found = waits.any_of(tx, first["id"])
        assert found is not None
        follower = waits.asked_again(tx, found)
    assert follower is not None
    assert follower.id == second["id"]
    give(plane, row["id"], {"approved": False, "reason": "sorry"})
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b'["after",false,3,"sorry"]'
    assert marks(plane, "before") == 1


def test_it_is_answered_once_and_only_what_is_asked(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    with pytest.raises(ConflictError, match="does not ask for input 'other' now"):
        give(plane, row["id"], {"approved": True}, key="other")
    with pytest.raises(NotFoundError):
        give(plane, new_id(), {"approved": True})
    elsewhere = Command("run.answer", Scope(new_id()), row["id"], {"value": {"approved": True}})
    with pytest.raises(NotFoundError):
        apply(plane.store, elsewhere)
    give(plane, row["id"], {"approved": True}, key=None)
    with pytest.raises(ConflictError, match="does not ask for input 'approval' now"):
        give(plane, row["id"], {"approved": False})
    plane.attempt(row["id"])
    with pytest.raises(ConflictError, match="does not ask for any input now"):
        give(plane, row["id"], {"approved": False}, key=None)


def test_its_events_keep_the_answer_private(plane: Plane) -> None:
    row = plane.execute(f"{plane.file(ASKS)}:whole")
    give(plane, row["id"], {"approved": True, "reason": "secret"})
    with plane.store.write() as tx:
        stream.stamp(tx)
    with plane.store.read() as tx:
        found = {event["type"]: event for event in event_log.listing(tx, SCOPE, types=("hub.input.",)).items}
        audited = tx.conn.exec_driver_sql("SELECT detail FROM audit WHERE op = 'run.answer'").scalars().all()
    assert set(found) == {"hub.input.asked", "hub.input.answered"}
    assert found["hub.input.asked"]["body"]["key"] == "approval"
    assert found["hub.input.answered"]["private"] == {"params": {"value": {"approved": True, "reason": "secret"}}}
    assert not any("secret" in str(detail) for detail in audited)


@pytest.mark.parametrize(("given", "result"), [("", "WaitTimeout"), (", default='nobody'", None)])
def test_when_its_time_is_over_it_raises_or_gives_the_default(plane: Plane, given: str, result: str | None) -> None:
    file = plane.file(f"import hub\n@flow\ndef whole(): return hub.wait_for_input(bool, timeout=3600{given})")
    row = plane.execute(f"{file}:whole")
    run_out(plane)
    with pytest.raises(ConflictError, match="not asked any more"):
        give(plane, row["id"], True, key=None)
    Waits(plane.store).step()
    plane.attempt(row["id"])
    ended = plane.row(row["id"])
    assert ended["error_type"] == result
    if result is None:
        assert ended["result"] == b'"nobody"'
    with plane.store.write() as tx:
        stream.stamp(tx)
    with plane.store.read() as tx:
        assert len(event_log.listing(tx, SCOPE, types=("hub.input.expired",)).items) == 1


def answered_soon(plane: Plane, value: Any) -> threading.Thread:
    """Somebody in another thread who answers the first input that is asked."""

    def answer() -> None:
        run_id = eventually(lambda: [row["run_id"] for row in points(plane) if row["state"] == "open"])[0]
        apply(plane.store, Command("run.answer", SCOPE, run_id, {"value": value}))

    other = threading.Thread(target=answer)
    other.start()
    return other


@pytest.mark.parametrize(
    ("model", "answer", "value"),
    [
        (bool, True, True),
        (Literal["yes", "no"], {"value": "no"}, "no"),
        (list[int], {"value": [1, "2"]}, [1, 2]),
        (Approval, {"approved": "yes"}, Approval(approved=True)),
    ],
)
def test_a_plain_call_waits_in_its_process(plane: Plane, model: Any, answer: Any, value: Any) -> None:
    @flow
    def asks() -> Any:
        return hub.wait_for_input(model)

    other = answered_soon(plane, answer)
    assert asks() == value
    other.join()


def test_an_async_flow_asks_by_the_same_name(plane: Plane) -> None:
    @flow
    async def asks() -> Any:
        return await hub.wait_for_input(Approval, initial={"amount": 9})

    other = answered_soon(plane, {"approved": True})
    assert asyncio.run(asks()) == Approval(approved=True, amount=9)
    other.join()


def test_a_link_names_the_next_input_of_its_key_and_replays(plane: Plane) -> None:
    file = plane.file(
        MARK
        + """
@task
def tell(link):
    with open(Path(__file__).with_name("links"), "a") as out: out.write(link + "\\n")

@flow
def whole():
    for _ in range(2):
        tell(hub.input_link("go"))
        hub.wait_for_input(bool, key="go")
"""
    )
    row = plane.execute(f"{file}:whole")
    give(plane, row["id"], True, key="go")
    plane.attempt(row["id"])
    told = (plane.folder / "links").read_text().split()
    assert len(told) == 2, "a link that replays is not told again"
    tokens = [address.removeprefix("http://127.0.0.1:4300/ui/answers/") for address in told]
    read = [links.read(plane.store.keyring, token) for token in tokens]
    assert [link.point_id for link in read if link is not None] == [point["id"] for point in points(plane)]
    with plane.store.read() as tx:
        kept = tx.conn.exec_driver_sql("SELECT result FROM task_runs").scalars().all()
    assert not any(token.encode() in bytes(result or b"") for result in kept for token in tokens)


def test_inputs_belong_into_the_body_of_a_flow(plane: Plane) -> None:
    @task
    def within() -> None:
        hub.wait_for_input(bool)

    @flow
    def asks() -> None:
        within()

    with pytest.raises(UsageError, match="this is not the body of one"):
        asks()
    with pytest.raises(UsageError, match="this is not the body of one"):
        hub.input_link("key")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model": object()}, "cannot be asked for"),
        ({"model": bool, "default": True}, "is for a timeout, and there is none"),
        ({"model": bool, "timeout": -1}, "not a number of seconds"),
        ({"model": bool, "key": ""}, "not a text of 1 to 200 characters"),
        ({"model": bool, "description": "x" * 10_001}, "description"),
        ({"model": Approval, "initial": {"amounts": 3}}, "not asked"),
        ({"model": Approval, "initial": {"amount": object()}}, "cannot be written as JSON"),
        ({"model": Literal[tuple(f"{number:070}" for number in range(1000))]}, "larger than"),
    ],
)
def test_wrong_options_are_refused(plane: Plane, given: dict[str, Any], told: str) -> None:
    @flow
    def asks() -> Any:
        return hub.wait_for_input(**given)

    with pytest.raises(UsageError, match=told):
        asks()
    assert points(plane) == []


def test_a_drawing_asks_nobody() -> None:
    @task
    def use(value: object) -> None:
        pass

    @flow
    def asks() -> None:
        hub.input_link("go")
        use(hub.wait_for_input(Approval, key="go").approved)
        use(hub.receive())
        use(hub.wait_for_event("github.push").body)
        hub.send("run", 1)

    assert asks.visualize() is not None


def test_a_model_that_contains_itself_and_one_with_aliases_are_asked() -> None:
    class Tree(BaseModel):
        name: str = Field(alias="Name")
        below: list[Tree] = []

        @field_validator("name")
        @classmethod
        def short(cls, value: str) -> str:
            return value[:3]

    shape = asked.Shape(Tree)
    answer = asked.checked({"schema": shape.schema}, {"Name": "abcdef", "below": [{"Name": "x"}]})
    assert shape.read(answer).name == "abc"
    with pytest.raises(ParameterError, match=r"below\.0\.Name: missing"):
        asked.checked({"schema": shape.schema}, {"Name": "a", "below": [{}]})
