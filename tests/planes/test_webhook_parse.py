"""The hook hub_webhook_parse on every store: a stranger's plugin says which events a request holds."""

from __future__ import annotations

from typing import Any

import pytest
from hub.errors import UnavailableError
from hub.plugins import PresetText, load_plugins
from hub.runtime import presets, relay
from hub.settings import load_settings
from hub.store import Store, events, receipts
from hub.store.receipts import TABLE
from hub.types import new_id, now_us

from .doors import SCOPE, make, rows

PRESET = """
{id: lines, name: Lines, summary: s, docs: "https://a.example", where: w, verify: {kind: none}, content: [any],
 event: {plugin: PARSER, type: "header:x-kind"}}
"""


def relayed(store: Store, times: int = 1, parser: str = "echo") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A receipt after its relay, and the events of its source."""
    found = presets.gather([PresetText("the test", PRESET.replace("PARSER", parser))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "_installed", found)
        return _relayed(store, times)


def _relayed(store: Store, times: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    source = make(store, "lines", secret=None, verify="none")
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
    assert sorted(told) == [("lines.a-source_one", "line-one", 0), ("lines.a-source_two", "line-two", 1)]


@pytest.mark.parametrize(("mode", "parser"), [("none", "echo"), ("lines", "nobody")])
def test_while_no_plugin_finds_its_events_a_request_waits(
    store: Store, monkeypatch: pytest.MonkeyPatch, mode: str, parser: str
) -> None:
    monkeypatch.setenv("ECHO_PARSE", mode)
    with pytest.raises(UnavailableError, match=f"no plugin here finds the events of {parser}"):
        relayed(store, parser=parser)


@pytest.mark.parametrize(("mode", "said"), [("raise", "plugin echo: ValueError"), ("garbage", "which is no answer")])
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
