"""An automation calls an action of a plugin, in a run of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hub import flow
from hub.errors import ConflictError, NotFoundError, ParameterError
from hub.runtime.commands import Command, apply
from hub.testing import harness
from hub.testing.kit import Hub
from hub.types import Scope
from tests.plugins.github.server import TOKEN, GitHub, github

SCOPE = Scope()


@pytest.fixture
def server() -> Iterator[GitHub]:
    with github() as made:
        yield made


@pytest.fixture
def kit(tmp_path: Path, server: GitHub) -> Iterator[Hub]:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("CREATE TABLE paid (run TEXT)")
    with harness() as made:
        made.connect("sql", "shop", system="sqlite", database=tmp_path / "shop.db")
        made.connect("github", "github", url=server.url, token=TOKEN)
        yield made


@flow
def pay() -> None:
    """Be the cause."""


def automate(kit: Hub, action: str, **parameters: Any) -> None:
    trigger = {"types": ["hub.run.completed"], "match": 'event.flow_name == "pay"'}
    args = {"name": "note", "trigger": trigger, "actions": [{"run_action": action, "parameters": parameters}]}
    apply(kit.store, Command("automation.set", SCOPE, args=args))


def rows(tmp_path: Path) -> list[str]:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        return [row[0] for row in database.execute("SELECT run FROM paid")]


def test_an_event_makes_a_run_of_the_action(kit: Hub, tmp_path: Path) -> None:
    automate(
        kit, "sql.execute", statement="INSERT INTO paid VALUES (:run)", parameters={"run": "=event.run_id"},
        connection="shop",
    )  # fmt: skip
    pay()
    kit.settle()
    run = kit.run("sql.execute")
    assert (run.ok, run.result, [task.name for task in run.tasks]) == (True, 1, ["sql-execute-0"])
    assert rows(tmp_path) == [kit.run(pay).id]
    (done,) = kit.client.get("/automations/note/evaluations")["items"]
    assert (done["outcome"], done["run_id"], done["actions"][0]["status"]) == ("fired", run.id, "done")


def test_it_has_the_retries_of_the_action(kit: Hub, server: GitHub) -> None:
    server.trouble = lambda number: (502, {}) if number == 1 else None
    automate(kit, "github.create_issue", repository="octo/spoke", title="Paid")
    pay()
    kit.settle()
    run = kit.run("github.create_issue")
    assert (run.ok, run.tasks[0].attempt, len(server.issues)) == (True, 2, 1)


def test_what_failed_is_done_again_by_hand(kit: Hub, server: GitHub) -> None:
    automate(kit, "github.create_issue", repository="octo/other", title="Paid")
    pay()
    kit.settle()
    failed = kit.run("github.create_issue")
    assert (failed.state.name, "404" in failed.state.message) == ("Failed", True)
    made = apply(kit.store, Command("run.restart", SCOPE, failed.id)).result
    kit.settle()
    again = kit.run(str(made["id"]))
    assert (again.state.name, len(kit.runs("github.create_issue"))) == ("Failed", 2)
    with pytest.raises(ConflictError, match="no deployment"):
        apply(kit.store, Command("run.restart", SCOPE, kit.run(pay).id))


@pytest.mark.parametrize(
    ("action", "parameters", "wrong", "told"),
    [
        ("sql.drop", {}, NotFoundError, "there is no action 'sql.drop'"),
        ("nobody.post", {}, NotFoundError, "there is no action 'nobody.post'"),
        ("sql.execute", {"statment": "x"}, ParameterError, "it has no parameter statment; statement is missing"),
    ],
)
def test_what_cannot_be_called_is_refused_when_it_is_saved(
    kit: Hub, action: str, parameters: dict[str, Any], wrong: type[Exception], told: str
) -> None:  # fmt: skip
    with pytest.raises(wrong, match=told):
        automate(kit, action, **parameters)
