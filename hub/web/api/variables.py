"""Variables over the API."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.errors import ConflictError, NotFoundError
from hub.runtime.commands import Command, apply
from hub.store import variables
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page, PageQuery, Tags
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "variables:read", "variables:write"


class VariableIn(In):
    """What the variable shall be: any JSON of up to 64 KiB. `overwrite`: one of that name may be there."""

    value: Any = None
    tags: Tags = Field(default_factory=list)
    overwrite: bool = False


class VariableOut(Out):
    """A variable. It is no place for secrets: whoever may read variables sees it."""

    id: str
    name: str
    value: Any
    tags: list[str]
    updated_by: str
    created_at: Moment
    updated_at: Moment


@api.op("GET", "/api/v1/variables", query=PageQuery, out=Page[VariableOut], scope=READ)
def list_variables(call: Call[NoBody, PageQuery]) -> Page[VariableOut]:
    """List variables with their values, newest first."""
    with call.store.read() as tx:
        found = variables.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return Page[VariableOut].of(found)


@api.op("GET", "/api/v1/variables/{name}", out=VariableOut, scope=READ, errors=[NotFoundError])
def get_variable(call: Call[NoBody, NoQuery]) -> VariableOut:
    """Show a variable."""
    with call.store.read() as tx:
        return VariableOut.model_validate(variables.get(tx, call.scope, call.path["name"]))


@api.op("PUT", "/api/v1/variables/{name}", body=VariableIn, out=VariableOut, scope=WRITE, errors=[ConflictError])
def put_variable(call: Call[VariableIn, NoQuery]) -> VariableOut:
    """Set a variable; with `overwrite`, also one that is set."""
    args = {**call.body.model_dump(), "name": call.path["name"]}
    apply(call.store, Command("variable.set", call.scope, call.path["name"], args, id=call.command_id))
    with call.store.read() as tx:
        return VariableOut.model_validate(variables.get(tx, call.scope, call.path["name"]))


@api.op("DELETE", "/api/v1/variables/{name}", scope=WRITE, errors=[NotFoundError])
def delete_variable(call: Call[NoBody, NoQuery]) -> None:
    """Remove a variable."""
    apply(call.store, Command("variable.unset", call.scope, call.path["name"], id=call.command_id))
