"""Deployments: the list, one with its schedules and runs, and the form that starts one."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select
from starlette.responses import Response

from hub.errors import HubError, ParameterError, UsageError
from hub.store.base import Tx
from hub.store.tables import Deployment, RunRow, Schedule
from hub.types import Id, Scope
from hub.web.ui import controlled, forms, queries
from hub.web.ui.forms import Filled
from hub.web.ui.pages.runs import HEAVY
from hub.web.ui.panels import panels
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import View

pages = Pages()
DEPLOYMENTS = Deployment.__table__
SCHEDULES = Schedule.__table__
RUNS = RunRow.__table__
LAST_RUNS = 15


@pages.get("/ui/deployments", needs="deployments:read")
def deployment_list(view: View) -> Response:
    """Deployments, newest first, each with its schedules and the states of its last runs."""
    cursor = view.query("cursor")
    with view.store.read() as tx:
        found = queries.listing(tx, view.scope, DEPLOYMENTS, cursor=cursor, without=("parameter_schema", "parameters"))
        ids = [row["id"] for row in found.items]
        plans, last = _schedules(tx, view.scope, ids), {row: _last(tx, view.scope, row, 8) for row in ids}
        now = tx.now
    return view.page(
        "deployments.html", topics="catalog,runs", found=found, plans=plans, last=last, now=now, cursor=cursor
    )


def _schedules(tx: Tx, scope: Scope, ids: list[Id]) -> dict[Id, list[dict[str, Any]]]:
    query = select(SCHEDULES).where(SCHEDULES.c.workspace_id == scope.workspace_id)
    query = query.where(SCHEDULES.c.deployment_id.in_(ids)).order_by(SCHEDULES.c.id)
    found: dict[Id, list[dict[str, Any]]] = {row: [] for row in ids}
    for row in tx.conn.execute(query).mappings():
        found[row["deployment_id"]].append(dict(row))
    return found


def _last(tx: Tx, scope: Scope, deployment_id: Id, limit: int) -> list[dict[str, Any]]:
    where = RUNS.c.deployment_id == deployment_id
    return queries.listing(tx, scope, RUNS, where, limit=limit, without=HEAVY).items


@pages.get("/ui/deployments/{deployment_id}", needs="deployments:read")
def deployment_detail(view: View) -> Response:
    """One deployment: what it runs, when, with what, and its last runs."""
    deployment_id = view.id_of("deployment_id", "deployment")
    with view.store.read() as tx:
        row = queries.one(tx, view.scope, DEPLOYMENTS, deployment_id, "deployment")
        plans = _schedules(tx, view.scope, [deployment_id])[deployment_id]
        runs, now = _last(tx, view.scope, deployment_id, LAST_RUNS), tx.now
        waits, counts = controlled.waiting(tx, view.scope, deployment_id), controlled.counted(tx, row)
    fields = forms.fields_of(row["parameter_schema"], row["parameters"])
    return view.page(
        "deployment.html", topics="catalog,runs,limits", deployment=row, plans=plans, found={"items": runs}, now=now,
        fields=fields, steps=controlled.steps(row), counts=counts, waits=waits,
        reasons=controlled.explained(view, waits), seen=controlled.SEEN,
        panels=panels(view, "deployment", {"id": deployment_id, "deployment": row}),
    )  # fmt: skip


@pages.post("/ui/deployments/{deployment_id}/pause", needs="deployments:write")
def pause(view: View) -> Response:
    """Let the deployment's schedules start nothing."""
    return _switch(view, "deployment.pause", "deployment-paused")


@pages.post("/ui/deployments/{deployment_id}/resume", needs="deployments:write")
def resume(view: View) -> Response:
    """Let them start runs again."""
    return _switch(view, "deployment.resume", "deployment-resumed")


def _switch(view: View, op: str, done: str) -> Response:
    deployment_id = view.id_of("deployment_id", "deployment")
    view.change(op, deployment_id)
    return view.go(link("/ui/deployments", deployment_id, done=done))


@pages.post("/ui/deployments/{deployment_id}/schedules/{schedule_id}", needs="deployments:write")
def switch_schedule(view: View) -> Response:
    """Switch one schedule of a deployment on or off."""
    schedule_id = view.id_of("schedule_id", "schedule")
    on = view.form.text("on") == "yes"
    view.change("schedule.resume" if on else "schedule.pause", schedule_id)
    done = "schedule-on" if on else "schedule-off"
    return view.go(link("/ui/deployments", view.id_of("deployment_id", "deployment"), done=done))


@pages.get("/ui/deployments/{deployment_id}/run", needs="runs:write")
def ask_parameters(view: View) -> Response:
    """The form for a run."""
    row = _deployment(view)
    fields = forms.fields_of(row["parameter_schema"], row["parameters"])
    return _form(view, row, Filled(fields, {}))


@pages.post("/ui/deployments/{deployment_id}/run", needs="runs:write")
def run(view: View) -> Response:
    """Start a run with what was typed; a fault shows the form again, with everything that was typed."""
    row = _deployment(view)
    try:
        filled = _read(view, row)
        if filled.wrong:
            return _form(view, row, filled, status=422)
        args = {"parameters": filled.values, "origin": "ui", "name": view.form.text("name") or None}
        outcome = view.change("run.create", row["id"], args)
    except (ParameterError, UsageError) as error:
        return _form(
            view, row, Filled(forms.read(row["parameter_schema"], row["parameters"], view.form).fields, {}), error
        )
    return view.go(link("/ui/runs", str(outcome.result["id"]), done="run-started"))


def _deployment(view: View) -> dict[str, Any]:
    with view.store.read() as tx:
        return queries.one(tx, view.scope, DEPLOYMENTS, view.id_of("deployment_id", "deployment"), "deployment")


def _read(view: View, row: dict[str, Any]) -> Filled:
    if row["parameter_schema"].get("properties") is not None:
        return forms.read(row["parameter_schema"], row["parameters"], view.form)
    try:
        values = json.loads(view.form.text("json") or "{}")
    except (ValueError, RecursionError):
        raise ParameterError("the parameters are not JSON", hint='Write an object, such as {"x": 1}.') from None
    if not isinstance(values, dict):
        raise ParameterError("the parameters are not an object", hint='Write an object, such as {"x": 1}.')
    return Filled((), values)


def _form(
    view: View, row: dict[str, Any], filled: Filled, error: HubError | None = None, *, status: int = 200
) -> Response:
    typed = view.form.raw("json") or json.dumps(row["parameters"], indent=1)
    return view.page(
        "run-form.html", status=422 if error else status, deployment=row, filled=filled, error=error, typed=typed,
        name=view.form.text("name"), free=row["parameter_schema"].get("properties") is None,
    )  # fmt: skip
