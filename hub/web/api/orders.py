"""What waits for the run before it, over the API: the keys of sources whose runs are made one after the other."""

from __future__ import annotations

from pydantic import Field

from hub.errors import NotFoundError
from hub.runtime.acting import lane_of
from hub.store import automation_state, sources
from hub.web.api.fields import Moment, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call

api = Api()
READ = "sources:read"
MAX_KEYS_SHOWN = 200


class InOrder(Out):
    """A key of an ordered source: the run whose end is waited for, and how many actions wait to start theirs."""

    key: str
    run_id: str | None
    waiting: int
    since: Moment = Field(description="when the first of them was planned")
    error: str | None


@api.op("GET", "/api/v1/sources/{name}/order", out=list[InOrder], scope=READ, errors=[NotFoundError])
def get_order(call: Call[NoBody, NoQuery]) -> list[InOrder]:
    """List the keys of an ordered webhook source whose runs are made one after the other, at most 200."""
    with call.store.read() as tx:
        prefix = lane_of(sources.row(tx, call.scope, call.path["name"])["id"])
        found = automation_state.lanes_of(tx, prefix, limit=MAX_KEYS_SHOWN)
    return [InOrder.model_validate(row) for row in found]
