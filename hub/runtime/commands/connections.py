"""Operations on connections: make, remove, and noting that one is tried."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.connections import NAME, RESERVED
from hub.errors import ConflictError, NotFoundError, UsageError
from hub.references import check_reference, is_reference
from hub.runtime import connections as known
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.secretfields import split
from hub.store import connections
from hub.store.base import Tx

MAX_FIELDS = 100
MAX_TEXT = 65_536


class SetConnection(BaseModel):
    """A connection's name, kind and settings, secret ones included. `replace`: one of that name may be there."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    kind: str = Field(min_length=1, max_length=40)
    fields: dict[str, Any] = Field(default_factory=dict, max_length=MAX_FIELDS)
    replace: bool = False


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def set_(tx: Tx, command: Command, args: SetConnection) -> dict[str, Any]:
    """Make a connection, or change it."""
    if args.name in RESERVED:
        raise UsageError(f"{args.name!r} is the hub's own place, no name for a connection", hint="Take another name.")
    for name, value in args.fields.items():
        if isinstance(value, str) and (len(value) > MAX_TEXT or "\x00" in value):
            raise UsageError(f"the field {name[:60]!r} is over {MAX_TEXT} characters or holds a NUL character")
    kind = known.kind_named(args.kind)
    plain, secrets = split(kind.parse(args.fields))
    for name in filter(lambda name: is_reference(secrets[name]), secrets):
        check_reference(secrets[name])
    there = connections.find(tx, command.scope, args.name)
    if there is not None and not args.replace:
        raise ConflictError(f"there is a connection {args.name!r} already", hint="Replace it with --replace.")
    row = connections.put(tx, command.scope, args.name, kind.name, fields=plain, secrets=secrets)
    return {"id": row["id"], "name": args.name, "kind": kind.name, "created": there is None}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a connection."""
    if not connections.remove(tx, command.scope, command.target):
        raise NotFoundError(f"there is no connection {command.target!r}", hint="`hub connections ls` lists them.")
    return {"name": command.target}


def test(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Note that a connection is tried: its secrets are opened for it."""
    row = connections.get(tx, command.scope, command.target)
    return {"id": row["id"], "name": row["name"], "kind": row["kind"]}


OPS = (
    Op("connection.set", SetConnection, set_, "connections:write", frozenset({"fields"}), watches=connections.TABLE),
    Op("connection.delete", Nothing, remove, "connections:write", watches=connections.TABLE),
    Op("connection.test", Nothing, test, "connections:write"),
)
