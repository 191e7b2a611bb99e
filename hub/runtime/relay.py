"""From a kept receipt to events: after the commit, once, whatever happens in between."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub.errors import ExpressionError, UnavailableError
from hub.plugins import Context
from hub.runtime import drifting
from hub.runtime.expressions import Expression, cel_input, compile_expression
from hub.runtime.keys import joined
from hub.runtime.payloads import request_payload
from hub.runtime.presets import install
from hub.store import effects, events, receipts, relaying, sources
from hub.store.base import Tx
from hub.store.event_schemas import Place
from hub.store.portions import in_portions
from hub.types import Id, Micros, Scope, dated_id, derived_id
from hub.webhooks.body import BodyError
from hub.webhooks.events import MAX_ID, MAX_ITEMS, ProviderEvent, provider_events, safe_text, safe_type
from hub.webhooks.preset import Preset
from hub.webhooks.request import WebhookRequest, header_pairs

log = logging.getLogger("hub.relay")
_LONGEST_ERROR = 500
_TOGETHER, _TOGETHER_BYTES = 10, 1_048_576
"""How many receipts are held in memory at a time; after so many bytes of them no further one is read."""


def receipts_of(ctx: Context, rows: Sequence[Mapping[str, Any]]) -> Sequence[Callable[[], None] | None]:
    """The handler of effects of the kind `receipt`. They are settled here, many in a transaction in which they are
    noted as done; what is left for the deeds is what could not be.

    Before a receipt of an ordered source come all that came before it, whoever has them in hand: carrying one out
    twice does no harm.
    """
    with ctx.store.read() as tx:
        about = relaying.about(tx, [row["id"] for row in rows])
        last = {about[key].source_id: key for key in sorted(about) if about[key].is_ordered}
        lines = {source_id: _Line(ctx, relaying.until(tx, source_id, key)) for source_id, key in last.items()}
    rows = [{**row, "body_size": about[row["id"]].body_size if row["id"] in about else 0} for row in rows]
    none = _Line(ctx, [])
    line_of = {row["id"]: lines.get(about[row["id"]].source_id, none) if row["id"] in about else none for row in rows}
    try:
        # Each once: what waits before one of a line waits before those behind it, too.
        todo = {each["id"]: each for row in rows for each in line_of[row["id"]].until(row)}
        _settle_all(ctx, todo.values())
    except Exception as failure:  # noqa: BLE001 - whose it is shows when each is carried out by itself
        log.debug("%d receipts become events one by one: %s", len(rows), failure)
        return [partial(line_of[row["id"]].carry_out, row) for row in rows]
    return [None] * len(rows)


class _Line:
    """What waits of one ordered source, the first that came in front."""

    def __init__(self, ctx: Context, waiting: list[dict[str, Any]]) -> None:
        self._ctx = ctx
        self._waiting = deque(waiting)

    def until(self, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """A receipt behind all that have to come before it."""
        return [*(each for each in self._waiting if each["id"] < row["id"]), row]

    def carry_out(self, row: Mapping[str, Any]) -> None:
        """Carry out a receipt and all before it. Raises what one of them raises: those behind it do not overtake."""
        while self._waiting and self._waiting[0]["id"] < row["id"]:
            carry_out(self._ctx, self._waiting[0])
            self._waiting.popleft()
        carry_out(self._ctx, row)


def _settle_all(ctx: Context, rows: Iterable[Mapping[str, Any]]) -> None:
    waiting = deque(rows)
    while waiting:
        some, size = [waiting.popleft()], 0
        while waiting and len(some) < _TOGETHER and (size := size + some[-1]["body_size"]) < _TOGETHER_BYTES:
            some.append(waiting.popleft())
        with ctx.store.read() as tx:
            given = relaying.given(tx, some)
        found = [(row["id"], _found(ctx, *one) if one else None) for row, one in zip(some, given, strict=True)]
        in_portions(ctx.store, found, _settle_some)


def _settle_some(tx: Tx, some: Iterable[tuple[Id, _Found | None]]) -> None:
    done = []
    for number, (effect_id, found) in enumerate(some):
        if found is not None:
            # In the order in which they are dealt with: the sequencer goes by that.
            _settle(tx, found, tx.now + number)
        done.append(effect_id)
    effects.finish(tx, done)


def carry_out(ctx: Context, effect: Mapping[str, Any]) -> None:
    """Write the events of one receipt. Idempotent: a receipt that has become events is left alone.

    Raises UnavailableError while the preset's plugin is missing, so that it is tried again.
    """
    with ctx.store.read() as tx:
        (given,) = relaying.given(tx, [effect])
    if given is not None:
        found = _found(ctx, *given)
        # What a power cut takes back becomes the same events once more: the effect is as open as before.
        with ctx.store.write(durable=False) as tx:
            _settle(tx, found, tx.now)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a receipt comes to: its events by their places, or the problem with it."""

    scope: Scope
    source: Mapping[str, Any]
    receipt: Mapping[str, Any]
    events: list[ProviderEvent]
    problem: str
    keys: Mapping[int, Mapping[str, str]]
    departed: Mapping[Place, tuple[int, str]]


def _found(ctx: Context, source: Mapping[str, Any], receipt: Mapping[str, Any]) -> _Found:
    preset = install(ctx.hooks).find(source["preset"])
    if preset is None:
        raise UnavailableError(f"the preset {source['preset']} is not installed", hint="`hub plugins ls` says why.")
    try:
        given, problem = _parsed(ctx, preset, source, receipt), ""
        events_ = provider_events_of(preset, source, receipt) if given is None else given
    except BodyError as error:
        events_, problem = [], error.detail
    keys = order_keys(source, receipt, events_) if source["order_by"] else {}
    departed = drifting.departures(ctx.store, source, receipt, events_)
    return _Found(Scope(receipt["workspace_id"]), source, receipt, events_, problem, keys, departed)


def _parsed(
    ctx: Context, preset: Preset, source: Mapping[str, Any], receipt: Mapping[str, Any]
) -> list[ProviderEvent] | None:
    """The events that a plugin finds in a receipt; None where the preset asks for none.

    Raises BodyError when one fails at it, UnavailableError when none is there or it is left alone for a while.
    """
    parser = preset.rules(source["options"]).event.plugin
    if parser is None:
        return None
    about = {"parser": parser, "name": source["name"], "preset": source["preset"], "options": dict(source["options"])}
    given = ctx.hooks.webhook_parse(about, _request(receipt))
    if isinstance(given, str):
        raise BodyError(given)
    if given is None:
        raise UnavailableError(f"no plugin here finds the events of {parser}", hint="`hub plugins ls` says why.")
    if len(given) > MAX_ITEMS:
        raise BodyError(f"a plugin found {len(given)} events in the request, at most {MAX_ITEMS} are taken")
    return [ProviderEvent(safe_type(one.type), _id(one.id), one.time, index, None) for index, one in enumerate(given)]


def _id(given: str | None) -> str | None:
    return None if given is None else safe_text(given, MAX_ID)


def _request(receipt: Mapping[str, Any]) -> WebhookRequest:
    headers = header_pairs((name, value) for name, value in receipt["headers"])
    return WebhookRequest(receipt["method"], "?" + receipt["query"], headers, receipt["body"] or b"")


def provider_events_of(preset: Preset, source: Mapping[str, Any], receipt: Mapping[str, Any]) -> list[ProviderEvent]:
    """The events of a receipt. Only a batch is parsed again, and only its items have data here: of all others the
    door has read type and id."""
    if preset.rules(source["options"]).event.split:
        return provider_events(preset, _request(receipt), source["options"])
    return [ProviderEvent(receipt["event_type"] or "event", receipt["delivery_id"], None, 0, None)]


def _settle(tx: Tx, found: _Found, at: Micros) -> None:
    scope, source, receipt, problem = found.scope, found.source, found.receipt, found.problem
    # Once they are numbered they stay so: numbers say the order of events that are written close to each other.
    # Before all else, so that nobody else writes events of this source meanwhile.
    is_ordered = bool(source["order_by"] or source["order_no"])
    first = sources.numbers(tx, source["id"], len(found.events)) if is_ordered else 0
    named = {_event_id(source, receipt, event): event for event in found.events}
    fresh = _fresh(tx, named) if any(event.data is not None for event in found.events) else named
    if not receipts.settle(tx, receipt["id"], events=len(fresh), error=problem or None):
        return  # it has become events before
    for place, (event_id, event) in enumerate(fresh.items()):
        type_, subject, origin = described(source, event)
        order: dict[str, Any] = {"order_no": first + place, **found.keys.get(event.index, {})} if is_ordered else {}
        fields = {**fields_of(source, receipt, event), **order}
        events.append(tx, scope, type_, subject=subject, source=origin, event_id=event_id, at=at, **fields)
    if problem:
        _failed(tx, scope, receipt, problem)
    elif receipt["replay_of"]:
        receipts.mend(tx, receipt)
    drifting.note(tx, scope, source, receipt, found.departed)


def given_up(tx: Tx, effect: Mapping[str, Any], problem: str) -> None:
    """A receipt that could not become events however often that was tried: it is a dead letter."""
    scope = Scope(effect["workspace_id"])
    receipt = receipts.find(tx, scope, effect["payload"]["receipt_id"])
    if receipt is not None and receipts.give_up(tx, receipt["id"], problem):
        _failed(tx, scope, receipt, problem)


def _failed(tx: Tx, scope: Scope, receipt: Mapping[str, Any], problem: str) -> None:
    events.append(
        tx, scope, "hub.receipt.failed", subject=receipt["id"], receipt_id=receipt["id"],
        source_id=receipt["source_id"], error=problem,
    )  # fmt: skip


def described(source: Mapping[str, Any], event: ProviderEvent) -> tuple[str, str, str]:
    """Type, subject and source of a provider's event."""
    return f"{source['preset']}.{event.type}", source["id"], f"source:{source['name']}"


def fields_of(source: Mapping[str, Any], receipt: Mapping[str, Any], event: ProviderEvent) -> dict[str, Any]:
    """The fields of a provider's event."""
    replay = {"replay_of": receipt["replay_of"]} if receipt["replay_of"] else {}
    return {
        "receipt_id": receipt["id"], "source_id": source["id"], "source_name": source["name"],
        "preset": source["preset"], "provider_type": event.type, "delivery_id": event.id or "", "index": event.index,
        **replay,
    }  # fmt: skip


def order_keys(
    source: Mapping[str, Any], receipt: Mapping[str, Any], found: Sequence[ProviderEvent]
) -> dict[int, dict[str, str]]:
    """The key of each event in whose order its runs start, by the event's index; `order_error` where it has none."""
    try:
        expression = compile_expression(source["order_by"])
        payload = request_payload(receipt)
    except ExpressionError as error:
        return {event.index: {"order_error": error.detail[:_LONGEST_ERROR]} for event in found}
    return {event.index: _order_key(expression, payload, source, event) for event in found}


def _order_key(
    expression: Expression, payload: Mapping[str, Any], source: Mapping[str, Any], event: ProviderEvent
) -> dict[str, str]:
    told = {"type": described(source, event)[0], "provider_type": event.type, "index": event.index}
    variables = {**payload, "event": told | {"delivery_id": event.id or ""}, "source": source["name"]}
    try:
        value = expression.value({name: cel_input(given) for name, given in variables.items()})
    except ExpressionError as error:
        return {"order_error": error.detail[:_LONGEST_ERROR]}
    if value is None:
        return {}
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return {"order_key": joined([text])}


def _event_id(source: Mapping[str, Any], receipt: Mapping[str, Any], event: ProviderEvent) -> Id:
    """An item of a batch that names itself happens once for its source, however the batches are cut."""
    if event.data is not None and event.id and receipt["replay_of"] is None:
        return derived_id(source["id"], "item", event.type, event.id)
    return event_id_of(receipt["id"], event.index)


def event_id_of(receipt_id: Id, index: int) -> Id:
    """The id of the event that a receipt becomes, or of the item with that index of a batch that names no ids."""
    return dated_id(receipt_id, receipt_id, "event", str(index))


def _fresh(tx: Tx, found: dict[Id, ProviderEvent]) -> dict[Id, ProviderEvent]:
    """Those that are not there yet: another batch may have brought an item that names itself."""
    there = events.known(tx, found)
    return {event_id: event for event_id, event in found.items() if event_id not in there}
