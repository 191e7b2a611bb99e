"""The export classes of every event field, written out: to let more leave a site is a change to this file too."""

from __future__ import annotations

import pytest
from hub.events import CATALOG, WEBHOOK_FIELDS, canonical, chain, split

RUN_EVENTS = {
    "hub.run.awaiting_retry",
    "hub.run.cancel_requested",
    "hub.run.cancelled",
    "hub.run.completed",
    "hub.run.crashed",
    "hub.run.created",
    "hub.run.dispatched",
    "hub.run.failed",
    "hub.run.late",
    "hub.run.lost",
    "hub.run.paused",
    "hub.run.released",
    "hub.run.resumed",
    "hub.run.started",
    "hub.run.timed_out",
}
PRIVATE_OF_RUNS = {"state_message": "errors", "error_message": "errors", "parameters": "params"}
OTHERS = {
    "hub.alert.raised": {"alert_id": "metadata", "kind": "metadata", "severity": "metadata", "title": "errors"},
    "hub.automation.created": {"name": "metadata", "version": "metadata"},
    "hub.automation.deleted": {"name": "metadata", "version": "metadata"},
    "hub.automation.failed": {"name": "metadata", "cause": "metadata", "error": "errors"},
    "hub.automation.updated": {"name": "metadata", "version": "metadata"},
    "hub.channel.created": {"name": "metadata", "version": "metadata"},
    "hub.channel.deleted": {"name": "metadata", "version": "metadata"},
    "hub.channel.disabled": {"name": "metadata", "version": "metadata"},
    "hub.channel.updated": {"name": "metadata", "version": "metadata"},
    "hub.command.answered": {"command_id": "metadata", "op": "metadata", "status": "metadata", "code": "metadata"},
    "hub.delivery.failed": {"alert_id": "metadata", "channel": "metadata", "attempt": "metadata", "error": "errors"},
    "hub.delivery.sent": {"alert_id": "metadata", "channel": "metadata", "attempt": "metadata"},
    "hub.deployment.created": {"name": "metadata", "version": "metadata"},
    "hub.deployment.deleted": {"name": "metadata", "version": "metadata"},
    "hub.deployment.paused": {"name": "metadata", "version": "metadata"},
    "hub.deployment.resumed": {"name": "metadata", "version": "metadata"},
    "hub.deployment.updated": {"name": "metadata", "version": "metadata"},
    "hub.link.connected": {"name": "metadata"},
    "hub.link.disconnected": {"name": "metadata", "reason": "metadata"},
    "hub.receipt.failed": {"receipt_id": "metadata", "source_id": "metadata", "error": "errors"},
    "hub.schedule.created": {"deployment_id": "metadata", "kind": "metadata"},
    "hub.schedule.deleted": {"deployment_id": "metadata", "kind": "metadata"},
    "hub.schedule.failed": {"deployment_id": "metadata", "planned_at": "metadata", "error": "errors"},
    "hub.schedule.updated": {"deployment_id": "metadata", "kind": "metadata"},
    "hub.source.created": {"name": "metadata", "version": "metadata"},
    "hub.source.deleted": {"name": "metadata", "version": "metadata"},
    "hub.source.rotated": {"name": "metadata", "version": "metadata"},
    "hub.source.updated": {"name": "metadata", "version": "metadata"},
    "hub.worker.lost": {"name": "metadata"},
    "hub.worker.started": {"name": "metadata", "slots": "metadata", "queues": "metadata"},
    "hub.worker.stopped": {"name": "metadata"},
}


def test_the_classes_are_the_ones_that_were_agreed() -> None:
    assert {name for name in CATALOG if name.startswith("hub.run.")} == RUN_EVENTS
    for name in RUN_EVENTS:
        assert {field: level for field, level in CATALOG[name].items() if level != "metadata"} == PRIVATE_OF_RUNS
    assert {name: fields for name, fields in CATALOG.items() if name not in RUN_EVENTS} == OTHERS
    assert set(WEBHOOK_FIELDS.values()) == {"metadata"}


def test_a_field_that_nobody_classed_is_an_error() -> None:
    with pytest.raises(KeyError):
        split("hub.run.created", {"result": 1})
    with pytest.raises(KeyError):
        split("hub.no.such", {})
    with pytest.raises(KeyError):
        split("github.push", {"body": {}})


def test_private_fields_do_not_reach_the_body() -> None:
    body, private = split("hub.run.failed", {"state_name": "Failed", "error_message": "canary", "parameters": {"a": 1}})
    assert body == {"state_name": "Failed"}
    assert private == {"errors": {"error_message": "canary"}, "params": {"parameters": {"a": 1}}}


def test_the_hashed_form_is_stable_and_refuses_floats() -> None:
    assert canonical({"b": [1, None], "a": "é"}) == b'{"a":"\\u00e9","b":[1,null]}'
    with pytest.raises(TypeError):
        canonical({"a": [{"b": 0.1}]})


def test_the_chain_depends_on_what_came_before() -> None:
    event = {"id": "1", "type": "t", "subject": "s", "run_id": None, "at": 1, "schema_version": 1, "body": {}}
    assert chain("", event) == chain("", dict(event))
    assert chain(chain("", event), event) != chain("", event)
