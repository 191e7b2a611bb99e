"""What runs are called that a worker executes: as their flow says, unless somebody has named them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hub.runtime.naming import default_name
from hub.store import event_log
from hub.types import new_id
from sqlalchemy import select

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

FLOWS = """
@flow(flow_run_name="load-{day:%d.%m.}")
def load(day: date) -> str: return flow_run.name
@flow(flow_run_name=lambda values: f"{values['n']} at {time.monotonic_ns()}")
def timed(n: int) -> str:
    if runtime_context().attempt == 1: raise ValueError
    return flow_run.name
@flow(flow_run_name="load-{month}")
def wrong(day: date) -> None: Path(__file__).with_suffix(".ran").touch()
"""
IMPORTS = "from datetime import date\nfrom hub.runtime import flow_run\n"


def test_a_run_that_nobody_has_named_is_called_as_its_flow_says(plane: Plane) -> None:
    file = plane.file(IMPORTS + FLOWS)
    row = _executed(plane, f"{file}:load", {"day": "2026-01-31"})
    assert (row["name"], row["result"]) == ("load-31.01.", b'"load-31.01."')
    assert _told(plane, row["id"]) == "load-31.01."


def test_a_name_that_was_given_stays(plane: Plane) -> None:
    file = plane.file(IMPORTS + FLOWS)
    row = plane.execute(f"{file}:load", {"day": "2026-01-31"}, name="the-great-load", deployment_name="d")
    assert (row["name"], row["result"]) == ("the-great-load", b'"the-great-load"')


def test_a_name_is_made_once_however_many_attempts_there_are(plane: Plane) -> None:
    file = plane.file(IMPORTS + FLOWS)
    row = _executed(plane, f"{file}:timed", {"n": 3}, retry_policy={"retries": 1, "delays": [0]})
    first = row["name"]
    assert (first[:5], row["state_name"]) == ("3 at ", "AwaitingRetry")
    plane.attempt(row["id"])
    row = plane.row(row["id"])
    assert (row["name"], row["result"]) == (first, f'"{first}"'.encode())


def test_a_run_whose_name_cannot_be_made_fails_before_user_code(plane: Plane) -> None:
    file = plane.file(IMPORTS + FLOWS)
    row = _executed(plane, f"{file}:wrong", {"day": "2026-01-31"})
    assert (row["state_name"], row["error_type"]) == ("Failed", "UsageError")
    assert "the run name 'load-{month}' cannot be made: KeyError" in row["error_message"]
    assert not file.with_suffix(".ran").exists()


def _told(plane: Plane, run_id: str) -> str:
    """The name in the newest event of a run."""
    query = select(event_log.TABLE).where(event_log.TABLE.c.run_id == run_id).order_by(event_log.TABLE.c.id.desc())
    with plane.store.read() as tx:
        return str(next(iter(tx.conn.execute(query).mappings()))["body"]["run_name"])


def _executed(plane: Plane, entrypoint: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    run_id = new_id()
    named = {"id": run_id, "name": default_name("daily", run_id), "deployment_name": "daily"}
    return plane.execute(entrypoint, parameters, **named, **more)
