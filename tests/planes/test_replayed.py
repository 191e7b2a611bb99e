"""hub.now() and hub.uuid(): made once for a place in the code, the same in every later attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import hub
from hub import flow, task

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any


def test_a_later_attempt_gets_the_same_values(plane: Plane) -> None:
    file = plane.file("""
import hub
@flow
def whole():
    seen = f"{hub.now()} {hub.uuid()} {hub.uuid()}"
    with open(Path(__file__).with_name("seen"), "a") as out: out.write(seen + "\\n")
    if runtime_context().attempt == 1: raise ValueError("again")
    return len(set(seen.split()))
""")
    run_id = plane.run(f"{file}:whole", retry_policy={"retries": 1, "delays": [0]})
    plane.attempt(run_id)
    plane.attempt(run_id)
    first, second = (plane.folder / "seen").read_text().splitlines()
    assert first == second
    assert plane.row(run_id)["result"] == b"4"
    assert sorted(found["name"] for found in plane.tasks()) == ["now-0", "uuid-0", "uuid-1"]


def test_a_restart_gets_them_too(plane: Plane) -> None:
    file = plane.file("import hub\n@flow\ndef whole(): return str(hub.uuid())")
    row = plane.execute(f"{file}:whole")
    again = plane.execute(row["entrypoint"], restart_of=row["id"])
    assert again["result"] == row["result"]


def test_all_tries_of_a_task_get_the_same(plane: Plane) -> None:
    seen: list[UUID] = []

    @task(retries=2)
    def charge(amount: int) -> int:
        seen.append(hub.uuid())
        if len(seen) < 3:
            raise ValueError("no")
        return amount

    @flow
    def whole() -> int:
        return charge(1) + charge(2)

    assert whole() == 3
    assert (len(seen), len(set(seen))) == (4, 2)


def test_a_coroutine_need_not_await_them(plane: Plane) -> None:
    import asyncio

    @flow
    async def whole() -> tuple[datetime, UUID]:
        return hub.now(), hub.uuid()

    at, made = asyncio.run(whole())
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    assert isinstance(made, UUID)


def test_outside_a_run_they_are_new() -> None:
    assert hub.uuid() != hub.uuid()
    assert hub.now().tzinfo is UTC
