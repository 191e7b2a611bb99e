"""Which transition of a run somebody should hear about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hub.types import Id

FIRING = {"failed": "run-failed", "timed_out": "run-timed-out", "crashed": "run-crashed"}
"""Verb of `hub.run.<verb>` -> kind of alert."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something to tell. The key says what it is about, the occurrence which one; both together are told once."""

    status: Literal["firing", "resolved"]
    dedup_key: str
    occurrence: str
    kind: str
    severity: str
    run_id: Id


def judge(event: Mapping[str, Any], run: Mapping[str, Any]) -> AlertEvent | None:
    """The alert that a run's event raises or resolves; None for all others.

    A failing child of another run is told by its parent's failure, not twice.
    """
    verb = str(event["type"]).removeprefix("hub.run.")
    # Both: a plain run of a flow and a deployment that has the flow's name are not the same thing.
    subject = f"{run['flow_name']}/{run['deployment_name'] or ''}"
    if verb == "completed":
        return AlertEvent("resolved", subject, run["id"], "run-completed", "info", run["id"])
    if verb not in FIRING or run.get("parent_run_id"):
        return None
    return AlertEvent("firing", f"{subject}/{FIRING[verb]}", run["id"], FIRING[verb], "error", run["id"])
