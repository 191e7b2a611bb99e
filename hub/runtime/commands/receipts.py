"""Letting a kept request happen again: with the preset, options and automations as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import NotFoundError, RefusedError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.presets import installed
from hub.runtime.receipts import receipt_effect
from hub.store import effects, receipts, sources
from hub.store.base import Tx
from hub.types import ID_PATTERN, Id, dated_id, derived_id, new_id
from hub.webhooks.body import BodyError
from hub.webhooks.events import delivery_id, event_type
from hub.webhooks.redaction import parse
from hub.webhooks.request import WebhookRequest, header_pairs


class ReplayReceipt(BaseModel):
    """`unverified` must be said to replay a request that was refused; `request` does it once for that id."""

    model_config = ConfigDict(extra="forbid")
    unverified: bool = False
    request: str | None = Field(None, pattern=ID_PATTERN)


def replay(tx: Tx, command: Command, args: ReplayReceipt) -> dict[str, Any]:
    """Let a kept request happen again, as a receipt of its own. No dedupe key stands in its way."""
    old = receipts.row(tx, command.scope, command.target)
    source = sources.by_id(tx, command.scope, old["source_id"], lock=True)
    if source is None or source["deleted_at"] is not None:
        raise NotFoundError("the source of this receipt was deleted", hint="Its bytes can still be read.")
    if old["verdict"] in ("rejected", "handshake") and not args.unverified:
        raise RefusedError(
            f"this request was not accepted ({old['reason'] or old['verdict']})",
            hint="If you know that it is genuine, replay it with unverified.",
        )
    if not receipts.is_whole(old):
        raise RefusedError("the body of this request was not kept, or not all of it, so it cannot happen again")
    receipt_id = dated_id(args.request, old["id"], "replay", args.request) if args.request else new_id()
    answer = {"id": receipt_id, "replay_of": old["id"], "repeated": False}
    # The outcome of the command says so too, but is not kept for ever.
    if args.request and receipts.find(tx, command.scope, receipt_id) is not None:
        return answer | {"repeated": True}
    row = {name: old[name] for name in _REPLAYED} | read_again(source, old) | _redacted_again(source, old) | {
        "id": receipt_id, "received_at": tx.now, "verdict": "accepted", "reason": f"replayed by {command.scope.actor}",
        "replay_of": old["id"], "answer_status": 202,
    }  # fmt: skip
    receipts.insert(tx, [receipts.complete(row)])
    tx.insert(effects.TABLE, receipt_effect(row, effects.HELD if source["paused_at"] is not None else tx.now))
    tx.wake("effects")
    return answer


def once(workspace_id: Id, receipt_id: Id, request: Id) -> Id:
    """The id of the command that replays a receipt for a request: it is carried out once, whoever asks again."""
    return derived_id(workspace_id, "replay", receipt_id, request)


def read_again(source: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Type and delivery as the preset reads them now; as they were where it cannot."""
    preset = installed().find(source["preset"])
    if preset is None:
        return {}
    request = _request(old)
    try:
        rules = preset.rules(source["options"])
        return {"event_type": event_type(preset, request, rules), "delivery_id": delivery_id(preset, request, rules)}
    except BodyError:
        return {}


def _redacted_again(source: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """What the source does not want kept now, whatever it wanted then."""
    redaction = parse(source["redact"])
    headers, query = redaction.beside(old["headers"], old["query"])
    stored = redaction.apply(_request(old))
    places = list(dict.fromkeys([*(old["redacted"] or ()), *stored.places]))
    return {"headers": headers, "query": query, "body": stored.body, "redacted": places or None}


def _request(old: Mapping[str, Any]) -> WebhookRequest:
    headers = header_pairs((name, value) for name, value in old["headers"])
    return WebhookRequest(old["method"], "?" + old["query"], headers, old["body"] or b"")


_REPLAYED = (
    "workspace_id", "source_id", "method", "query", "headers", "body", "body_size", "remote", "event_type",
    "delivery_id",
)  # fmt: skip
OPS = (Op("receipt.replay", ReplayReceipt, replay, "sources:write"),)
