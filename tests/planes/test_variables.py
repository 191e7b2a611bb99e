"""Variables: small JSON values by name, changed by commands, read by code that runs."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import hub
import pytest
from hub import flow, task
from hub.engine.run import Lose
from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.orchestrator import handle
from hub.store import Store, variables
from hub.store.tables import AuditEntry, CommandOutcome, Event
from hub.types import Scope, new_id
from tests.planes.test_attempt import child, dispatched, until

from .conftest import SCOPE, Plane

CANARY = "canary-value-1234"


def told(store: Store) -> list[tuple[str, dict[str, Any], Any]]:
    with store.read() as tx:
        rows = tx.conn.execute(Event.__table__.select().order_by(Event.__table__.c.id)).mappings()
        return [(row["type"], row["body"], row["private"]) for row in rows if row["type"].startswith("hub.variable.")]


def test_code_sets_reads_and_removes(plane: Plane) -> None:
    assert hub.variables.get("size", default=7) == 7
    assert hub.variables.get("size", default=None) is None
    with pytest.raises(NotFoundError, match="no variable 'size'"):
        hub.variables.get("size")
    hub.variables.set("size", {"rows": [1, 2.5, None, "x\0"]}, tags=["a", "b", "a"])
    with pytest.raises(ConflictError, match="already"):
        hub.variables.set("size", 1)

    @task
    def read() -> Any:
        return hub.variables.get("size")

    @flow
    def whole() -> Any:
        found = read()
        hub.variables.set("size", None, overwrite=True)
        return found

    assert whole() == {"rows": [1, 2.5, None, "x\0"]}
    assert hub.variables.get("size", default=3) is None
    with plane.store.read() as tx:
        row = variables.get(tx, SCOPE, "size")
    assert (row["tags"], row["updated_by"]) == ([], "local")
    assert hub.variables.unset("size") is True
    assert hub.variables.unset("size") is False
    assert [type_ for type_, _, _ in told(plane.store)] == ["hub.variable.set"] * 2 + ["hub.variable.unset"]


def test_coroutines_read_them_as_well(plane: Plane) -> None:
    hub.variables.set("n", 3)

    @flow
    async def whole() -> int:
        return int(hub.variables.get("n"))

    assert asyncio.run(whole()) == 3


def test_the_value_is_in_no_audit_row_and_in_the_event_as_what_may_not_leave(store: Store) -> None:
    apply(store, Command("variable.set", SCOPE, "v", {"name": "v", "value": CANARY, "tags": ["t"]}))
    with store.read() as tx:
        for model in (AuditEntry, CommandOutcome):
            rows = tx.conn.execute(model.__table__.select()).all()
            assert len(rows) == 1
            assert CANARY not in repr(rows)
    assert told(store) == [
        ("hub.variable.set", {"name": "v", "tags": ["t"], "created": True}, {"params": {"value": CANARY}})
    ]


def test_another_workspace_has_variables_of_its_own(store: Store) -> None:
    elsewhere = Scope(workspace_id=new_id())
    for scope, value in ((SCOPE, 1), (elsewhere, 2)):
        apply(store, Command("variable.set", scope, "v", {"name": "v", "value": value}))
    with store.read() as tx:
        assert [variables.get(tx, scope, "v")["value"] for scope in (SCOPE, elsewhere)] == [1, 2]
    apply(store, Command("variable.unset", elsewhere, "v"))
    with store.read() as tx:
        assert variables.find(tx, SCOPE, "v") is not None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("a b", 1, "name"),
        ("a", float("nan"), "no JSON"),
        ("a", object(), "no JSON"),
        ("a", "x" * 70_000, "more than 65536"),
    ],
)
def test_what_is_no_variable_is_refused(plane: Plane, name: str, value: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        hub.variables.set(name, value)
    with pytest.raises(UsageError, match="tags"):
        hub.variables.set("a", 1, tags=[""])


def test_without_a_journal_only_defaults_are_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")
    assert hub.variables.get("n", default=5) == 5
    for call in (lambda: hub.variables.get("n"), lambda: hub.variables.set("n", 1), lambda: hub.variables.unset("n")):
        with pytest.raises(UsageError, match="HUB_JOURNAL=off"):
            call()


@pytest.mark.long("sqlite")
def test_a_replayed_step_does_not_undo_what_somebody_set_after_it(plane: Plane) -> None:
    file = plane.file("""
import hub
HERE = Path(__file__).parent

@flow
def whole():
    hub.variables.set("mode", "from the run", overwrite=True)
    hub.variables.set("once", time.time())
    (HERE / "hanging").touch()
    while not (HERE / "go").exists(): time.sleep(0.01)
    return hub.variables.get("mode")
""")
    run_id, key = dispatched(plane, f"{file}:whole")
    with child(key) as killed:
        until(lambda: (plane.folder / "hanging").exists())
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
    hub.variables.set("mode", "by hand", overwrite=True)
    handle(plane.store, SCOPE, run_id, Lose(1, 1, "killed"))
    (plane.folder / "go").touch()
    plane.attempt(run_id)
    row = plane.row(run_id)
    assert (row["state_name"], row["result"]) == ("Completed", b'"by hand"')
