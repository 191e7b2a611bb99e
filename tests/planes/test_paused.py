"""A paused deployment rests its schedules and nothing else (the schedules are in test_scheduler.py)."""

from __future__ import annotations

from hub.runtime.commands import Command, apply
from hub.store import Store, runs
from hub.types import Scope

SCOPE = Scope()


def test_it_can_be_started_by_hand(store: Store) -> None:
    made = {"name": "ci", "flow_name": "ci", "entrypoint": "ci.py:ci", "paused": True}
    apply(store, Command("deployment.set", SCOPE, "ci", made))
    with store.read() as tx:
        assert runs.listing(tx, SCOPE).items == []
    apply(store, Command("run.create", SCOPE, "ci"))
    with store.read() as tx:
        assert [row["state_type"] for row in runs.listing(tx, SCOPE).items] == ["SCHEDULED"]
