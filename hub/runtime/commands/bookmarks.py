"""Keeping a request under a name: as a fixture, to be sent again whenever it is wanted."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import bookmarks, receipts
from hub.store.base import Tx

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class SetBookmark(BaseModel):
    """Which request is to have the name."""

    model_config = ConfigDict(extra="forbid")
    receipt: str = Field(max_length=36)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def put(tx: Tx, command: Command, args: SetBookmark) -> dict[str, Any]:
    """Give a request a name, until it is taken away, and keep the request as long."""
    if not _NAME.match(command.target):
        raise UsageError(
            f"{command.target!r} is no name for a bookmark", hint="Letters, digits, dot, dash, underscore."
        )
    receipt = receipts.row(tx, command.scope, args.receipt)
    bookmarks.put(tx, command.scope, command.target, receipt)
    return {"name": command.target, "receipt_id": receipt["id"]}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Take a name away."""
    return {"name": command.target, "receipt_id": bookmarks.remove(tx, command.scope, command.target)}


OPS = (
    Op("bookmark.set", SetBookmark, put, "sources:write"),
    Op("bookmark.delete", Nothing, remove, "sources:write"),
)
