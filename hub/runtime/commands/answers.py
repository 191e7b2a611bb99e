"""Operations on what the code of runs waits for: answering an input, sending a message."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import ConflictError, NotFoundError
from hub.runtime import asked, waits
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.states import TERMINAL
from hub.store import events, messages, runs
from hub.store import waits as points
from hub.store.base import Tx
from hub.store.waits import Point

MOST_MESSAGES = 1000
"""So many may wait for one run."""


class AnswerRun(BaseModel):
    """The answer to an input. `key` names it, where a run asks for several; `point_id` one place in its code."""

    model_config = ConfigDict(extra="forbid")
    value: Any
    key: str | None = Field(None, min_length=1, max_length=200)
    point_id: str | None = Field(None, max_length=36)


class SendMessage(BaseModel):
    """A message: any JSON value."""

    model_config = ConfigDict(extra="forbid")
    value: Any = None
    name: str = Field("message", min_length=1, max_length=200)


def answer(tx: Tx, command: Command, args: AnswerRun) -> dict[str, Any]:
    """Answer an input of a run, once, with what fits it; the run goes on."""
    point = _asked(tx, command, args)
    value = asked.checked(point.asks, args.value)
    if not waits.answer(tx, command.scope, point, value, f"input {point.key} given by {command.scope.actor}"):
        raise ConflictError(f"input {point.key!r} is not asked any more", code="not_asked")
    events.append(
        tx, command.scope, "hub.input.answered", subject=point.run_id, run_id=point.run_id, key=point.key,
        point_id=point.id, value=value,
    )  # fmt: skip
    run = runs.get(tx, command.scope, command.target)
    assert run is not None
    return {"id": run.id, "key": point.key, "state_type": run.state.type.value, "state_name": run.state.name}


def _asked(tx: Tx, command: Command, args: AnswerRun) -> Point:
    _known(tx, command)
    asks = [point for point in points.open_of(tx, command.scope, command.target) if point.kind == "input"]
    fit = [point for point in asks if args.key in (None, point.key) and args.point_id in (None, point.id)]
    if fit and (args.key or args.point_id or len({point.key for point in asks}) == 1):
        return fit[0]
    keys = ", ".join(sorted({point.key for point in asks}))
    if fit:
        raise ConflictError("the run asks for several inputs", hint=f"Say which: {keys}.", code="which_input")
    what = "any input" if args.key is None else f"input {args.key!r}"
    hint = f"It asks for {keys}." if keys else "`hub runs waits` lists what a run waits for."
    raise ConflictError(f"run {command.target} does not ask for {what} now", hint=hint, code="not_asked")


def send(tx: Tx, command: Command, args: SendMessage) -> dict[str, Any]:
    """Send a message to a run; given at once to its code when that waits for it."""
    run_id, scope = command.target, command.scope
    asked.bounded(args.value, "the message")
    # The outermost first, as everybody does who lets it go on; then the one that may be looking for messages.
    points.hold_run(tx, runs.outermost(tx, scope, run_id))
    points.hold_run(tx, run_id)
    run = _known(tx, command)
    if run.state.type in TERMINAL:
        raise ConflictError(f"run {run_id} has ended: nobody receives messages", code="already_final")
    if messages.waiting(tx, scope, run_id) >= MOST_MESSAGES:
        raise ConflictError(f"{MOST_MESSAGES} messages wait for run {run_id}, which receives none", code="too_many")
    messages.add(tx, scope, run_id, args.name, args.value)
    for point in points.open_of(tx, scope, run_id):
        if (point.kind, point.run_id, point.key) == ("message", run_id, args.name):
            waits.give_message(tx, scope, point)
    return {"id": run_id, "name": args.name}


def _known(tx: Tx, command: Command) -> Any:
    run = runs.get(tx, command.scope, command.target)
    if run is None:
        raise NotFoundError(f"there is no run {command.target} in this workspace", hint="`hub runs ls` lists them.")
    return run


OPS = (
    Op("run.answer", AnswerRun, answer, "runs:write", frozenset({"value"})),
    Op("run.send", SendMessage, send, "runs:write", frozenset({"value"})),
)
