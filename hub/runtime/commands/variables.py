"""Operations on variables: set and unset."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hub.errors import ConflictError, NotFoundError, UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import events, variables
from hub.store.base import Tx

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
MAX_BYTES = 65_536
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class SetVariable(BaseModel):
    """A variable's name, value and tags. `overwrite`: one of that name may be there."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    value: Any = None
    tags: list[Tag] = Field(default_factory=list, max_length=50)
    overwrite: bool = False


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def set_(tx: Tx, command: Command, args: SetVariable) -> dict[str, Any]:
    """Set a variable."""
    value = as_json(args.name, args.value)
    tags = list(dict.fromkeys(args.tags))
    there = variables.find(tx, command.scope, args.name)
    row = None
    if there is None:
        row = variables.add(tx, command.scope, args.name, value, tags)
    if row is None and not args.overwrite:
        raise ConflictError(f"there is a variable {args.name!r} already", hint="Overwrite it: overwrite=True.")
    row = row or variables.put(tx, command.scope, args.name, value, tags)
    events.append(
        tx, command.scope, "hub.variable.set", subject=args.name, name=args.name, tags=tags, created=there is None,
        value=value,
    )  # fmt: skip
    return {"id": row["id"], "name": args.name, "created": there is None}


def unset(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Remove a variable."""
    if not variables.remove(tx, command.scope, command.target):
        raise NotFoundError(f"there is no variable {command.target!r}", hint="`hub variables ls` lists them.")
    events.append(tx, command.scope, "hub.variable.unset", subject=command.target, name=command.target)
    return {"name": command.target}


def as_json(name: str, value: Any) -> Any:
    """The value as JSON gives it back. Raises UsageError for what is no JSON or too large."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the value of variable {name!r} is no JSON: {error}") from None
    if len(text) > MAX_BYTES:
        raise UsageError(
            f"the value of variable {name!r} has {len(text)} bytes, more than {MAX_BYTES}",
            hint="Keep large things in files or results.",
        )
    return json.loads(text)


OPS = (
    Op("variable.set", SetVariable, set_, "variables:write", frozenset({"value"}), watches=variables.TABLE),
    Op("variable.unset", Nothing, unset, "variables:write", watches=variables.TABLE),
)
