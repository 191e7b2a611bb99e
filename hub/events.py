"""The catalogue of events: every type the hub writes, and the export class of every field.

Classes, from what always may leave a site to what never does: metadata, errors, logs, params, results, never.
A field that is not declared is an error when it is written, so nothing leaves unclassed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

from hub.types import ExportLevel, JsonObject

Level: TypeAlias = Literal["metadata", "errors", "logs", "params", "results", "never"]
LEVELS: tuple[ExportLevel, ...] = get_args(ExportLevel)

_RUN: dict[str, Level] = {
    "flow_name": "metadata",
    "run_name": "metadata",
    "deployment_id": "metadata",
    "deployment_name": "metadata",
    "parent_run_id": "metadata",
    "restart_of": "metadata",
    "origin": "metadata",
    "origin_id": "metadata",
    "queue": "metadata",
    "home": "metadata",
    "tags": "metadata",
    "state_type": "metadata",
    "state_name": "metadata",
    "version": "metadata",
    "attempt": "metadata",
    "epoch": "metadata",
    "retries_used": "metadata",
    "crashes": "metadata",
    "created_at": "metadata",
    "due_at": "metadata",
    "started_at": "metadata",
    "ended_at": "metadata",
    "error_type": "metadata",
    "error_class": "metadata",
    "state_message": "errors",
    "error_message": "errors",
    "parameters": "params",
}

_NAMED: dict[str, Level] = {"name": "metadata", "version": "metadata"}

_INPUT: dict[str, Level] = {"key": "metadata", "point_id": "metadata"}

_ARTIFACT: dict[str, Level] = {
    "kind": "metadata",
    "key": "metadata",
    "flow_name": "metadata",
    "task_name": "metadata",
    "task_run_id": "metadata",
    "description": "results",
}

_SENT: dict[str, Level] = {
    "endpoint_id": "metadata",
    "kind": "metadata",
    "attempt": "metadata",
    "status_code": "metadata",
}

_ASSET: dict[str, Level] = {
    "key": "metadata",
    "asset_id": "metadata",
    "flow_name": "metadata",
    "task_name": "metadata",
    "task_run_id": "metadata",
    "attempt": "metadata",
    "upstream": "metadata",
    "details": "results",
}

_CONTROLLED: dict[str, Level] = {
    "control": "metadata",
    "deployment_id": "metadata",
    "deployment_name": "metadata",
    "origin": "metadata",
    "reason": "metadata",
    "key": "params",
}

RUN_VERBS = (
    "created",
    "dispatched",
    "started",
    "completed",
    "failed",
    "timed_out",
    "awaiting_retry",
    "crashed",
    "lost",
    "released",
    "late",
    "sleeping",
    "suspended",
    "waiting",
    "went_on",
    "paused",
    "resumed",
    "cancel_requested",
    "cancelled",
)

CATALOG: dict[str, dict[str, Level]] = {
    **{f"hub.run.{verb}": _RUN for verb in RUN_VERBS},
    **{f"hub.deployment.{verb}": _NAMED for verb in ("created", "updated", "deleted", "paused", "resumed")},
    **{f"hub.source.{verb}": _NAMED for verb in ("created", "updated", "rotated", "paused", "resumed", "deleted")},
    "hub.source.connected": _NAMED,
    "hub.source.disconnected": {"name": "metadata", "reason": "errors"},
    **{f"hub.automation.{verb}": _NAMED for verb in ("created", "updated", "deleted")},
    **{f"hub.channel.{verb}": _NAMED for verb in ("created", "updated", "disabled", "deleted")},
    "hub.channel.template_failed": {"name": "metadata", "error": "errors"},
    **{
        f"hub.schedule.{verb}": {"deployment_id": "metadata", "kind": "metadata"}
        for verb in ("created", "updated", "deleted")
    },
    "hub.schedule.failed": {"deployment_id": "metadata", "planned_at": "metadata", "error": "errors"},
    "hub.rollback.failed": {
        "flow_name": "metadata",
        "run_name": "metadata",
        "task_name": "metadata",
        "task_run_id": "metadata",
        "step": "metadata",
        "tries": "metadata",
        "rollback_run_id": "metadata",
        "error": "errors",
    },
    "hub.automation.failed": {"name": "metadata", "cause": "metadata", "depth": "metadata", "error": "errors"},
    "hub.source.confirmed": {"name": "metadata", "by": "metadata"},
    "hub.source.unconfirmed": {"name": "metadata", "by": "metadata", "reason": "errors"},
    "hub.automation.ticked": {"name": "metadata", "planned_for": "metadata"},
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
    "hub.source.silent": {"name": "metadata", "since": "metadata", "after_s": "metadata"},
    "hub.source.drifted": {
        "name": "metadata",
        "event_type": "metadata",
        "kind": "metadata",
        "receipt_id": "metadata",
        "path": "params",
    },
    "hub.source.heard": {"name": "metadata", "since": "metadata", "reason": "metadata"},
    **{f"hub.flow_control.{verdict}": _CONTROLLED for verdict in ("delayed", "merged", "dropped", "cancelled")},
    "hub.receipt.failed": {"receipt_id": "metadata", "source_id": "metadata", "error": "errors"},
    "hub.alert.raised": {
        "alert_id": "metadata",
        "kind": "metadata",
        "severity": "metadata",
        "title": "errors",
    },
    "hub.alert.resolved": {"alert_id": "metadata", "kind": "metadata", "title": "errors"},
    "hub.alert.acknowledged": {"alert_id": "metadata", "kind": "metadata", "by": "metadata", "title": "errors"},
    **{f"hub.route.{verb}": _NAMED for verb in ("created", "updated", "deleted")},
    "hub.route.failed": {"name": "metadata", "alert_id": "metadata", "error": "errors"},
    **{f"hub.silence.{verb}": {"by": "metadata", "comment": "errors"} for verb in ("created", "ended")},
    **{f"hub.inhibition.{verb}": _NAMED for verb in ("created", "updated", "deleted")},
    **{f"hub.sla.{verb}": _NAMED for verb in ("created", "updated", "deleted")},
    "hub.delivery.sent": {"alert_id": "metadata", "channel": "metadata", "attempt": "metadata"},
    "hub.delivery.failed": {
        "alert_id": "metadata",
        "channel": "metadata",
        "attempt": "metadata",
        "error": "errors",
    },
    **{f"hub.endpoint.{verb}": _NAMED for verb in ("created", "updated", "rotated", "deleted")},
    "hub.endpoint.disabled": {"name": "metadata", "reason": "errors"},
    "hub.webhook.delivered": _SENT,
    "hub.webhook.failed": {**_SENT, "error": "errors"},
    "hub.command.answered": {
        "command_id": "metadata",
        "op": "metadata",
        "status": "metadata",
        "code": "metadata",
    },
    **{
        f"hub.limit.{verb}": {"name": "metadata", "slots": "metadata", "rate": "metadata", "period_us": "metadata"}
        for verb in ("created", "updated", "deleted")
    },
    **{f"hub.artifact.{verb}": _ARTIFACT for verb in ("created", "updated")},
    "hub.asset.materialized": _ASSET,
    "hub.asset.failed": {**_ASSET, "error": "errors"},
    "hub.variable.set": {"name": "metadata", "tags": "metadata", "created": "metadata", "value": "params"},
    "hub.variable.unset": {"name": "metadata"},
    "hub.input.asked": {**_INPUT, "expires_at": "metadata", "description": "params"},
    "hub.input.answered": {**_INPUT, "value": "params"},
    "hub.input.expired": {**_INPUT, "expires_at": "metadata"},
    "hub.plugin.configured": {"name": "metadata", "fields": "metadata", "unset": "metadata", "revision": "metadata"},
    **{f"hub.plugin.{verb}": {"name": "metadata"} for verb in ("enabled", "disabled", "reset")},
    "hub.worker.started": {"name": "metadata", "slots": "metadata", "queues": "metadata"},
    "hub.worker.lost": {"name": "metadata"},
    "hub.worker.stopped": {"name": "metadata"},
    **{f"hub.link.{verb}": {"name": "metadata", "level": "metadata"} for verb in ("connected", "policy_set")},
    "hub.link.gap": dict.fromkeys(
        ("name", "site", "log_epoch", "first", "last", "count", "bytes", "cause"), "metadata"
    ),
    "hub.link.webhook_lost": dict.fromkeys(("name", "source", "receipt", "reason"), "metadata"),
    "hub.link.disconnected": {"name": "metadata", "reason": "metadata"},
}

WEBHOOK_FIELDS: dict[str, Level] = {
    "receipt_id": "metadata",
    "source_id": "metadata",
    "source_name": "metadata",
    "preset": "metadata",
    "provider_type": "metadata",
    "delivery_id": "metadata",
    "index": "metadata",
    "replay_of": "metadata",
    "order_no": "metadata",
    "order_key": "params",
    "order_error": "errors",
}
"""Fields of an event that came in by a webhook, of type `<preset>.<provider's type>`; the receipt keeps its body.

`replay_of` is there when somebody let the request happen again. `order_no` counts the events of a source whose runs are
made in order, `order_key` is what they share, `order_error` why there is none."""

EMITTED = "emitted"
"""The source of events that users write themselves."""
EMITTED_FIELDS: dict[str, Level] = {"resource": "metadata", "related": "metadata", "payload": "params"}
"""Their fields: labels of what they are about, and what they say."""

_OF_OTHERS = {**WEBHOOK_FIELDS, **EMITTED_FIELDS}


def split(type_: str, fields: Mapping[str, Any]) -> tuple[JsonObject, JsonObject]:
    """Split the fields of an event into its metadata and, by class, what stays private.

    Raises KeyError for a type or a field that nobody classed, TypeError for a float among the metadata (it could
    not be hashed): both are defects of the hub, not of its user.
    """
    classes = CATALOG[type_] if type_.startswith("hub.") else _OF_OTHERS
    body: JsonObject = {}
    private: dict[str, dict[str, Any]] = {}
    for name, value in fields.items():
        level = classes[name]
        if level == "metadata":
            body[name] = value
        elif level != "never" and value not in (None, "", {}):
            private.setdefault(level, {})[name] = value
    _refuse_floats(body)
    return body, private  # type: ignore[return-value]


def allows(policy: str, level: str) -> bool:
    """Whether a policy lets a class out. What is no policy lets nothing out but metadata."""
    return level == "metadata" or (policy in LEVELS and level in LEVELS and _RANK[level] <= _RANK[policy])


def lowest(*policies: str) -> ExportLevel:
    """The policy that lets out the least; one that is not known counts as metadata."""
    return LEVELS[min(_RANK.get(policy, 0) for policy in policies)]


_RANK: dict[str, int] = {level: rank for rank, level in enumerate(LEVELS)}


def canonical(value: Any) -> bytes:
    """The hashed form of JSON: sorted keys, no spaces, ASCII, no floats. Raises TypeError on a float."""
    _refuse_floats(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


CHAINED = ("id", "type", "subject", "run_id", "at", "schema_version", "body")
"""What of an event is hashed, and what of it always may leave the site."""


def digest(event: Mapping[str, Any]) -> str:
    """The sha256 of an event's canonical form. It may stand for an event that must not be shown to a peer.

    `more`, by class what the policy lets out beside the metadata, counts with the commitment to each part: so a part
    can be left out for one peer and shown to another, and the digest is the same.
    """
    whole = {name: event[name] for name in CHAINED}
    if event.get("more"):
        whole["more"] = {level: commitment(part) for level, part in event["more"].items()}
    return hashlib.sha256(canonical(whole)).hexdigest()


def commitment(part: Mapping[str, Any]) -> str:
    """What stands for a part in the digest: the sha256 of its random salt and its text, so that nothing in it can be
    guessed from it. A part that is not shown is only this `hash`."""
    if "text" not in part:
        return str(part["hash"])
    return hashlib.sha256(f"{part['salt']}{part['text']}".encode()).hexdigest()


def chain(previous: str, event_digest: str) -> str:
    """The hash of an event in its stream: sha256 of the previous hash and the event's digest."""
    return hashlib.sha256(f"{previous}{event_digest}".encode()).hexdigest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a hashed event must not hold floats: write seconds as integer microseconds")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _refuse_floats(item)
