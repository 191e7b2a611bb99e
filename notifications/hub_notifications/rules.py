"""What somebody should hear about: the alert that a transition of a run means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hub.types import Id

FIRING = {"failed": "run-failed", "timed_out": "run-timed-out", "crashed": "run-crashed"}
"""Verb of `hub.run.<verb>` -> kind of alert."""


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something to tell, or (resolved) what is over.

    The key says what it is about: `about/kind`; while it fires, another occurrence is one more of the same alert.
    """

    status: Literal["firing", "resolved"]
    about: str
    occurrence: str
    """Which time it happened: the same one twice is told once."""
    kind: str
    severity: str = "error"
    title: str = ""
    text: str = ""
    run_id: Id = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    """run {id, name, state, attempt}, task, error {type, message}, logs [line], links {name: URL}, tags."""

    @property
    def key(self) -> str:
        """Its identity."""
        return f"{self.about}/{self.kind}"


def about_run(run: Mapping[str, Any]) -> str:
    """What alerts of a run are about.

    Both names: a plain run of a flow and a deployment that has the flow's name are not the same thing.
    """
    return f"{run['flow_name']}/{run['deployment_name'] or ''}"


def labels_of_run(run: Mapping[str, Any]) -> dict[str, str]:
    """The labels of an alert about a run."""
    return {
        "about": about_run(run), "flow": run["flow_name"], "deployment": run["deployment_name"] or "",
        "queue": run.get("queue") or "",
    }  # fmt: skip


def judge(event: Mapping[str, Any], run: Mapping[str, Any]) -> AlertEvent | None:
    """The alert that a run's event raises or resolves; None for all others.

    A failing child of another run is told by its parent's failure, not twice, unless its flow says who is to be told.
    """
    verb = str(event["type"]).removeprefix("hub.run.")
    if verb == "completed":
        return AlertEvent("resolved", about_run(run), run["id"], "run-completed", "info", run_id=run["id"])
    said: Mapping[str, Any] = run.get("alerts") or {}
    if verb not in FIRING or verb not in said.get("on", FIRING) or (run.get("parent_run_id") and not said):
        return None
    to = {"to": list(said["to"])} if said.get("to") else {}
    return AlertEvent(
        "firing", about_run(run), run["id"], FIRING[verb], said.get("severity") or "error", run_id=run["id"],
        labels=labels_of_run(run),
        context={
            "run": {"id": run["id"], "name": run["name"], "state": run["state_name"], "attempt": run["attempt"]},
            "error": _error(run), "tags": list(run.get("tags") or []), **to,
        },
    )  # fmt: skip


def judge_tasks(run: Mapping[str, Any], failed: Iterable[Mapping[str, Any]]) -> list[AlertEvent]:
    """The alerts of tasks that failed, each of its own: the flow may have gone on all the same."""
    said = run["alerts"]
    to = {"to": list(said["to"])} if said.get("to") else {}
    severity = said.get("severity") or "error"
    told = {"id": run["id"], "name": run["name"], "state": run["state_name"], "attempt": run["attempt"]}
    return [
        AlertEvent(
            "firing", f"{about_run(run)}/{task['task_name']}", task["id"], "task-failed", severity,
            f"Task {task['task_name']} of {run['deployment_name'] or run['flow_name']} failed", run_id=run["id"],
            labels={**labels_of_run(run), "task": task["task_name"]},
            context={"run": told, "task": task["task_name"], "error": _error({**task, "state_message": ""}), **to},
        )
        for task in failed
    ]  # fmt: skip


def wants_tasks(run: Mapping[str, Any]) -> bool:
    """Whether its flow wants to hear of tasks that failed."""
    return "task_failed" in (run.get("alerts") or {}).get("on", ())


def _error(run: Mapping[str, Any]) -> dict[str, str]:
    message = run["error_message"] or run["state_message"] or ""
    return {"type": run["error_type"] or "", "message": message[:4_000]}
