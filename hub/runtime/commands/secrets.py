"""Operations on secrets: set, remove, and sealing them anew after the key was changed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from sqlalchemy import Table, select, update

from hub.errors import NotFoundError, UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import secrets
from hub.store.base import Tx
from hub.types import Id

NAME = r"^[A-Za-z_][A-Za-z0-9_.-]{0,127}$"


class SetSecret(BaseModel):
    """A secret's name and value (1 byte to 64 KiB)."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=NAME)
    value: SecretStr = Field(min_length=1, max_length=65_536)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def set_(tx: Tx, command: Command, args: SetSecret) -> dict[str, Any]:
    """Set a secret."""
    if "\x00" in args.value.get_secret_value():
        raise UsageError(f"the value of secret {args.name!r} holds a NUL character", hint="Encode it as base64.")
    secrets.put(tx, command.scope, args.name, args.value.get_secret_value())
    return {"name": args.name}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete a secret."""
    if not secrets.remove(tx, command.scope, command.target):
        raise NotFoundError(f"there is no secret {command.target!r}", hint="`hub secrets ls` lists them.")
    return {"name": command.target}


def rotate(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Seal everything anew with the newest key (the first in HUB_ENCRYPTION_KEY)."""
    count = secrets.reseal(tx, command.scope, limit=100_000)
    for table, column, context in secrets.ELSEWHERE:
        count += _reseal(tx, command.scope.workspace_id, table, column, context)
    return {"resealed": count, "key_id": tx.keyring.key_id}


def _reseal(tx: Tx, workspace_id: Id, table: Table, column: str, place: str) -> int:
    stale = (table.c.workspace_id == workspace_id, table.c.key_id != tx.keyring.key_id, table.c[column].is_not(None))
    rows = tx.conn.execute(select(table).where(*stale)).mappings().all()
    for row in rows:
        context = place.format(row["id"])
        value = tx.keyring.open(row[column], context=context, key_id=row["key_id"])
        values = {column: tx.keyring.seal(value, context=context), "key_id": tx.keyring.key_id}
        tx.conn.execute(update(table).where(table.c.id == row["id"]).values(**values))
    return len(rows)


OPS = (
    Op("secret.set", SetSecret, set_, "secrets:write", frozenset({"value"})),
    Op("secret.delete", Nothing, remove, "secrets:write"),
    Op("secret.rotate", Nothing, rotate, "secrets:write"),
)
