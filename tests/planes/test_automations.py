"""Automations on every store: once an event, errors kept."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import ConflictError, ExpressionError, NotFoundError
from hub.runtime.automations import Automations
from hub.runtime.commands import Command, apply
from hub.store import Store, automations, events, runs
from hub.store.tables import Deployment, Event, Receipt
from hub.types import Scope, new_id

SCOPE = Scope()


def step(store: Store) -> bool:
    """What an upkeep process does that has just begun."""
    return Automations(store).step()


def make_deployment(store: Store, name: str = "ci") -> None:
    with store.write() as tx:
        row = {
            "id": new_id(), "workspace_id": SCOPE.workspace_id, "name": name, "flow_name": name, "entrypoint": "f.py:f",
            "parameters": {}, "parameter_schema": {}, "tags": [], "retry_policy": {}, "created_at": tx.now,
            "updated_at": tx.now,
        }  # fmt: skip
        tx.insert(Deployment.__table__, row)  # type: ignore[attr-defined]


def receive(store: Store, body: bytes, seq: int) -> str:
    """A receipt and its stamped event, as relay and sequencer leave them."""
    receipt = new_id()
    with store.write() as tx:
        row = {
            "id": receipt, "workspace_id": SCOPE.workspace_id, "source_id": new_id(), "received_at": tx.now,
            "headers": [["content-type", "application/json"], ["X-GitHub-Event", "push"]], "body": body,
        }  # fmt: skip
        tx.insert(Receipt.__table__, row)  # type: ignore[attr-defined]
        event_id = events.append(tx, SCOPE, "github.push", source="source:gh", receipt_id=receipt, preset="github")
        table = Event.__table__  # type: ignore[attr-defined]
        tx.conn.execute(table.update().where(table.c.id == event_id).values(seq=seq, hash=""))
    return event_id


def create(store: Store, match: str = "body.ref == 'main'", **more: Any) -> dict[str, Any]:
    args = {
        "name": "on-push",
        "trigger": {"types": ["github.*"], "match": match},
        "actions": [{"run_deployment": "ci", "parameters": {"ref": "=body.ref", "kind": "=headers['x-github-event']"}}],
        **more,
    }
    return apply(store, Command("automation.create", SCOPE, args=args)).result


def test_a_matching_event_runs_the_deployment_once(store: Store) -> None:
    make_deployment(store)
    create(store)
    receive(store, b'{"ref": "main"}', 1)
    receive(store, b'{"ref": "other"}', 2)
    assert step(store)
    assert not step(store)
    with store.write() as tx:  # as if the cursor had been lost in a crash
        tx.conn.exec_driver_sql("DELETE FROM site_values")
        tx.conn.exec_driver_sql("DELETE FROM firings")
    assert step(store)
    with store.read() as tx:
        found = runs.listing(tx, SCOPE).items
    assert [run["parameters"] for run in found] == [{"ref": "main", "kind": "push"}]
    assert found[0]["created_by"].startswith("automation:")


def test_a_filter_error_is_kept_and_becomes_an_event(store: Store) -> None:
    make_deployment(store)
    create(store, match="body.missing == 1")
    event_id = receive(store, b"{}", 1)
    step(store)
    with store.read() as tx:
        (firing,) = automations.firings(tx, SCOPE, event_id=event_id)
        types = [row["type"] for row in tx.conn.execute(Event.__table__.select()).mappings()]  # type: ignore[attr-defined]
    assert firing["outcome"] == "error"
    assert "missing" in firing["error"]
    assert "hub.automation.failed" in types


def test_an_unreadable_body_is_an_error_and_the_next_event_goes_on(store: Store) -> None:
    make_deployment(store)
    create(store)
    receive(store, b"{not json", 1)
    receive(store, b'{"ref": "main"}', 2)
    step(store)
    with store.read() as tx:
        assert len(runs.listing(tx, SCOPE).items) == 1
        assert {row["outcome"] for row in automations.firings(tx, SCOPE)} == {"fired", "error"}


def test_what_cannot_work_is_refused_when_it_is_saved(store: Store) -> None:
    with pytest.raises(NotFoundError):
        create(store)
    make_deployment(store)
    with pytest.raises(ExpressionError):
        create(store, match="body.(")
    create(store)
    with pytest.raises(ConflictError):
        create(store)


def test_a_removed_or_disabled_automation_does_nothing(store: Store) -> None:
    make_deployment(store)
    create(store)
    apply(store, Command("automation.update", SCOPE, "on-push", {"enabled": False}))
    receive(store, b'{"ref": "main"}', 1)
    step(store)
    apply(store, Command("automation.delete", SCOPE, "on-push"))
    with store.read() as tx:
        assert runs.listing(tx, SCOPE).items == []
        assert automations.listing(tx, SCOPE).items == []
