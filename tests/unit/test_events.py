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
    "hub.run.sleeping",
    "hub.run.started",
    "hub.run.suspended",
    "hub.run.timed_out",
    "hub.run.waiting",
    "hub.run.went_on",
}
PRIVATE_OF_RUNS = {"state_message": "errors", "error_message": "errors", "parameters": "params"}
LIMIT = {"name": "metadata", "slots": "metadata", "rate": "metadata", "period_us": "metadata"}
ARTIFACT = {
    **dict.fromkeys(("kind", "key", "flow_name", "task_name", "task_run_id"), "metadata"), "description": "results",
}  # fmt: skip
ASSET = {
    **dict.fromkeys(
        ("key", "asset_id", "flow_name", "task_name", "task_run_id", "attempt", "upstream"), "metadata"
    ),
    "details": "results",
}  # fmt: skip
INPUT = {"key": "metadata", "point_id": "metadata"}
SENT = dict.fromkeys(("endpoint_id", "kind", "attempt", "status_code"), "metadata")
CONTROLLED = {
    **dict.fromkeys(("control", "deployment_id", "deployment_name", "origin", "reason"), "metadata"), "key": "params",
}  # fmt: skip
OTHERS = {
    **{f"hub.flow_control.{verb}": CONTROLLED for verb in ("delayed", "merged", "dropped", "cancelled")},
    **{
        f"hub.endpoint.{verb}": {"name": "metadata", "version": "metadata"}
        for verb in ("created", "updated", "rotated", "deleted")
    },
    "hub.endpoint.disabled": {"name": "metadata", "reason": "errors"},
    "hub.webhook.delivered": SENT,
    "hub.webhook.failed": {**SENT, "error": "errors"},
    "hub.source.connected": {"name": "metadata", "version": "metadata"},
    "hub.source.disconnected": {"name": "metadata", "reason": "errors"},
    "hub.source.confirmed": {"name": "metadata", "by": "metadata"},
    "hub.source.unconfirmed": {"name": "metadata", "by": "metadata", "reason": "errors"},
    "hub.automation.ticked": {"name": "metadata", "planned_for": "metadata"},
    "hub.input.asked": {**INPUT, "expires_at": "metadata", "description": "params"},
    "hub.input.answered": {**INPUT, "value": "params"},
    "hub.input.expired": {**INPUT, "expires_at": "metadata"},
    "hub.asset.materialized": ASSET,
    "hub.asset.failed": {**ASSET, "error": "errors"},
    "hub.rollback.failed": {
        **dict.fromkeys(
            ("flow_name", "run_name", "task_name", "task_run_id", "step", "tries", "rollback_run_id"), "metadata"
        ),
        "error": "errors",
    },
    "hub.variable.set": {"name": "metadata", "tags": "metadata", "created": "metadata", "value": "params"},
    "hub.variable.unset": {"name": "metadata"},
    "hub.plugin.configured": {"name": "metadata", "fields": "metadata", "unset": "metadata", "revision": "metadata"},
    "hub.plugin.enabled": {"name": "metadata"},
    "hub.plugin.disabled": {"name": "metadata"},
    "hub.plugin.reset": {"name": "metadata"},
    "hub.artifact.created": ARTIFACT,
    "hub.artifact.updated": ARTIFACT,
    "hub.alert.resolved": {"alert_id": "metadata", "kind": "metadata", "title": "errors"},
    "hub.alert.acknowledged": {"alert_id": "metadata", "kind": "metadata", "by": "metadata", "title": "errors"},
    "hub.route.created": {"name": "metadata", "version": "metadata"},
    "hub.route.updated": {"name": "metadata", "version": "metadata"},
    "hub.route.deleted": {"name": "metadata", "version": "metadata"},
    "hub.inhibition.created": {"name": "metadata", "version": "metadata"},
    "hub.inhibition.updated": {"name": "metadata", "version": "metadata"},
    "hub.inhibition.deleted": {"name": "metadata", "version": "metadata"},
    "hub.sla.created": {"name": "metadata", "version": "metadata"},
    "hub.sla.updated": {"name": "metadata", "version": "metadata"},
    "hub.sla.deleted": {"name": "metadata", "version": "metadata"},
    "hub.route.failed": {"name": "metadata", "alert_id": "metadata", "error": "errors"},
    "hub.silence.created": {"by": "metadata", "comment": "errors"},
    "hub.silence.ended": {"by": "metadata", "comment": "errors"},
    "hub.alert.raised": {"alert_id": "metadata", "kind": "metadata", "severity": "metadata", "title": "errors"},
    "hub.automation.created": {"name": "metadata", "version": "metadata"},
    "hub.automation.deleted": {"name": "metadata", "version": "metadata"},
    "hub.automation.failed": {"name": "metadata", "cause": "metadata", "depth": "metadata", "error": "errors"},
    "hub.automation.missed": {
        "name": "metadata",
        "cause": "metadata",
        "depth": "metadata",
        "since": "metadata",
        "until": "metadata",
        "count": "metadata",
        "threshold": "metadata",
        "key": "params",
    },
    "hub.automation.updated": {"name": "metadata", "version": "metadata"},
    "hub.channel.created": {"name": "metadata", "version": "metadata"},
    "hub.channel.deleted": {"name": "metadata", "version": "metadata"},
    "hub.channel.disabled": {"name": "metadata", "version": "metadata"},
    "hub.channel.template_failed": {"name": "metadata", "error": "errors"},
    "hub.channel.updated": {"name": "metadata", "version": "metadata"},
    "hub.command.answered": {"command_id": "metadata", "op": "metadata", "status": "metadata", "code": "metadata"},
    "hub.delivery.failed": {"alert_id": "metadata", "channel": "metadata", "attempt": "metadata", "error": "errors"},
    "hub.delivery.sent": {"alert_id": "metadata", "channel": "metadata", "attempt": "metadata"},
    "hub.deployment.created": {"name": "metadata", "version": "metadata"},
    "hub.deployment.deleted": {"name": "metadata", "version": "metadata"},
    "hub.deployment.paused": {"name": "metadata", "version": "metadata"},
    "hub.deployment.resumed": {"name": "metadata", "version": "metadata"},
    "hub.deployment.updated": {"name": "metadata", "version": "metadata"},
    "hub.limit.updated": LIMIT,
    "hub.limit.deleted": LIMIT,
    "hub.limit.created": LIMIT,
    "hub.link.connected": {"name": "metadata", "level": "metadata"},
    "hub.link.gap": dict.fromkeys(
        ("name", "site", "log_epoch", "first", "last", "count", "bytes", "cause"), "metadata"
    ),
    "hub.link.policy_set": {"name": "metadata", "level": "metadata"},
    "hub.link.webhook_lost": dict.fromkeys(("name", "source", "receipt", "reason"), "metadata"),
    "hub.link.disconnected": {"name": "metadata", "reason": "metadata"},
    "hub.receipt.failed": {"receipt_id": "metadata", "source_id": "metadata", "error": "errors"},
    "hub.schedule.created": {"deployment_id": "metadata", "kind": "metadata"},
    "hub.schedule.deleted": {"deployment_id": "metadata", "kind": "metadata"},
    "hub.schedule.failed": {"deployment_id": "metadata", "planned_at": "metadata", "error": "errors"},
    "hub.schedule.updated": {"deployment_id": "metadata", "kind": "metadata"},
    "hub.source.created": {"name": "metadata", "version": "metadata"},
    "hub.source.deleted": {"name": "metadata", "version": "metadata"},
    "hub.source.drifted": {
        "name": "metadata",
        "event_type": "metadata",
        "kind": "metadata",
        "receipt_id": "metadata",
        "path": "params",
    },
    "hub.source.heard": {"name": "metadata", "since": "metadata", "reason": "metadata"},
    "hub.source.silent": {"name": "metadata", "since": "metadata", "after_s": "metadata"},
    "hub.source.paused": {"name": "metadata", "version": "metadata"},
    "hub.source.resumed": {"name": "metadata", "version": "metadata"},
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
    private = {name: level for name, level in WEBHOOK_FIELDS.items() if level != "metadata"}
    assert private == {"order_key": "params", "order_error": "errors"}


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
