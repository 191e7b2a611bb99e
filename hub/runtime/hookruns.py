"""State hooks that the process of their run did not call: a worker calls them, as a small run of its own.

A run that ends owes the calls of its hooks in the transaction of its end (`store.hooks`). The process that reported the
end calls them and strikes that out. What is left (it was killed in between, or the end was decided elsewhere) is
sent here. At least once: a process that dies in the middle leaves all hooks of the event to be called again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from hub.errors import NotFoundError, UnavailableError
from hub.runtime import loader, process
from hub.runtime.executor import statehooks
from hub.runtime.executor.steps import drive
from hub.runtime.executor.texts import clean
from hub.sdk.context import FlowInfo, RunContext, current
from hub.sdk.flows import Flow
from hub.sdk.statehooks import FlowRun
from hub.states import State, StateType
from hub.store import attempts, hooks, runs
from hub.store.base import Store, Tx
from hub.types import SECOND, Actor, Scope, dated_id

if TYPE_CHECKING:
    from hub.plugins import Context
    from hub.runtime.effects import Deed

ACTOR = Actor("system", "hooks")
_PATIENCE_S = 300
"""Seconds that a process may take to call the hooks itself, while it is not known to have ended."""


def owed(ctx: Context, rows: Sequence[Mapping[str, Any]]) -> list[Deed]:
    """Send what was not called where its run was."""
    return [partial(_send, ctx.store, row) for row in rows]


def _send(store: Store, effect: Mapping[str, Any]) -> None:
    given = effect["payload"]
    scope = Scope(effect["workspace_id"], ACTOR)
    with store.write() as tx:
        run = runs.row(tx, scope, given["run_id"])
        if run is None or not run["entrypoint"]:
            return  # removed by retention
        if given["here"] and _may_be_at_it(tx, run):
            raise UnavailableError("the process that ended the run may still be calling its hooks")
        runs.create(tx, scope, _row(run, given["event"]))


def _may_be_at_it(tx: Tx, run: Mapping[str, Any]) -> bool:
    attempt = attempts.get(tx, attempts.attempt_id(run["id"], run["attempt"]))
    if attempt is None or attempt["pid"] is None:
        return False
    who = process.Identity(attempt["host"], attempt["boot_id"], attempt["pid"], attempt["pid_started"])
    return not process.known_dead(who) and tx.now < run["ended_at"] + _PATIENCE_S * SECOND


def _row(run: Mapping[str, Any], event: str) -> dict[str, Any]:
    return {
        "id": dated_id(run["ended_at"], run["id"], "hooks"), "name": clean(f"{event} of {run['name']}", 200),
        "flow_name": run["flow_name"], "entrypoint": run["entrypoint"], "queue": run["queue"], "origin": hooks.ORIGIN,
        "origin_id": run["id"], "parent_run_id": run["id"], "parameters": {"run_id": run["id"], "event": event},
    }  # fmt: skip


def flow_of(store: Store, scope: Scope, row: Mapping[str, Any]) -> tuple[Flow[..., Any], dict[str, Any]]:
    """The flow that calls the hooks of an ended run. Raises FlowLoadError, NotFoundError."""
    event = str(row["parameters"]["event"])
    with store.read() as tx:
        run = runs.row(tx, scope, str(row["parameters"]["run_id"]))
    if run is None:
        raise NotFoundError("the run whose hooks are to be called was removed")
    found = loader.load_flow(row["entrypoint"])

    def call_hooks() -> dict[str, int]:
        return _called(store, scope, found, run, event)

    call_hooks.__name__ = call_hooks.__qualname__ = event
    return Flow(call_hooks, {"name": row["flow_name"] or event}), {}


def _called(store: Store, scope: Scope, found: Flow[..., Any], run: Mapping[str, Any], event: str) -> dict[str, int]:
    here = current.get()
    assert here is not None
    parameters, tags = dict(run["parameters"]), tuple(run["tags"])
    info = FlowInfo(
        run_id=run["id"], run_name=run["name"], flow_name=run["flow_name"], attempt=run["attempt"],
        parameters=parameters, tags=tags, deployment_id=run["deployment_id"],
        deployment_name=run["deployment_name"], parent_run_id=run["parent_run_id"],
    )  # fmt: skip
    told = FlowRun(
        run["id"], run["name"], run["flow_name"], run["attempt"], parameters, tags, run["deployment_id"],
        run["deployment_name"], run["parent_run_id"],
    )  # fmt: skip
    state = State(StateType(run["state_type"]), run["state_name"], run["state_message"])
    # What hooks write is in the log of the run that calls them, since that of the ended run is closed.
    context = RunContext(info, here.session)
    problems: list[str] = drive(statehooks.tell(found.options, found, told, state, context))
    count = len(found.options.hooks.get(event, ()))
    line = f"{event}: {count} hook{'' if count == 1 else 's'} called by a worker, in run {here.run_id}"
    note(store, scope, run, [(logging.INFO, line), *((logging.ERROR, problem) for problem in problems)])
    return {"called": count, "failed": len(problems)}


def note_refused(store: Store, scope: Scope, row: Mapping[str, Any], problem: str) -> None:
    """Say in the log of the ended run that its hooks cannot be called."""
    with store.read() as tx:
        run = runs.row(tx, scope, str(row["parameters"]["run_id"]))
    if run is not None:
        note(store, scope, run, [(logging.ERROR, f"{row['parameters']['event']} could not be called: {problem}")])


def note(store: Store, scope: Scope, run: Mapping[str, Any], lines: Sequence[tuple[int, str]]) -> None:
    """Write lines into the log of a run that has ended."""
    with store.write() as tx:
        for level, line in lines:
            hooks.log(tx, scope, run["id"], run["attempt"], level, clean(line))
