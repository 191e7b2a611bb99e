"""The hook hub_webhook_parse on every store: a stranger's plugin says which events a request holds."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import UnavailableError
from hub.plugins import load_plugins
from hub.runtime import relay
from hub.settings import load_settings
from hub.store import Store, events, receipts
from hub.store.receipts import TABLE
from hub.types import new_id, now_us

from .doors import SCOPE, make, rows


def relayed(store: Store, times: int = 1) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A receipt after its relay, and the events of its source."""
    source = make(store)
    row = {"id": new_id(), "workspace_id": SCOPE.workspace_id, "source_id": source.id, "received_at": now_us(),
           "body": b"one\ntwo", "event_type": "push", "delivery_id": "d-1", "verdict": "accepted"}  # fmt: skip
    with store.write() as tx:
        tx.insert(TABLE, receipts.complete(row))
    ctx = load_plugins(load_settings({"plugins": "only:webhooks,echo"}, environ={}), process="upkeep", store=store)
    for attempt in range(times):
        try:
            relay.carry_out(ctx.context, {"workspace_id": SCOPE.workspace_id, "payload": {"receipt_id": row["id"]}})
        except UnavailableError:
            assert attempt == times - 1
            raise
        if attempt < times - 1:
            with store.write() as tx:
                tx.conn.execute(TABLE.update().values(processed_at=None))
    with store.read() as tx:
        found = [dict(event) for event in tx.conn.execute(events.TABLE.select()).mappings()]
    return rows(store)[0], [event for event in found if event["source"].startswith("source:")]


def test_each_thing_that_a_plugin_finds_is_an_event(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_PARSE", "lines")
    receipt, found = relayed(store)
    assert (receipt["events"], receipt["error"]) == (2, None)
    told = [(one["type"], one["body"]["delivery_id"], one["body"]["index"]) for one in found]
    assert sorted(told) == [("github.a-source_one", "line-one", 0), ("github.a-source_two", "line-two", 1)]


def test_what_no_plugin_takes_is_read_as_its_preset_says(store: Store) -> None:
    receipt, found = relayed(store)
    assert (receipt["events"], [one["type"] for one in found]) == (1, ["github.push"])


@pytest.mark.parametrize(("mode", "said"), [("raise", "plugin echo: ValueError"), ("garbage", "no events")])
def test_a_request_at_which_a_plugin_fails_is_a_dead_letter(
    store: Store, monkeypatch: pytest.MonkeyPatch, mode: str, said: str
) -> None:
    monkeypatch.setenv("ECHO_PARSE", mode)
    receipt, found = relayed(store)
    assert (receipt["events"], found) == (0, [])
    assert said in receipt["error"]
    with store.read() as tx:
        types = [row["type"] for row in tx.conn.execute(events.TABLE.select()).mappings()]
    assert "hub.receipt.failed" in types


def test_while_a_plugin_is_left_alone_the_request_waits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHO_PARSE", "raise")
    with pytest.raises(UnavailableError, match="plugin echo: it failed again and again"):
        relayed(store, times=6)
