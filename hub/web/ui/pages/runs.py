"""Runs: the list, and one run with everything that is known about it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, select
from starlette.responses import Response

from hub.engine.why import Reason
from hub.runtime import compensations
from hub.runtime.why import why
from hub.states import TERMINAL, StateType
from hub.store import runs as store_runs
from hub.store import waits
from hub.store.base import Tx
from hub.store.tables import Deployment, Event, RunRow
from hub.types import Scope
from hub.web.ui import origins, queries, show
from hub.web.ui.pages import answers, artifacts, assets, graph, logs, tasks
from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
RUNS = RunRow.__table__
DEPLOYMENTS = Deployment.__table__
EVENTS = Event.__table__
S = StateType

GROUPS: dict[str, tuple[str, tuple[StateType, ...]]] = {
    "": ("All", ()),
    "active": ("Running", (S.PENDING, S.RUNNING, S.CANCELLING)),
    "waiting": ("Waiting", (S.SCHEDULED, S.PAUSED)),
    "failed": ("Failed", (S.FAILED, S.CRASHED)),
    "completed": ("Completed", (S.COMPLETED,)),
    "cancelled": ("Cancelled", (S.CANCELLED,)),
}
"""The filter chips: what a person looks for, and the states it means."""
HEAVY = ("parameters", "result", "error_trace", "error_message", "retry_policy")
MAX_CHILDREN = 20


@pages.get("/ui/runs", needs="runs:read")
def run_list(view: View) -> Response:
    """Runs, newest first, by state, flow and deployment."""
    group, flow, deployment = view.query("state"), view.query("flow"), view.query("deployment")
    group = group if group in GROUPS else ""
    with view.store.read() as tx:
        where = _filters(tx, view.scope, flow, deployment)
        # One question a state: each is answered from its index, however many runs there are.
        states = [RUNS.c.state_type == state.value for state in GROUPS[group][1]]
        cursor = view.query("cursor")
        found = queries.merged(tx, view.scope, RUNS, states, *where, cursor=cursor, without=HEAVY)
        now = tx.now
    return view.page(
        "runs.html", topics="runs", found=found, now=now, group=group, cursor=cursor,
        groups=[(key, title) for key, (title, _) in GROUPS.items()],
        query={"state": group, "flow": flow, "deployment": deployment},
    )  # fmt: skip


def _filters(tx: Tx, scope: Scope, flow: str, deployment: str) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if flow:
        where.append(RUNS.c.flow_name == flow)
    if deployment:
        known = select(DEPLOYMENTS.c.id).where(DEPLOYMENTS.c.workspace_id == scope.workspace_id)
        deployment_id = tx.conn.execute(known.where(DEPLOYMENTS.c.name == deployment)).scalar()
        where.append(RUNS.c.deployment_id == (deployment_id or ""))
    return where


@pages.get("/ui/runs/{run_id}", needs="runs:read")
def run_detail(view: View) -> Response:
    """One run: its state and history, why it waits, its tasks, logs, parameters, error and result."""
    run_id = view.id_of("run_id", "run")
    with view.store.read() as tx:
        run = queries.one(tx, view.scope, RUNS, run_id, "run")
        found: dict[str, Any] = {
            "run": run,
            "now": tx.now,
            "history": store_runs.history(tx, view.scope, run_id),
            "tasks": tasks.table(tx, view.scope, run_id, cursor=view.query("tasks"), until=run["ended_at"] or tx.now),
            "graph": graph.picture(tx, view.scope, run_id),
            "log": logs.tail(tx, view.scope, run_id, level=logs.level_of(view), before=view.query("before")),
            "children": queries.listing(
                tx, view.scope, RUNS, RUNS.c.parent_run_id == run_id, limit=MAX_CHILDREN, without=HEAVY
            ).items,
            "undone": compensations.of_run(tx, view.scope, run_id),
            "started_by": origins.of_run(tx, view.scope, run),
            "related": _related(tx, view.scope, run),
            "made": assets.of_run(tx, view.scope, run_id) if view.allows("assets:read") else [],
            "asked": answers.asked_of(tx, view.scope, run_id) if view.allows("runs:write") else [],
            "resumable": _resumable(tx, view.scope, run),
            "artifacts": artifacts.of_run(tx, view.scope, run_id) if view.allows("artifacts:read") else [],
        }
    result = None if run["result"] is None else show.result(run["result"], run["result_format"])
    return view.page(
        "run.html", topics="runs,logs,artifacts", **found, result=result, reason=_reason(view, run),
        final=run["state_type"] in TERMINAL, level=logs.level_of(view), levels=logs.LEVELS,
        panels=panels(view, "run", {"id": run_id, "run": run}),
    )  # fmt: skip


def _resumable(tx: Tx, scope: Scope, run: dict[str, Any]) -> bool:
    """Whether resuming is what it waits for, and not an input, an event or a message."""
    if run["state_name"] not in ("Suspended", "Waiting"):
        return bool(run["state_type"] == S.PAUSED)
    return any(point.kind == "pause" for point in waits.open_of(tx, scope, run["id"]))


def _reason(view: View, run: dict[str, Any]) -> Reason | None:
    """Why the run is where it is; None when it has ended."""
    return None if run["state_type"] in TERMINAL else why(view.store, view.services.settings, view.scope, run["id"])


def _related(tx: Tx, scope: Scope, run: dict[str, Any]) -> dict[str, Any]:
    """The runs around this one, and its deployment."""
    columns = ("id", "name", "state_type", "state_name")
    return {
        "parent": queries.find(tx, scope, RUNS, run["parent_run_id"], *columns),
        "restart_of": queries.find(tx, scope, RUNS, run["restart_of"], *columns),
        "deployment": queries.find(tx, scope, DEPLOYMENTS, run["deployment_id"], "id", "name"),
    }


@pages.get("/ui/runs/{run_id}/logs", needs="runs:read")
def run_logs(view: View) -> Response:
    """Log lines after a point, for the page that follows them."""
    run_id = view.id_of("run_id", "run")
    with view.store.read() as tx:
        queries.one(tx, view.scope, RUNS, run_id, "run")
        lines = logs.after(tx, view.scope, run_id, level=logs.level_of(view), after=view.query("after", "0"))
    return view.page("log-lines.html", log=lines, run_id=run_id, level=logs.level_of(view))


@pages.get("/ui/runs/{run_id}/cancel", needs="runs:write")
def ask_cancel(view: View) -> Response:
    """Ask before a run is cancelled."""
    run_id = view.id_of("run_id", "run")
    with view.store.read() as tx:
        run = queries.one(tx, view.scope, RUNS, run_id, "run")
    waits = run["state_type"] in (S.SCHEDULED, S.PENDING, S.PAUSED)
    begun = run["attempt"] > 0 and run["state_type"] != S.PENDING
    text = (
        "It has not started; it will never start."
        if waits and not begun
        else "Nothing of it executes now. What it has done so far stays done; it will not go on."
        if waits
        else "What it has done so far stays done. Its tasks are told to stop, and are ended if they do not."
    )
    return view.page(
        "confirm.html", title=f"Cancel {run['name']}?", text=text, action=link("/ui/runs", run_id, "cancel"),
        button="Cancel the run", back=link("/ui/runs", run_id), values={},
    )  # fmt: skip


@pages.post("/ui/runs/{run_id}/cancel", needs="runs:write")
def cancel(view: View) -> Response:
    """Cancel a run."""
    return _signal(view, "run.cancel", "cancelled")


@pages.post("/ui/runs/{run_id}/pause", needs="runs:write")
def pause(view: View) -> Response:
    """Hold a run that has not started."""
    return _signal(view, "run.pause", "paused")


@pages.post("/ui/runs/{run_id}/resume", needs="runs:write")
def resume(view: View) -> Response:
    """Let a held run go on."""
    return _signal(view, "run.resume", "resumed")


@pages.post("/ui/runs/{run_id}/restart", needs="runs:write")
def restart(view: View) -> Response:
    """Start an ended run again, as a new one that takes over what completed."""
    made = view.change("run.restart", view.id_of("run_id", "run")).result
    return view.go(link("/ui/runs", made["id"], done="restarted"))


def _signal(view: View, op: str, done: str) -> Response:
    run_id = view.id_of("run_id", "run")
    view.change(op, run_id)
    return view.go(link("/ui/runs", run_id, done=done))
