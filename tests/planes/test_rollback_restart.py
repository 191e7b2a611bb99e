"""Compensations that could not be made are made after all, when somebody restarts their rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hub.errors import ConflictError, UsageError
from hub.runtime import compensations
from hub.runtime.commands import Command, apply
from hub.runtime.executor.undoing import MAX_TRIES
from hub.runtime.sagas import Sagas
from hub.states import TERMINAL, StateType
from hub.store import transactions
from hub.types import Scope

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

SCOPE = Scope()
FLOW = """
def undo(step):
    if Path(__file__).with_name("busy").exists(): raise OSError("busy")
    with open(Path(__file__).with_name("undone"), "a") as out: out.write(step.result + " ")

@task(on_rollback=[undo])
def book(what): return what

@flow
def trip():
    with transaction():
        book("flight")
        book("hotel")
        raise ValueError("no money")
"""


def test_a_failed_rollback_is_restarted(plane: Plane) -> None:
    owner, failed = _failed(plane)
    assert _states(plane, owner) == [("failed", MAX_TRIES)] * 2
    plane.folder.joinpath("busy").unlink()
    made = _restart(plane, failed)
    assert _states(plane, owner) == [("rolling_back", 0)] * 2
    with pytest.raises(ConflictError, match=f"run {owner} is being rolled back already"):
        _restart(plane, failed)
    Sagas(plane.store).step()  # leaves it alone
    _lived(plane, made)
    assert plane.folder.joinpath("undone").read_text() == "hotel flight "
    assert (plane.row(made)["state_name"], plane.row(made)["restart_of"]) == ("Completed", failed)
    with plane.store.read() as tx:
        found = compensations.of_run(tx, SCOPE, owner)
    assert (found.rollback_run_id, found.summary) == (made, "rolled back: 2 of 2 steps")
    with pytest.raises(ConflictError, match="left nothing that could not be undone"):
        _restart(plane, made)


def test_what_fails_again_has_failed_again(plane: Plane) -> None:
    owner, failed = _failed(plane)
    made = _restart(plane, failed)
    _lived(plane, made)
    assert plane.row(made)["error_type"] == "RollbackFailed"
    assert _states(plane, owner) == [("failed", MAX_TRIES)] * 2
    Sagas(plane.store).step()
    assert len([row for row in plane.rows() if row["origin"] == "rollback"]) == 2


def test_a_rollback_has_no_place_to_begin_at(plane: Plane) -> None:
    _, failed = _failed(plane)
    with pytest.raises(UsageError, match="undoes what is left"):
        _restart(plane, failed, fresh=True)


def _failed(plane: Plane) -> tuple[str, str]:
    """A run whose steps could not be undone, and the run that tried."""
    plane.folder.joinpath("busy").touch()
    owner = str(plane.execute(f"{plane.file(FLOW)}:trip")["id"])
    Sagas(plane.store).step()
    (rollback,) = [row["id"] for row in plane.rows() if row["origin"] == "rollback"]
    _lived(plane, rollback)
    return owner, rollback


def _lived(plane: Plane, run_id: str) -> None:
    """Attempt after attempt, as if each were due at once."""
    while StateType(plane.row(run_id)["state_type"]) not in TERMINAL:
        plane.attempt(run_id)


def _restart(plane: Plane, run_id: str, **args: Any) -> str:
    return str(apply(plane.store, Command("run.restart", SCOPE, run_id, args)).result["id"])


def _states(plane: Plane, owner: str) -> list[tuple[str, int]]:
    with plane.store.read() as tx:
        return [(row["state"], row["tries"]) for row in transactions.of_run(tx, SCOPE, owner)]
