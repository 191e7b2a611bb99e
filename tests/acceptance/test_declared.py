"""A run that executes and is declared to have ended loses its process; its worker goes on with others."""

from __future__ import annotations

import pytest
from hub.runtime import process
from hub.runtime.commands import Command, apply

from .conftest import SCOPE, Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_run_that_is_declared_to_have_ended_is_not_executed_any_more(site: Site) -> None:
    site.up()
    site.deploy("stubborn")
    site.deploy("quick")
    ends = {"failed": ("FAILED", "Failed"), "done": ("COMPLETED", "Completed")}
    made = {key: site.run("stubborn", key) for key in ends}
    site.wait_marks(*(f"between-{key}" for key in ends))
    for key, (state, name) in ends.items():
        pid = int((site.folder / f"between-{key}").read_text())
        apply(site.store, Command("run.set_state", SCOPE, made[key], {"state": state, "message": "it is over"}))
        wait_until(lambda pid=pid: not process.alive(pid), 60, site.logs())
        row = site.row(made[key])
        assert (row["state_type"], row["state_name"], row["state_message"]) == (state, name, "it is over")
    after = [site.run("quick", str(number)) for number in range(3)]
    site.wait_ended(after)
    assert site.states([*made.values(), *after]) == {"Failed": 1, "Completed": 4}
