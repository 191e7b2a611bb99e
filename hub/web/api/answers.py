"""What the code of runs waits for, over the API: listed, answered, sent."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.errors import ConflictError, NotFoundError, ParameterError
from hub.runtime.commands import Command, apply
from hub.states import StateType
from hub.store import runs, waits
from hub.store.waits import Point
from hub.types import ID_PATTERN
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "runs:read", "runs:write"


class WaitOut(Out):
    """Something that code of a run waits for. `answer_schema` says what an input must be; null for other kinds.

    `kind`: pause (somebody who resumes the run), input, event or message. `run_id`: the run, or one nested in it.
    `problem`: why the last answer was refused by the flow's own checks.
    """

    id: str
    run_id: str
    kind: str
    key: str
    created_at: Moment
    expires_at: Moment | None
    description: str
    problem: str
    answer_schema: dict[str, Any] | None
    initial: dict[str, Any]


class AnswerIn(In):
    """The answer to an input. `key` may be left out where only one is asked for."""

    value: Any
    key: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)
    point_id: str | None = Field(default=None, pattern=ID_PATTERN)


class MessageIn(In):
    """A message: any JSON value of up to 64 KiB."""

    value: Any = None
    name: str = Field(default="message", min_length=1, max_length=200, pattern=NO_NUL)


class Answered(Out):
    """Which input was answered, and the run's state after it."""

    id: str
    key: str
    state_type: StateType
    state_name: str


class Sent(Out):
    """Which run got a message, and under which name."""

    id: str
    name: str


@api.op("GET", "/api/v1/runs/{run_id}/waits", out=list[WaitOut], scope=READ, errors=[NotFoundError])
def list_run_waits(call: Call[NoBody, NoQuery]) -> list[WaitOut]:
    """List what the code of a run, and of runs nested in it, waits for; the oldest first."""
    run_id = call.path["run_id"]
    with call.store.read() as tx:
        if runs.get(tx, call.scope, run_id) is None:
            raise NotFoundError(f"there is no run {run_id} in this workspace", hint="`hub runs ls` lists them.")
        found = waits.open_of(tx, call.scope, run_id)
    return [_shown(point) for point in found]


@api.op(
    "POST", "/api/v1/runs/{run_id}/answer", body=AnswerIn, out=Answered, scope=WRITE,
    errors=[NotFoundError, ConflictError, ParameterError],
)  # fmt: skip
def answer_run(call: Call[AnswerIn, NoQuery]) -> Answered:
    """Answer an input that a run waits for, once. What does not fit its schema is refused."""
    command = Command("run.answer", call.scope, call.path["run_id"], call.body.model_dump(), id=call.command_id)
    return Answered.model_validate(apply(call.store, command).result)


@api.op(
    "POST", "/api/v1/runs/{run_id}/messages", body=MessageIn, out=Sent, status=201, scope=WRITE,
    errors=[NotFoundError, ConflictError, ParameterError],
)  # fmt: skip
def send_to_run(call: Call[MessageIn, NoQuery]) -> Sent:
    """Send a message to a run that has not ended; its code gets it by `hub.receive`."""
    command = Command("run.send", call.scope, call.path["run_id"], call.body.model_dump(), id=call.command_id)
    return Sent.model_validate(apply(call.store, command).result)


def _shown(point: Point) -> WaitOut:
    asks = point.asks
    shown = {name: getattr(point, name) for name in ("id", "run_id", "kind", "key", "created_at", "expires_at")}
    told = {"description": asks.get("description", ""), "problem": asks.get("problem", "")}
    return WaitOut.model_validate(
        {**shown, **told, "answer_schema": asks.get("schema"), "initial": asks.get("initial", {})}
    )
