"""Operations on events: writing one of a user's own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from hub.events import EMITTED
from hub.runtime import asked
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import events
from hub.store.base import Tx
from hub.types import ID_PATTERN, dated_id

TYPE = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
Label = Annotated[str, Field(max_length=1000, pattern="^[^\x00]*$")]
Labels = Annotated[dict[Annotated[str, Field(min_length=1, max_length=200)], Label], Field(max_length=50)]


class EmitEvent(BaseModel):
    """An event of a user's own. The command's target is its type."""

    model_config = ConfigDict(extra="forbid")
    type: str = Field(pattern=TYPE)
    subject: str = Field("", max_length=1000, pattern="^[^\x00]*$")
    resource: Labels = {}
    related: list[Labels] = Field([], max_length=100)
    payload: Any = None
    run_id: str | None = Field(None, max_length=36)
    id: str | None = Field(None, pattern=ID_PATTERN)

    @field_validator("type")
    @classmethod
    def _not_the_hubs(cls, value: str) -> str:
        if value == "hub" or value.startswith("hub."):
            raise ValueError("types that begin with `hub.` are the hub's own; choose another first word")
        return value


def emit(tx: Tx, command: Command, args: EmitEvent) -> dict[str, Any]:
    """Write the event. The same command writes it once, and so does the same id."""
    asked.bounded(args.payload, "the payload")
    if args.id and events.get(tx, command.scope, args.id) is not None:
        return {"id": args.id, "type": args.type}
    made = events.append(
        tx, command.scope, args.type, subject=args.subject, source=EMITTED, run_id=args.run_id,
        event_id=args.id or dated_id(tx.now, command.id, "event"),
        resource=args.resource, related=args.related, payload=args.payload,
    )  # fmt: skip
    return {"id": made, "type": args.type}


OPS = (Op("event.emit", EmitEvent, emit, "events:write", frozenset({"payload"})),)
