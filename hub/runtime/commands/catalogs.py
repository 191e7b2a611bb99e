"""Operations on the catalog of a source: the schemas of its payloads by event type."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hub.errors import UsageError
from hub.runtime.commands.apply import Command
from hub.store import event_schemas, events, sources
from hub.store.base import Tx
from hub.webhooks.catalog import Schema
from hub.webhooks.events import MAX_TYPE


class OfType(BaseModel):
    """An event type, the provider's own word; `*`: all that have no schema of their own."""

    model_config = ConfigDict(extra="forbid")
    type: str = Field(min_length=1, max_length=MAX_TYPE)


class SetSchema(OfType):
    """A JSON schema of the payloads of a type."""

    document: dict[str, Any]

    @field_validator("document")
    @classmethod
    def _usable(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Checked with the arguments, before a transaction is open: loading the library takes its time."""
        try:
            Schema(value)
        except UsageError as error:
            raise ValueError(f"{error.detail}{f' ({error.hint})' if error.hint else ''}") from None
        return value


def set_schema(tx: Tx, command: Command, args: SetSchema) -> dict[str, Any]:
    """Register a schema. A source that paid no heed to schemas observes from now on."""
    source = sources.row(tx, command.scope, command.target)
    event_schemas.put(tx, source, args.type, json.dumps(args.document, separators=(",", ":")))
    mode = "observe" if source["schema_mode"] == "off" else source["schema_mode"]
    # Doors that enforce look at the source anew.
    sources.change(tx, source, {"schema_mode": mode})
    return _told(tx, command, source, mode)


def remove_schema(tx: Tx, command: Command, args: OfType) -> dict[str, Any]:
    """Remove the schema of a type, and what is known of departures from it."""
    source = sources.row(tx, command.scope, command.target)
    event_schemas.remove(tx, source, args.type)
    sources.change(tx, source, {})
    return _told(tx, command, source, source["schema_mode"])


def _told(tx: Tx, command: Command, source: dict[str, Any], mode: str) -> dict[str, Any]:
    events.append(tx, command.scope, "hub.source.updated", subject=source["id"], name=source["name"])
    return {"id": source["id"], "name": source["name"], "schema_mode": mode}


DOCUMENT = frozenset({"document"})
"""Too large for the audit row."""
