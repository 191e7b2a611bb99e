"""What automations made of events, and what they did about them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hub.errors import NotFoundError
from hub.runtime import simulating
from hub.store import automation_state as state
from hub.store import automations, events
from hub.web.api.automations import READ, found_automation
from hub.web.api.fields import Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()


class EvaluationsQuery(PageQuery):
    """Which evaluations."""

    outcome: Literal["fired", "error", "counted", "filtered", "cooled_down", "loop_stopped"] | None = Field(
        default=None, description="Only those with this outcome."
    )


class ActionOut(Out):
    """One action of a firing. `target` is the id of what it made or changed."""

    number: int
    action: dict[str, Any]
    status: str
    tries: int
    due_at: Moment
    target: str | None
    error: str | None


class EvaluationOut(Out):
    """An event that an automation matched or erred on, and what came of it.

    `events` are all that made it fire, where it is not this one alone; `key` is what `for_each` gave.
    """

    event_id: str
    at: Moment
    outcome: str
    reason: str | None
    error: str | None
    key: str | None
    run_id: str | None
    events: list[str] | None
    actions: list[ActionOut] = Field(default_factory=list)


class SimulationQuery(NoQuery):
    """Which stored events: one by its id, or the last so many of the types that the automation listens to."""

    event: str = Field(default="", max_length=36)
    last: int = Field(default=100, ge=1, le=simulating.MOST)


class TrialOut(Out):
    """What would come of one event. `event_id` null: of one that did not come.

    `outcome` is as in evaluations, `no_match`, or `own` for an event that the automation caused itself. `actions` are
    the commands that would be given: `op`, `target`, `args`, or `error`.
    """

    at: Moment
    event_id: str | None
    type: str
    outcome: str
    reason: str
    error: str | None
    key: str
    events: list[str]
    actions: list[dict[str, Any]]


@api.op(
    "GET",
    "/api/v1/automations/{name}/test",
    query=SimulationQuery,
    out=list[TrialOut],
    scope=READ,
    errors=[NotFoundError],
)
def simulate_automation(call: Call[NoBody, SimulationQuery]) -> list[TrialOut]:
    """Feed an automation with stored events, oldest first: what it would do. Changes nothing."""
    found = found_automation(call)
    with call.store.read() as tx:
        event = events.get(tx, call.scope, call.query.event) if call.query.event else None
        now = tx.now
    if call.query.event and event is None:
        raise NotFoundError(f"there is no event {call.query.event}", hint="`hub events ls` lists them.")
    batch = [event] if event else simulating.batch_of(call.store, call.scope, found, call.query.last, now)
    trials = simulating.simulate(call.store, found, batch, event["at"] if event else now)
    return [TrialOut.model_validate(trial.document()) for trial in trials]


@api.op(
    "GET", "/api/v1/automations/{name}/evaluations", query=EvaluationsQuery, out=Page[EvaluationOut], scope=READ,
    errors=[NotFoundError],
)  # fmt: skip
def list_automation_evaluations(call: Call[NoBody, EvaluationsQuery]) -> Page[EvaluationOut]:
    """List the events that an automation matched or erred on, newest first, with what came of each and why."""
    found = found_automation(call)
    asked = call.query
    with call.store.read() as tx:
        page = automations.evaluations(
            tx, call.scope, found["id"], outcome=asked.outcome or "", limit=asked.limit, cursor=asked.cursor
        )
        done = state.actions_of(tx, call.scope, found["id"], [row["event_id"] for row in page.items])
    for row in page.items:
        row["actions"] = done.get(row["event_id"], [])
    return Page[EvaluationOut].of(page)
