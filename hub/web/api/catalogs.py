"""The catalog of a source over the API: schemas by event type, proposals for them, and departures from them."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from hub.errors import ConflictError, NotFoundError
from hub.runtime import drifting
from hub.runtime.commands import Command, apply
from hub.runtime.presets import installed
from hub.store import dismissals, event_schemas, sources
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call
from hub.webhooks.events import MAX_TYPE

api = Api()
READ, WRITE = "sources:read", "sources:write"
Type = Annotated[str, Field(min_length=1, max_length=MAX_TYPE, pattern=NO_NUL)]
TYPE = "the provider's own word; *: all types that have no schema of their own"


class TypeQuery(In):
    """Of which event type."""

    type: Type = Field(description=TYPE)


class MaybeTypeQuery(In):
    """Of which event type; none: of all."""

    type: Type | None = Field(default=None, description=TYPE)


class LearnQuery(MaybeTypeQuery):
    """From how many of the last events."""

    last: int = Field(default=100, ge=1, le=drifting.MAX_LEARNED_FROM)
    dismissed: bool = Field(default=False, description="also those that were dismissed")


class SchemaIn(In):
    """A JSON schema (draft 2020-12 unless it says otherwise) of a type."""

    type: Type = Field(description=TYPE)
    document: dict[str, Any]


class SchemaOut(Out):
    """A type that has a schema. `drifts`: how many departures from it are known."""

    event_type: str
    bytes: int
    updated_at: Moment
    drifts: int


class SchemaWhole(Out):
    """The schema of a type."""

    event_type: str
    document: dict[str, Any]
    updated_at: Moment


class Proposal(Out):
    """A schema that the last events of a type fit."""

    type: str
    samples: int
    document: dict[str, Any]


class DriftOut(Out):
    """Where events departed from their schema. `path` is below `body`, `*` for any item; `kind`: new, missing, type
    or other. `receipt_id` is the last that did."""

    event_type: str
    path: str
    kind: str
    detail: str
    count: int
    first_at: Moment
    last_at: Moment
    receipt_id: str


@api.op("GET", "/api/v1/sources/{name}/schemas", out=list[SchemaOut], scope=READ, errors=[NotFoundError])
def list_schemas(call: Call[NoBody, NoQuery]) -> list[SchemaOut]:
    """List the event types of a webhook source that have a schema."""
    with call.store.read() as tx:
        source = sources.row(tx, call.scope, call.path["name"])
        return [SchemaOut.model_validate(row) for row in event_schemas.listing(tx, source["id"])]


@api.op(
    "GET", "/api/v1/sources/{name}/schema", query=TypeQuery, out=SchemaWhole, scope=READ, errors=[NotFoundError]
)  # fmt: skip
def get_schema(call: Call[NoBody, TypeQuery]) -> SchemaWhole:
    """Show the schema of an event type."""
    return _whole(call, call.query.type)


@api.op(
    "PUT", "/api/v1/sources/{name}/schema", body=SchemaIn, out=SchemaWhole, scope=WRITE,
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def put_schema(call: Call[SchemaIn, NoQuery]) -> SchemaWhole:
    """Set the schema of an event type. A source that paid no heed to schemas observes from then on."""
    args = call.body.model_dump()
    apply(call.store, Command("source.schema_set", call.scope, call.path["name"], args, id=call.command_id))
    return _whole(call, call.body.type)


@api.op("DELETE", "/api/v1/sources/{name}/schema", query=TypeQuery, scope=WRITE, errors=[NotFoundError])
def delete_schema(call: Call[NoBody, TypeQuery]) -> None:
    """Remove the schema of an event type, and what is known of departures from it."""
    args = {"type": call.query.type}
    apply(call.store, Command("source.schema_remove", call.scope, call.path["name"], args, id=call.command_id))


@api.op(
    "GET", "/api/v1/sources/{name}/proposals", query=LearnQuery, out=list[Proposal], scope=READ,
    errors=[NotFoundError],
)  # fmt: skip
def propose_schemas(call: Call[NoBody, LearnQuery]) -> list[Proposal]:
    """Propose schemas that the last events fit, one for each type that is not dismissed; nothing is changed."""
    query = call.query
    with call.store.read() as tx:
        source = sources.row(tx, call.scope, call.path["name"])
        preset = installed().get(source["preset"])
        found = drifting.propose(tx, source, preset, event_type=query.type, last=query.last)
        unwanted = frozenset() if query.dismissed else dismissals.of(tx, source["id"], "schema")
    return [Proposal.model_validate(one) for one in found if one["type"] not in unwanted]


@api.op(
    "GET", "/api/v1/sources/{name}/drift", query=MaybeTypeQuery, out=list[DriftOut], scope=READ,
    errors=[NotFoundError],
)  # fmt: skip
def list_drift(call: Call[NoBody, MaybeTypeQuery]) -> list[DriftOut]:
    """List where the events of a webhook source departed from their schemas, the last seen first; at most 500."""
    with call.store.read() as tx:
        source = sources.row(tx, call.scope, call.path["name"])
        found = event_schemas.drifts(tx, source["id"], event_type=call.query.type)
    return [DriftOut.model_validate(row) for row in found]


def _whole(call: Call[Any, Any], type_: str) -> SchemaWhole:
    with call.store.read() as tx:
        row = event_schemas.get(tx, sources.row(tx, call.scope, call.path["name"]), type_)
    return SchemaWhole.model_validate(row | {"document": json.loads(row["document"])})
