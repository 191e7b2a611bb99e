"""Named limits over the API."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, apply
from hub.store import limit_lists
from hub.types import SECOND
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()


class LimitIn(In):
    """A limit as it should be: slots at once, a rate, or both. Slots 0 closes it."""

    slots: int | None = Field(default=None, ge=0, le=100_000, description="used at once, at most")
    rate: int | None = Field(default=None, ge=1, le=10_000, description="used in `period_s` seconds, at most")
    period_s: float = Field(default=1.0, ge=0.001, le=31 * 86_400, allow_inf_nan=False)


class NewLimit(LimitIn):
    """A new limit."""

    name: str = Field(max_length=110, description="letters, digits, spaces, . _ - and `tag:` in front for a tag")


class LimitSet(Out):
    """A limit's settings; `period_s` null without a rate."""

    id: str
    name: str
    slots: int | None
    rate: int | None
    period_s: float | None


class LimitOut(LimitSet):
    """A limit with the slots that are held, those who wait, and what is spent of its rate."""

    held: int
    waiting: int
    spent: int
    created_at: Moment


class SlotOut(Out):
    """Who holds some of a limit."""

    run_id: str | None
    run_name: str | None
    task_run_id: str | None
    task_name: str | None
    occupy: int
    at: Moment
    expires_at: Moment


class WaiterOut(SlotOut):
    """Who waits, in which place."""

    position: int


class LimitShown(LimitOut):
    """A limit with its holders and waiters, at most 200 of each."""

    holders: list[SlotOut]
    waiters: list[WaiterOut]


@api.op("GET", "/api/v1/limits", query=PageQuery, out=Page[LimitOut], scope="queues:read")
def list_limits(call: Call[NoBody, PageQuery]) -> Page[LimitOut]:
    """List named limits."""
    with call.store.read() as tx:
        found = limit_lists.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    for row in found.items:
        row.update(_period(row))
    return Page[LimitOut].of(found)


@api.op("POST", "/api/v1/limits", body=NewLimit, out=LimitSet, status=201, scope="queues:write", errors=[ConflictError])
def create_limit(call: Call[NewLimit, NoQuery]) -> LimitSet:
    """Make a limit."""
    return _applied(call, "limit.create", call.body.name, call.body.model_dump())


@api.op("GET", "/api/v1/limits/{name}", out=LimitShown, scope="queues:read", errors=[NotFoundError])
def show_limit(call: Call[NoBody, NoQuery]) -> LimitShown:
    """Show a limit, who holds it and who waits for it."""
    with call.store.read() as tx:
        found = limit_lists.show(tx, call.scope, call.path["name"])
    return LimitShown.model_validate({**found, **_period(found)})


@api.op("PUT", "/api/v1/limits/{name}", body=LimitIn, out=LimitSet, scope="queues:write")
def put_limit(call: Call[LimitIn, NoQuery]) -> LimitSet:
    """Make a limit, or make the one of that name be as given."""
    name = call.path["name"]
    return _applied(call, "limit.set", name, {**call.body.model_dump(), "name": name})


@api.op("DELETE", "/api/v1/limits/{name}", scope="queues:write", errors=[NotFoundError])
def delete_limit(call: Call[NoBody, NoQuery]) -> None:
    """Remove a limit."""
    apply(call.store, Command("limit.delete", call.scope, call.path["name"], id=call.command_id))


def _applied(call: Call[Any, NoQuery], op: str, name: str, args: dict[str, Any]) -> LimitSet:
    result = apply(call.store, Command(op, call.scope, name, args, id=call.command_id)).result
    return LimitSet.model_validate({**result, **_period(result)})


def _period(row: dict[str, Any]) -> dict[str, Any]:
    return {"period_s": row["period_us"] / SECOND if row["rate"] is not None else None}
