"""What a message tells, as a JSON document that texts are made of. Pure.

{"reason", "route", "channel", "created_at", "counts": {"firing", "resolved", "occurrences", "left_out"},
"alerts": [at most 20, news first], "links": {"acknowledge", "silence", "dashboard"}}. Texts of channels see this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.types import JsonObject, Micros, rfc3339

from hub_notifications.routes import labels_of

MAX_ALERTS = 20
MAX_RUNS = 10


def content(
    reason: str,
    alerts: Sequence[Mapping[str, Any]],
    told: Sequence[Mapping[str, Any]],
    now: Micros,
    *,
    route: str = "",
    note: str = "",
    runs: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> JsonObject:
    """The document. `note`: something about the message itself.

    `alerts`: rows of those that are told in detail, `told`: all, with how often they came since.

    `runs`: by alert id, the rows of its newest occurrences.
    """
    counted = {one["alert_id"]: one["occurrences"] for one in told}
    shown = alerts[:MAX_ALERTS]
    return {
        "reason": reason, "route": route, "channel": "", "created_at": rfc3339(now), "note": note,
        "counts": {
            "firing": sum(one["status"] == "firing" for one in told),
            "resolved": sum(one["status"] == "resolved" for one in told),
            "occurrences": sum(counted.values()), "left_out": len(told) - len(shown),
        },
        "alerts": [_alert(row, counted.get(row["id"], 0), (runs or {}).get(row["id"], ())) for row in shown],
        "links": {"acknowledge": "", "silence": "", "dashboard": ""},
    }  # fmt: skip


def digest(
    newest: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]], messages: int, now: Micros
) -> JsonObject:
    """The document of a digest: what overflowed a channel's rate, the newest first."""
    made = content("digest", sorted(newest, key=lambda row: row["id"], reverse=True), told, now)
    return {**made, "messages": messages}


def _alert(row: Mapping[str, Any], since: int, occurrences: Sequence[Mapping[str, Any]]) -> JsonObject:
    labels, context = labels_of(row), row["context"] or {}
    return {
        "id": row["id"], "status": row["status"], "kind": row["kind"], "severity": row["severity"],
        "title": row["title"], "text": row["body"], "about": labels["about"], "labels": labels,
        "dedup_key": row["dedup_key"], "occurrences": since, "total": row["count"],
        "started_at": rfc3339(row["created_at"]),
        "ended_at": rfc3339(row["resolved_at"]) if row["resolved_at"] is not None else None,
        "acknowledged_by": row["acknowledged_by"] or None,
        "flow": labels["flow"], "deployment": labels["deployment"], "run": context.get("run"),
        "task": context.get("task"), "error": context.get("error"), "logs": context.get("logs") or [],
        "runs": [{"id": one["run_id"], "name": one["run_name"], "link": ""} for one in occurrences if one["run_id"]],
        "links": {"run": "", "alert": ""},
    }  # fmt: skip
