"""A run that has ended is started again: from where it failed, from a task, from the start."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands import Command, apply
from hub.store import run_details
from hub.types import new_id
from tests.planes.conftest import SCOPE, Plane

FLOW = """
def note(name):
    with open(Path(__file__).with_name("effects"), "a") as out: out.write(name + " ")
@task
def extract(): note("extract"); return 1
@task
def clean(n): note("clean"); return n + 1
@task
def outer(n):
    note("outer")
    return clean(n) + 1
@task
def load(n):
    note("load")
    if not Path(__file__).with_name("mended").exists(): raise ValueError("broken")
    return n
@flow
def whole(): return load(outer(extract()))
"""


FORGETS = """
def forget():
    from hub.runtime import inline
    from hub.store import run_details
    with inline.home().store.write() as tx:
        tx.conn.execute(run_details.TASKS.delete())
"""


class Restarts:
    """A deployed flow whose first run has failed in its last task."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.file = plane.file(FLOW)
        entrypoint = f"{self.file}:whole"
        given = {"name": "whole", "flow_name": "whole", "entrypoint": entrypoint}
        apply(plane.store, Command("deployment.set", SCOPE, "whole", given))
        self.first = new_id()
        apply(plane.store, Command("run.create", SCOPE, "whole", {"run_id": self.first}))
        plane.attempt(self.first)
        assert plane.row(self.first)["state_name"] == "Failed"
        self.file.with_name("mended").touch()

    def effects(self) -> list[str]:
        """What ran since this was asked last."""
        path = self.file.with_name("effects")
        found = path.read_text().split()
        path.write_text("")
        return found

    def again(self, run_id: str, **args: Any) -> dict[str, Any]:
        """Restart a run and execute the new one."""
        made = apply(self.plane.store, Command("run.restart", SCOPE, run_id, args)).result
        self.plane.attempt(made["id"])
        row = self.plane.row(made["id"])
        assert (row["state_name"], row["restart_of"], row["result"]) == ("Completed", run_id, b"3")
        return row


@pytest.fixture
def restarts(plane: Plane) -> Restarts:
    made = Restarts(plane)
    assert made.effects() == ["extract", "outer", "clean", "load"]
    return made


def test_what_completed_is_taken_over(restarts: Restarts) -> None:
    row = restarts.again(restarts.first)
    assert restarts.effects() == ["load"]
    assert (row["restart_from"], row["origin"], row["origin_id"]) == (None, "restart", restarts.first)


@pytest.mark.parametrize(
    ("named", "done"),
    [
        ("extract", ["extract", "outer", "clean", "load"]),
        ("outer-0", ["outer", "clean", "load"]),
        # The task that it was called in is done again, too: it cannot be begun in its middle.
        ("clean", ["outer", "clean", "load"]),
        ("load", ["load"]),
    ],
)
def test_from_a_task_on_everything_is_done_again(restarts: Restarts, named: str, done: list[str]) -> None:
    row = restarts.again(restarts.first, from_task=named)
    assert restarts.effects() == done
    task = next(t for t in restarts.plane.tasks(restarts.first) if t["id"] == row["restart_from"])
    assert named in (task["name"], task["task_name"])


def test_a_restart_of_a_restart_and_a_task_by_its_id(restarts: Restarts) -> None:
    second = restarts.again(restarts.first)
    outer = next(t["id"] for t in restarts.plane.tasks(second["id"]) if t["task_name"] == "outer")
    restarts.effects()
    restarts.again(second["id"], from_task=outer)
    assert restarts.effects() == ["outer", "clean", "load"]


def test_fresh_takes_nothing_over(restarts: Restarts) -> None:
    second = restarts.again(restarts.first, fresh=True)
    assert restarts.effects() == ["extract", "outer", "clean", "load"]
    assert second["restart_from"] == "start"


def test_other_code_is_used_when_the_flow_was_deployed_anew(restarts: Restarts) -> None:
    other = restarts.plane.file(FLOW.replace('note("load")', 'note("loaded-anew")'), "other.py")
    given = {"name": "whole", "flow_name": "whole", "entrypoint": f"{other}:whole"}
    apply(restarts.plane.store, Command("deployment.set", SCOPE, "whole", given))
    # Steps are known by their file's name, too: in another file they are other steps.
    restarts.again(restarts.first)
    assert restarts.effects() == ["extract", "outer", "clean", "loaded-anew"]
    restarts.file.write_text(restarts.file.read_text().replace('note("load")', 'note("loaded-anew")'))
    given["entrypoint"] = f"{restarts.file}:whole"
    apply(restarts.plane.store, Command("deployment.set", SCOPE, "whole", given))
    restarts.again(restarts.first)
    assert restarts.effects() == ["loaded-anew"]


def test_what_cannot_be_restarted_says_why(restarts: Restarts, plane: Plane) -> None:
    store = plane.store
    with pytest.raises(NotFoundError, match="no task 'nowhere'"):
        apply(store, Command("run.restart", SCOPE, restarts.first, {"from_task": "nowhere"}))
    with pytest.raises(UsageError, match="fresh"):
        apply(store, Command("run.restart", SCOPE, restarts.first, {"from_task": "load", "fresh": True}))
    with pytest.raises(NotFoundError, match="there is no run"):
        apply(store, Command("run.restart", SCOPE, new_id()))
    going = apply(store, Command("run.create", SCOPE, "whole")).result["id"]
    with pytest.raises(ConflictError, match="only a run that has ended"):
        apply(store, Command("run.restart", SCOPE, going))
    lonely = plane.run(f"{restarts.file}:whole")
    plane.attempt(lonely)
    with pytest.raises(ConflictError, match="no deployment"):
        apply(store, Command("run.restart", SCOPE, lonely))


def test_a_run_whose_former_one_was_removed_meanwhile_does_everything(restarts: Restarts) -> None:
    plane = restarts.plane

    def removed(run_id: str, from_task: str | None) -> dict[str, Any]:
        made = apply(plane.store, Command("run.restart", SCOPE, run_id, {"from_task": from_task})).result
        with plane.store.write() as tx:
            tx.conn.execute(run_details.TASKS.delete().where(run_details.TASKS.c.run_id == run_id))
        plane.attempt(made["id"])
        return plane.row(made["id"])

    second = removed(restarts.first, "load")
    assert (second["state_name"], second["result"]) == ("Completed", b"3")
    third = removed(second["id"], None)
    assert (third["state_name"], third["result"]) == ("Completed", b"3")
    assert restarts.effects() == ["extract", "outer", "clean", "load"] * 2


def test_a_run_whose_former_one_is_removed_while_it_executes_does_the_rest(restarts: Restarts) -> None:
    plane = restarts.plane
    text = restarts.file.read_text().replace("def whole(): return", "def whole():\n    forget()\n    return")
    restarts.file.write_text(f"{text}\n{FORGETS}")
    made = apply(plane.store, Command("run.restart", SCOPE, restarts.first, {})).result
    plane.attempt(made["id"])
    assert plane.row(made["id"])["state_name"] == "Completed", plane.row(made["id"])["error_trace"]
    assert restarts.effects() == ["extract", "outer", "clean", "load"]
