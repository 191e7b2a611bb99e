"""Whether a provider's payloads still look as they did: checked after the answer, learned from what came."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from hub.store import event_schemas, events
from hub.store.base import Store, Tx
from hub.store.event_schemas import Place
from hub.store.receipts import TABLE as RECEIPTS
from hub.types import Json, JsonObject, Scope
from hub.webhooks.body import BodyError
from hub.webhooks.catalog import ANY_TYPE, MAX_ISSUES, Schema, applying
from hub.webhooks.events import ProviderEvent, provider_events, request_data
from hub.webhooks.learning import learn
from hub.webhooks.preset import Preset
from hub.webhooks.redaction import WHOLE
from hub.webhooks.request import WebhookRequest, header_pairs

MAX_LEARNED_FROM = 1_000
WINDOW, WINDOW_BYTES = 2_000, 64 * 1024 * 1024
"""How many requests, and how much of their bodies, are looked at for a proposal."""
_PAGE = 50


@lru_cache(maxsize=256)
def compiled(text: str) -> Schema:
    """A schema as it is kept, ready to check with; many sources share what many receipts need."""
    return Schema(json.loads(text))


def departures(
    store: Store, source: Mapping[str, Any], receipt: Mapping[str, Any], found: Sequence[ProviderEvent]
) -> dict[Place, tuple[int, str]]:
    """How the events of a receipt depart from the schemas of their types: how often, and how."""
    if source["schema_mode"] == "off" or WHOLE in (receipt["redacted"] or ()):
        return {}
    with store.read() as tx:
        texts = event_schemas.texts(tx, source["id"], {ANY_TYPE, *(event.type for event in found)})
    schemas = {type_: compiled(text) for type_, text in texts.items()}
    counts: dict[Place, tuple[int, str]] = {}
    for event, value in _values(receipt, found) if schemas else ():
        schema = applying(schemas, event.type)
        for issue in schema.issues(value) if schema else ():
            place = (event.type, issue.path, issue.kind)
            if place in counts or len(counts) < MAX_ISSUES:
                counts[place] = (counts.get(place, (0, ""))[0] + 1, issue.detail)
    return counts


def note(
    tx: Tx, scope: Scope, source: Mapping[str, Any], receipt: Mapping[str, Any],
    counts: Mapping[Place, tuple[int, str]],
) -> None:  # fmt: skip
    """Count what departed; each place is told once, when it is first seen."""
    if not counts:
        return
    for event_type, path, kind in event_schemas.note(tx, source, receipt["id"], counts):
        events.append(
            tx, scope, "hub.source.drifted", subject=source["id"], name=source["name"], event_type=event_type,
            kind=kind, path=path, receipt_id=receipt["id"],
        )  # fmt: skip


def propose(
    tx: Tx, source: Mapping[str, Any], preset: Preset, *, event_type: str | None, last: int
) -> list[dict[str, Any]]:
    """Schemas that the last payloads of each type (or of one) fit: type, how many there were, schema."""
    values: dict[str, list[Json]] = defaultdict(list)
    for kind, value in _payloads(tx, source, preset):
        if event_type is None or kind == event_type:
            values[kind].append(value)
        if sum(map(len, values.values())) >= last:
            break
    return [_proposal(kind, found) for kind, found in sorted(values.items())]


def _proposal(kind: str, values: list[Json]) -> dict[str, Any]:
    document: JsonObject = learn(values)
    return {"type": kind, "samples": len(values), "document": document}


def _payloads(tx: Tx, source: Mapping[str, Any], preset: Preset) -> Iterator[tuple[str, Json]]:
    for row in _newest(tx, source):
        headers = header_pairs((name, value) for name, value in row["headers"])
        request = WebhookRequest(row["method"], "?" + row["query"], headers, row["body"] or b"")
        try:
            found = provider_events(preset, request, source["options"])
        except BodyError:
            continue
        if WHOLE not in (row["redacted"] or ()):
            yield from ((event.type, event.data) for event in found)


def _newest(tx: Tx, source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    query = select(RECEIPTS).where(
        RECEIPTS.c.workspace_id == source["workspace_id"], RECEIPTS.c.source_id == source["id"],
        RECEIPTS.c.verdict.in_(("accepted", "observed")),
    ).order_by(RECEIPTS.c.id.desc()).limit(_PAGE)  # fmt: skip
    seen, size, before = 0, 0, None
    while seen < WINDOW and size < WINDOW_BYTES:
        page = query if before is None else query.where(RECEIPTS.c.id < before)
        rows = tx.conn.execute(page).mappings().all()
        for row in rows:
            size += row["body_size"]
            yield dict(row)
        if len(rows) < _PAGE:
            return
        seen, before = seen + len(rows), rows[-1]["id"]


def _values(receipt: Mapping[str, Any], found: Iterable[ProviderEvent]) -> Iterator[tuple[ProviderEvent, Json]]:
    """Each event with its payload; what is no batch has the body. What cannot be read departs from nothing."""
    headers = header_pairs((name, value) for name, value in receipt["headers"])
    request = WebhookRequest(receipt["method"], "", headers, receipt["body"] or b"")
    for event in found:
        try:
            yield event, request_data(request) if event.data is None else event.data
        except BodyError:
            return
