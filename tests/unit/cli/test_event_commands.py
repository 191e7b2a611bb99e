"""`hub events emit` and what it says."""

from __future__ import annotations

from tests.unit.cli.conftest import Shell


def test_an_event_of_ones_own_is_written(hub: Shell) -> None:
    made = hub.json("events", "emit", "order.paid", "order-17", "-p", "amount=20", "--label", "shop=berlin")
    assert (made["type"], len(made["id"])) == ("order.paid", 36)
    assert "Event order.paid is written: " in hub("events", "emit", "order.paid", "--value", "[1]")


def test_what_is_none_is_refused_with_a_reason(hub: Shell) -> None:
    assert "hub's own" in hub("events", "emit", "hub.run.failed", code=2)
    assert "is not name=value" in hub("events", "emit", "a", "--label", "b", code=2)
    assert "whole payload" in hub("events", "emit", "a", "--value", "1", "-p", "b=2", code=2)
