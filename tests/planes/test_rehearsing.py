"""A look at what runs would come to takes no writer's turn and leaves nothing behind."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hub.errors import HubError
from hub.runtime.commands import Command, apply
from hub.runtime.rehearsing import rehearse
from hub.store import Store, open_store
from hub.types import new_id
from tests.planes import automating as a
from tests.planes.test_automation_simulated import contents

CONTROLS: dict[str, dict[str, Any]] = {
    "rate_limit": {"limit": 2, "period": 3600, "key": "params.who"},
    "throttle": {"limit": 2, "period": 3600, "key": "params.who"},
    "singleton": {"key": "params.who"},
    "debounce": {"period": 600, "key": "params.who"},
    "batch": {"max_size": 3, "timeout": 600, "key": "params.who"},
}
WHO = ("ada", "bob", "ada", "ada", "ada", "bob", "ada", "ada")


def asked(who: str, target: str = "ci") -> Command:
    args = {"run_id": new_id(), "parameters": {"who": who}, "origin": "automation", "origin_id": new_id()}
    return Command("run.create", a.SCOPE, target, args)


def said(found: Any) -> tuple[str, str] | None:
    told = found["flow_control"]
    return None if told is None else (told["control"], told["decision"])


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("before", [0, 3])
def test_it_says_what_then_happens_whatever_was_asked_for_before(store: Store, control: str, before: int) -> None:
    a.make_deployment(store, flow_control={control: CONTROLS[control]})
    for who in WHO[:before]:
        apply(store, asked(who))
    commands = [asked(who) for who in WHO[before:]]
    was = contents(store)
    foretold = [said(one) for one in rehearse(store, commands)]
    assert contents(store) == was
    assert foretold == [said(apply(store, command).result) for command in commands]
    assert any(foretold)


def test_one_that_would_be_refused_does_not_hold_up_the_others(store: Store) -> None:
    a.make_deployment(store, flow_control={"rate_limit": CONTROLS["rate_limit"]})
    found = rehearse(store, [asked("ada"), asked("ada", "nothing"), asked("ada"), asked("ada")])
    assert isinstance(found[1], HubError)
    assert [said(one) for one in (found[0], *found[2:])] == [None, None, ("rate_limit", "dropped")]


def test_it_goes_on_while_somebody_else_writes(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hub.db")
    store.migrate()
    a.make_deployment(store, flow_control={"rate_limit": CONTROLS["rate_limit"]})
    apply(store, asked("ada"))
    other = sqlite3.connect(tmp_path / "hub.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM runs")
    began = time.monotonic()
    found = rehearse(store, [asked("ada"), asked("ada")])
    assert [said(one) for one in found] == [None, ("rate_limit", "dropped")]
    assert time.monotonic() - began < 5, "a writer's turn is waited for 15 s"
    other.execute("ROLLBACK")
    other.close()
    store.close()
