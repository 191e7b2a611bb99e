"""Dismissed proposals of a source over the API: schemas of event types, and presets that its requests point to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, apply
from hub.store import dismissals, sources
from hub.store.dismissals import Kind
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call
from hub.webhooks.events import MAX_TYPE

api = Api()
READ, WRITE = "sources:read", "sources:write"
About = Annotated[str, Field(min_length=1, max_length=MAX_TYPE, pattern=NO_NUL)]


class DismissIn(In):
    """Which proposal."""

    kind: Kind
    about: About = Field(description="the event type of a schema, or a preset")


class DismissalOut(Out):
    """What is not proposed, since when, and who wants it so."""

    kind: Kind
    about: str
    dismissed_by: str
    dismissed_at: Moment


@api.op("GET", "/api/v1/sources/{name}/dismissals", out=list[DismissalOut], scope=READ, errors=[NotFoundError])
def list_dismissals(call: Call[NoBody, NoQuery]) -> list[DismissalOut]:
    """List the proposals for a webhook source that were dismissed; at most 500."""
    with call.store.read() as tx:
        source = sources.row(tx, call.scope, call.path["name"])
        return [DismissalOut.model_validate(row) for row in dismissals.listing(tx, source["id"])]


@api.op(
    "PUT", "/api/v1/sources/{name}/dismissal", body=DismissIn, out=DismissalOut, scope=WRITE,
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def dismiss_proposal(call: Call[DismissIn, NoQuery]) -> DismissalOut:
    """Dismiss a proposal for a webhook source: it is not made again until that is taken back."""
    command = Command("source.dismiss", call.scope, call.path["name"], call.body.model_dump(), id=call.command_id)
    return DismissalOut.model_validate(apply(call.store, command).result)


@api.op("DELETE", "/api/v1/sources/{name}/dismissal", query=DismissIn, scope=WRITE, errors=[NotFoundError])
def reconsider_proposal(call: Call[NoBody, DismissIn]) -> None:
    """Let a dismissed proposal be made again."""
    args = call.query.model_dump()
    apply(call.store, Command("source.reconsider", call.scope, call.path["name"], args, id=call.command_id))
