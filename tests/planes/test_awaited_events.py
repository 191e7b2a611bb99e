"""Flows that wait for an event: none is lost, none from before counts, and the first that fits is the answer."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import hub
import pytest
from hub import flow
from hub.errors import ExpressionError, UsageError, WaitTimeout
from hub.runtime.awaited import Awaited
from hub.store import event_log, events, leaders, stream
from hub.types import Scope, new_id, now_us
from tests.planes.test_suspended import POINTS, eventually, points, run_out

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
WAITS = """
import hub
@flow
def whole():
    found = hub.wait_for_event("github.push", match=MATCH, timeout=3600)
    return [found.id, found.type, found.fields["source_name"], found.body["provider_type"], found.at.year]
"""


def happen(
    plane: Plane, type_: str = "github.push", *, stamped: bool = True, at: int | None = None, **more: Any
) -> str:
    """An event, as a webhook's."""
    fields = {"source_name": "main", "provider_type": "push", **more}
    with plane.store.write() as tx:
        made = events.append(tx, SCOPE, type_, subject="repo", at=at, **fields)
        if stamped:
            stream.stamp(tx)
    return made


def flow_file(plane: Plane, match: object) -> str:
    return f"{plane.file(WAITS.replace('MATCH', repr(match)))}:whole"


@pytest.mark.parametrize(
    ("match", "wrong", "right"),
    [
        ("event.source_name == 'main'", {"source_name": "other"}, {}),
        ("size(event.delivery_id) > 3", {}, {"delivery_id": "12345"}),
        ({"source_name": "main", "subject": "repo"}, {"source_name": "other"}, {}),
        ("", None, {}),
    ],
)
def test_the_first_event_that_fits_is_the_answer(plane: Plane, match: Any, wrong: Any, right: dict[str, Any]) -> None:
    happen(plane)
    row = plane.execute(flow_file(plane, match))
    assert row["state_name"] == "Suspended"
    loop = Awaited(plane.store)
    while loop.step():
        pass
    assert plane.row(row["id"])["state_name"] == "Suspended", "what was stamped before it came here does not count"
    happen(plane, "github.pull_request")
    if wrong is not None:
        happen(plane, **wrong)
    first = happen(plane, **right)
    happen(plane, **right)
    loop.step()
    assert plane.row(row["id"])["state_name"] == "Scheduled"
    plane.attempt(row["id"])
    told = f'["{first}","github.push","main","push",{datetime.now(UTC).year}]'
    assert plane.row(row["id"])["result"] == told.encode()


def test_an_event_that_was_written_before_and_stamped_after_counts(plane: Plane) -> None:
    made = happen(plane, stamped=False)
    row = plane.execute(flow_file(plane, ""))
    with plane.store.write() as tx:
        stream.stamp(tx)
    Awaited(plane.store).step()
    assert [point["answer"]["id"] for point in points(plane)] == [made]
    assert plane.row(row["id"])["state_name"] == "Scheduled"


def test_a_point_that_is_opened_while_the_loop_looks_is_about_what_comes_later(plane: Plane) -> None:
    """The loop reads a batch, a flow opens a point, the loop goes on: nothing is lost or taken from before."""
    plane.execute(flow_file(plane, ""))
    before = happen(plane)
    late: list[dict[str, Any]] = []
    real = events.after

    def meanwhile(*args: Any, **given: Any) -> Any:
        batch = real(*args, **given)
        if not late and plane.store.dialect == "postgresql":
            late.append(plane.execute(flow_file(plane, "")))
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "after", meanwhile)
        Awaited(plane.store).step()
    if not late:
        late.append(plane.execute(flow_file(plane, "")))
    after = happen(plane)
    Awaited(plane.store).step()
    assert [point["answer"]["id"] for point in points(plane)] == [before, after]


def test_many_wait_and_each_is_answered_once_whoever_looks(plane: Plane) -> None:
    file = plane.file("import hub\n@flow\ndef whole(): return hub.wait_for_event('hub.variable.*').type")
    runs = [plane.execute(f"{file}:whole")["id"] for _ in range(3)]
    with plane.store.write() as tx:
        for _ in range(450):
            events.append(tx, SCOPE, "hub.variable.unset", name="x")
        stream.stamp(tx, limit=1000)
    loops = [Awaited(plane.store), Awaited(plane.store)]
    while True in {loop.step() for loop in loops}:
        pass
    assert {plane.row(run_id)["state_name"] for run_id in runs} == {"Scheduled"}
    assert len({point["answer"]["id"] for point in points(plane)}) == 1, "the first is the answer to all"
    assert [point["answered_by"][:6] for point in points(plane)] == ["event:"] * 3


def test_events_of_other_workspaces_are_not_theirs(plane: Plane) -> None:
    plane.execute(flow_file(plane, ""))
    with plane.store.write() as tx:
        events.append(tx, Scope(new_id()), "github.push", source_name="main", provider_type="push")
        stream.stamp(tx)
    Awaited(plane.store).step()
    assert [point["state"] for point in points(plane)] == ["open"]


@pytest.mark.parametrize("late", [True, False])
def test_what_came_in_time_counts_and_what_came_later_does_not(plane: Plane, late: bool) -> None:
    row = plane.execute(flow_file(plane, ""))
    run_out(plane)
    happen(plane, at=now_us() if late else 1)
    Awaited(plane.store).step()
    plane.attempt(row["id"])
    ended = plane.row(row["id"])
    assert (ended["state_name"], ended["error_type"]) == (("Failed", "WaitTimeout") if late else ("Completed", None))


def test_a_filter_that_cannot_be_tried_waits_on_and_says_so(plane: Plane) -> None:
    row = plane.execute(flow_file(plane, "body.nothing.here == 1"))
    happen(plane)
    happen(plane)
    Awaited(plane.store).step()
    assert plane.row(row["id"])["state_name"] == "Suspended"
    told = [line for logger, line in plane.logs() if logger == "hub"]
    assert len(told) == 1
    assert "could not be tried on event" in told[0]


def test_a_large_event_leaves_its_body_out(plane: Plane) -> None:
    file = plane.file("import hub\n@flow\ndef whole(): return hub.wait_for_event('github.push').body")
    row = plane.execute(f"{file}:whole")
    happen(plane, provider_type="x" * 200_000)
    Awaited(plane.store).step()
    plane.attempt(row["id"])
    assert plane.row(row["id"])["result"] == b"null"


def test_a_plain_call_waits_in_its_process_and_stamps_what_nobody_stamps(plane: Plane) -> None:
    @flow
    def waits() -> str:
        found = hub.wait_for_event("github.*", match={"provider_type": "push"}, timeout=60)
        assert isinstance(found, hub.Event)
        return found.id

    made: list[str] = []
    other = threading.Thread(
        target=lambda: eventually(lambda: points(plane)) and made.append(happen(plane, stamped=False))
    )
    other.start()
    assert [waits()] == made or eventually(lambda: made)
    other.join()
    with plane.store.read() as tx:
        assert event_log.get(tx, SCOPE, made[0])["seq"] is not None
    with plane.store.write() as tx:
        assert leaders.take(tx, "sequencer", "another", lease_s=1) is not None, "it does not keep the stamp"


def test_a_plain_call_sees_itself_to_its_timeout(plane: Plane) -> None:
    @flow
    async def waits() -> Any:
        with pytest.raises(WaitTimeout, match=r"no event github.push came within 0.05 s"):
            await hub.wait_for_event("github.push", timeout=0.05)
        return await hub.wait_for_event("github.push", timeout=0.05, default="none")

    assert asyncio.run(waits()) == "none"
    with plane.store.read() as tx:
        assert tx.conn.execute(POINTS.select()).mappings().first() is not None


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"type": ""}, UsageError, "1 to 200 characters"),
        ({"type": "a", "match": "body.("}, ExpressionError, "is not a CEL expression"),
        ({"type": "a", "match": 3}, UsageError, "neither a CEL text nor a mapping"),
        ({"type": "a", "match": {"x": [1]}}, UsageError, "a text, a number"),
        ({"type": "a", "timeout": "soon"}, UsageError, "not a number of seconds"),
    ],
)
def test_wrong_options_are_refused(plane: Plane, given: dict[str, Any], error: type[Exception], told: str) -> None:
    @flow
    def waits() -> None:
        hub.wait_for_event(**given)

    with pytest.raises(error, match=told):
        waits()
    assert points(plane) == []
