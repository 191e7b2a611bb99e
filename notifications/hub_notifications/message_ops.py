"""Operations on what one message tells: acknowledged or silenced together, by the links in it."""

from __future__ import annotations

import json
from typing import Any, Literal

from hub.errors import ConflictError
from hub.runtime.commands import Command, Op
from hub.store.base import Tx
from hub.types import SECOND, rfc3339
from pydantic import BaseModel, ConfigDict, Field

from hub_notifications import firing, notices
from hub_notifications.alert_ops import tell_incidents
from hub_notifications.route_ops import CreateSilence, create_silence
from hub_notifications.routes import labels_of

_FOR_S = 86_400
_MOST = 20
_OVER = "none of the alerts of this message fires any more"


class AcknowledgeTold(BaseModel):
    """Somebody in this channel looks after what the message told and still fires; for a day."""

    model_config = ConfigDict(extra="forbid")
    channel: str = Field(min_length=1, max_length=63)


class SilenceTold(AcknowledgeTold):
    """Nobody is told of what the message told, or of the same again, for so many seconds."""

    for_s: Literal[3600, 86400]


def acknowledge_told(tx: Tx, command: Command, args: AcknowledgeTold) -> dict[str, Any]:
    """Acknowledge all alerts of a message that fire; those that somebody has acknowledged stay his."""
    told = notices.firing_of(tx, command.scope, command.target)
    if not told:
        raise ConflictError(_OVER)
    by = _who(args)
    open_ = [row["id"] for row in told if not firing.is_quiet(row, tx.now)]
    for alert_id in open_:
        firing.acknowledge(tx, command.scope, alert_id, by=by, until=tx.now + _FOR_S * SECOND)
    tell_incidents(tx, command.scope, open_)
    return {"said": f"It was acknowledged by {by}", "alerts": len(open_)}


def silence_told(tx: Tx, command: Command, args: SilenceTold) -> dict[str, Any]:
    """Silence what the message told: alerts of the same kind about the same."""
    told = notices.firing_of(tx, command.scope, command.target)
    if not told:
        raise ConflictError(_OVER)
    pairs = dict.fromkeys((labels_of(row)["about"], row["kind"]) for row in told)
    if len(pairs) > _MOST:
        raise ConflictError(f"the message tells of {len(pairs)} different alerts, a link silences at most {_MOST}")
    match = " || ".join(
        f"(labels.about == {_quoted(about)} && labels.kind == {_quoted(kind)})" for about, kind in pairs
    )
    ends = tx.now + args.for_s * SECOND
    comment = f"By the link in a message to channel {args.channel}"
    silence = CreateSilence(match=match, comment=comment, author=_who(args), ends=rfc3339(ends))
    made = create_silence(tx, command, silence)
    return {"said": f"It was silenced by {_who(args)}, until {rfc3339(ends)[:16].replace('T', ' ')} UTC", **made}


def _who(args: AcknowledgeTold) -> str:
    return f"somebody in channel {args.channel}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


OPS = (
    Op("notification.acknowledge", AcknowledgeTold, acknowledge_told, "alerts:write"),
    Op("notification.silence", SilenceTold, silence_told, "alerts:write"),
)
