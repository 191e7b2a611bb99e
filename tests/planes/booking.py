"""A task that is undone by a hook, and what hooks have told: the parts of tests about transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hub import task
from hub.sdk import Step
from hub.store import transactions

if TYPE_CHECKING:
    from tests.planes.conftest import Plane
else:
    Plane = Any

told: list[tuple[Any, ...]] = []


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    told.clear()


def undo(step: Step) -> None:
    told.append(("undo", step.name, step.result))


def committed(step: Step) -> None:
    told.append(("commit", step.name))


@task(on_rollback=[undo], on_commit=[committed])
def book(what: str) -> str:
    return f"{what}!"


@task
def plain(what: str) -> str:
    told.append(("plain", what))
    return what


@task(on_rollback=[undo])
def broken() -> None:
    raise ValueError("broken")


def states(plane: Plane) -> list[tuple[str, str]]:
    with plane.store.read() as tx:
        query = transactions.TABLE.select().order_by(transactions.TABLE.c.ordinal)
        return [(row["name"], row["state"]) for row in tx.conn.execute(query).mappings()]
