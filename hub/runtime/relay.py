"""From a kept receipt to events: after the commit, once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from hub.errors import UnavailableError
from hub.plugins import Context
from hub.runtime.presets import install
from hub.store import events, receipts, sources
from hub.store.base import Tx
from hub.types import Id, Scope, derived_id
from hub.webhooks.body import BodyError
from hub.webhooks.events import ProviderEvent, provider_events
from hub.webhooks.preset import Preset
from hub.webhooks.request import WebhookRequest, header_pairs


def carry_out(ctx: Context, effect: Mapping[str, Any]) -> None:
    """Write the events of one receipt. Idempotent: a receipt that has become events is left alone.

    Raises UnavailableError while the preset's plugin is missing, so that it is tried again.
    """
    scope = Scope(effect["workspace_id"])
    with ctx.store.read() as tx:
        receipt = receipts.find(tx, scope, effect["payload"]["receipt_id"])
        source = receipt and sources.by_id(tx, scope, receipt["source_id"])
    if receipt is None or source is None or receipt["processed_at"] is not None:
        return  # done before, or past its retention
    preset = install(ctx.hooks).find(source["preset"])
    if preset is None:
        raise UnavailableError(f"the preset {source['preset']} is not installed", hint="`hub plugins ls` says why.")
    try:
        found, problem = _read(preset, source, receipt), ""
    except BodyError as error:
        found, problem = [], error.detail
    with ctx.store.write() as tx:
        _settle(tx, scope, source, receipt, found, problem)


def _read(preset: Preset, source: Mapping[str, Any], receipt: Mapping[str, Any]) -> list[ProviderEvent]:
    """The events of a receipt. Only a batch is parsed again, and only its items have data here: of all others the
    door has read type and id."""
    if preset.rules(source["options"]).event.split:
        headers = header_pairs((name, value) for name, value in receipt["headers"])
        request = WebhookRequest(receipt["method"], "?" + receipt["query"], headers, receipt["body"] or b"")
        return provider_events(preset, request, source["options"])
    return [ProviderEvent(receipt["event_type"] or "event", receipt["delivery_id"], None, 0, None)]


def _settle(
    tx: Tx,
    scope: Scope,
    source: Mapping[str, Any],
    receipt: Mapping[str, Any],
    found: list[ProviderEvent],
    problem: str,
) -> None:
    fresh = _fresh(tx, {_event_id(source, receipt, event): event for event in found})
    if not receipts.settle(tx, receipt["id"], events=len(fresh), error=problem or None):
        return
    for event_id, event in fresh.items():
        events.append(
            tx, scope, f"{source['preset']}.{event.type}", subject=source["id"], source=f"source:{source['name']}",
            event_id=event_id, receipt_id=receipt["id"], source_id=source["id"],
            source_name=source["name"], preset=source["preset"], provider_type=event.type,
            delivery_id=event.id or "", index=event.index,
        )  # fmt: skip
    if problem:
        events.append(
            tx, scope, "hub.receipt.failed", subject=receipt["id"], receipt_id=receipt["id"],
            source_id=source["id"], error=problem,
        )  # fmt: skip


def _event_id(source: Mapping[str, Any], receipt: Mapping[str, Any], event: ProviderEvent) -> Id:
    """An item of a batch that names itself happens once for its source, however the batches are cut."""
    if event.data is not None and event.id and receipt["replay_of"] is None:
        return derived_id(source["id"], "item", event.type, event.id)
    return derived_id(receipt["id"], "event", str(event.index))


def _fresh(tx: Tx, found: dict[Id, ProviderEvent]) -> dict[Id, ProviderEvent]:
    query = select(events.TABLE.c.id).where(events.TABLE.c.id.in_(list(found)))
    there = {hit.id for hit in tx.conn.execute(query)} if found else set()
    return {event_id: event for event_id, event in found.items() if event_id not in there}
