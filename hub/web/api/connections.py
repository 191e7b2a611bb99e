"""Connections over the API. What is secret goes in and never comes out."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.errors import ConflictError, HubError, NotFoundError, PermanentError, TransientError
from hub.runtime import brought
from hub.runtime import connections as known
from hub.runtime.commands import Command, apply
from hub.secretfields import described
from hub.store import connections
from hub.store.base import Tx
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "connections:read", "connections:write"


class ConnectionIn(In):
    """What the connection shall be. `fields` are the settings of its kind; `replace`: one of that name may be there."""

    kind: str = Field(min_length=1, max_length=40)
    fields: dict[str, Any] = Field(default_factory=dict, max_length=100)
    replace: bool = False


class ConnectionOut(Out):
    """A connection without its secrets. `secret_fields` are those that are set;

    `ready`: its kind is known here, else it `needs` a plugin.
    """

    id: str
    name: str
    kind: str
    fields: dict[str, Any]
    secret_fields: list[str]
    ready: bool
    needs: str
    key_id: str
    created_at: Moment
    updated_at: Moment


class FieldOut(Out):
    """A setting of a kind of connection."""

    name: str
    type: str
    required: bool
    secret: bool
    default: Any
    description: str


class KindOut(Out):
    """A kind of connection."""

    name: str
    summary: str
    testable: bool
    fields: list[FieldOut]


class Tested(Out):
    """What came of trying a connection."""

    name: str
    ok: bool
    detail: str


@api.op("GET", "/api/v1/connection-kinds", out=list[KindOut], scope=READ, tag="connections")
def list_connection_kinds(call: Call[NoBody, NoQuery]) -> list[KindOut]:  # noqa: ARG001 - the kinds are the process's
    """List the kinds of connection that plugins bring, with their settings."""
    return [
        KindOut.model_validate(
            {
                "name": kind.name,
                "summary": kind.summary,
                "testable": kind.check is not None,
                "fields": described(kind.settings),
            }
        )
        for _, kind in sorted(known.kinds().items())
    ]


@api.op("GET", "/api/v1/connections", query=PageQuery, out=Page[ConnectionOut], scope=READ)
def list_connections(call: Call[NoBody, PageQuery]) -> Page[ConnectionOut]:
    """List connections; never what is secret of them."""
    with call.store.read() as tx:
        found = connections.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        items = [_shown(tx, row) for row in found.items]
    return Page[ConnectionOut].model_validate({"items": items, "next_cursor": found.next_cursor})


@api.op("GET", "/api/v1/connections/{name}", out=ConnectionOut, scope=READ, errors=[NotFoundError])
def get_connection(call: Call[NoBody, NoQuery]) -> ConnectionOut:
    """Show a connection without its secrets."""
    with call.store.read() as tx:
        return _shown(tx, connections.get(tx, call.scope, call.path["name"]))


@api.op(
    "PUT", "/api/v1/connections/{name}", body=ConnectionIn, out=ConnectionOut, scope=WRITE,
    errors=[ConflictError],
)  # fmt: skip
def put_connection(call: Call[ConnectionIn, NoQuery]) -> ConnectionOut:
    """Make a connection; with `replace`, also make the one of that name be as given."""
    args = {**call.body.model_dump(), "name": call.path["name"]}
    apply(call.store, Command("connection.set", call.scope, call.path["name"], args, id=call.command_id))
    with call.store.read() as tx:
        return _shown(tx, connections.get(tx, call.scope, call.path["name"]))


@api.op("DELETE", "/api/v1/connections/{name}", scope=WRITE, errors=[NotFoundError])
def delete_connection(call: Call[NoBody, NoQuery]) -> None:
    """Remove a connection."""
    apply(call.store, Command("connection.delete", call.scope, call.path["name"], id=call.command_id))


@api.op("POST", "/api/v1/connections/{name}/test", out=Tested, scope=WRITE, errors=[NotFoundError])
def test_connection(call: Call[NoBody, NoQuery]) -> Tested:
    """Reach the service from the hub's machine and say what came of it."""
    name = call.path["name"]
    apply(call.store, Command("connection.test", call.scope, name, id=call.command_id))
    try:
        loaded = known.load(call.store, call.scope, name)
        check = known.kind_named(loaded.kind).check
        detail = "its settings are complete; this kind has no test of its own" if check is None else ""
        return Tested(name=name, ok=True, detail=detail or str(check(loaded.settings) if check else "")[:500])
    except (TransientError, PermanentError) as error:
        return Tested(name=name, ok=False, detail=str(error)[:500])
    except NotFoundError:
        raise
    except HubError as error:
        return Tested(name=name, ok=False, detail=error.detail[:500])


def _shown(tx: Tx, row: dict[str, Any]) -> ConnectionOut:
    ready = row["kind"] in known.kinds()
    needs = "" if ready else brought.needs(tx, "connection", row["kind"])
    return ConnectionOut.model_validate({**row, "ready": ready, "needs": needs})
