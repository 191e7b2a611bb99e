"""Pausing a source: it goes on taking requests, and what they start waits until it is resumed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from hub.runtime.commands.apply import Command
from hub.store import events, holding, sources
from hub.store.base import Tx


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def pause(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Hold what comes in and what still waits. A second time it changes nothing."""
    source = sources.row(tx, command.scope, command.target)
    if source["paused_at"] is None:
        sources.change(tx, source, {"paused_at": tx.now})
        events.append(tx, command.scope, "hub.source.paused", subject=source["id"], name=source["name"])
    return {"id": source["id"], "name": source["name"], "held": holding.hold(tx, source["id"])}


def resume(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Let what was held happen, in the order in which it came, and go on."""
    source = sources.row(tx, command.scope, command.target)
    if source["paused_at"] is not None:
        # First the row, which a door at work holds until its requests are committed: none is left behind.
        sources.change(tx, source, {"paused_at": None, "heard_at": tx.now})
        events.append(tx, command.scope, "hub.source.resumed", subject=source["id"], name=source["name"])
    return {"id": source["id"], "name": source["name"], "drained": holding.drain(tx, source["id"])}
