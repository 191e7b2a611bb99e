"""Dismissing what the hub proposes for a source, and taking that back."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.runtime.commands.apply import Command
from hub.runtime.presets import installed
from hub.store import dismissals, sources
from hub.store.base import Tx
from hub.store.dismissals import Kind
from hub.webhooks.events import MAX_TYPE


class Proposal(BaseModel):
    """Which: `about` is the event type of a schema, or a preset."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    about: str = Field(min_length=1, max_length=MAX_TYPE)


def dismiss(tx: Tx, command: Command, args: Proposal) -> dict[str, Any]:
    """Do not propose it again. Raises NotFoundError for a preset that there is not."""
    source = sources.row(tx, command.scope, command.target)
    if args.kind == "preset":
        installed().get(args.about)
    row = dismissals.put(tx, command.scope, source, args.kind, args.about)
    return {name: row[name] for name in ("source_id", "kind", "about", "dismissed_by", "dismissed_at")}


def reconsider(tx: Tx, command: Command, args: Proposal) -> dict[str, Any]:
    """Let it be proposed again."""
    source = sources.row(tx, command.scope, command.target)
    dismissals.remove(tx, source, args.kind, args.about)
    return {"source_id": source["id"], "kind": args.kind, "about": args.about}
