"""Requests as a provider would make them, not signed yet: of its samples, for an event type, around a body."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from hub.errors import UsageError
from hub.webhooks.events import event_type
from hub.webhooks.placing import placed, with_header
from hub.webhooks.preset import Preset
from hub.webhooks.reference import Joined, Ref, spread
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.rules import EventRule, Rules
from hub.webhooks.scheme import Place
from hub.webhooks.signing import sample_request


def example(
    preset: Preset,
    event: str | None,
    *,
    url: str,
    options: Mapping[str, str],
    delivery: str,
    named: bool = False,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> WebhookRequest:
    """The unsigned request of a sample or an event type (None: the first sample), as a delivery of its own.

    A body replaces the sample's and stays as it is: `delivery` is put into it only when it was `named` by somebody.
    Raises UsageError.
    """
    request = _request(preset, event, body, url, options)
    for name, value in (headers or {}).items():
        request = with_header(request, name, value)
    if named or body is None or _id_in_header(preset, options):
        request = renewed(preset, request, options, delivery)
    return request


def renewed(preset: Preset, request: WebhookRequest, options: Mapping[str, str], delivery: str) -> WebhookRequest:
    """The request as another delivery; its body changes only where the provider puts the id into it."""
    rules = preset.rules(options)
    request = _with_id(request, rules, delivery)
    return _with_item_ids(request, rules.event, delivery) if rules.event.split else request


def as_bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else json.dumps(body, separators=(",", ":")).encode()


def _id_in_header(preset: Preset, options: Mapping[str, str]) -> bool:
    return any(isinstance(ref, Ref) and ref.kind == "header" for ref in preset.rules(options).delivery)


def _request(
    preset: Preset, event: str | None, body: bytes | None, url: str, options: Mapping[str, str]
) -> WebhookRequest:
    """The unsigned request of a sample, or one that is made for the event."""
    samples = {sample.name: sample_request(preset, sample.name, url) for sample in preset.samples}
    by_type = {event_type(preset, request, options): request for request in samples.values()}
    found = next(iter(samples.values()), None) if event is None else samples.get(event) or by_type.get(event)
    if found is None and body is None:
        raise UsageError(
            f"preset {preset.id} has no sample {event!r}, so there is nothing to send",
            hint=f"Give a body, or one of its samples: {', '.join(samples) or 'none'}.",
        )
    if found is None:
        found = WebhookRequest(preset.methods[0], url, header_pairs({"Content-Type": "application/json"}), b"{}")
    if body is not None:
        found = replace(found, body=body)
    wanted = event is not None and event not in samples and event_type(preset, found, options) != event
    return _with_type(found, preset, event or "", options) if wanted else found


def _with_type(request: WebhookRequest, preset: Preset, event: str, options: Mapping[str, str]) -> WebhookRequest:
    """The request with its event type put where the provider says it."""
    for ref in preset.rules(options).event.type:
        changed = _put(request, ref, event)
        if changed is not None and event_type(preset, changed, options) == event:
            return changed
    raise UsageError(
        f"the body says no event type {event!r} as {preset.name} would",
        hint=f"It stands in {', '.join(map(str, preset.rules(options).event.type)) or 'no place'}.",
    )


def _with_id(request: WebhookRequest, rules: Rules, ident: str) -> WebhookRequest:
    for text in rules.delivery:
        if isinstance(text, Joined) and not text.text(request):
            continue
        changed = _put(request, _telling(text, rules.event), ident)
        if changed is not None:
            return changed
    return request


def _telling(text: Ref | Joined, rule: EventRule) -> Ref:
    """The place that tells two events of a kind apart: of several one that is called an id, else the last one; never
    type or time if there is another.
    """
    if isinstance(text, Ref):
        return text
    taken = {ref for one in (*rule.type, *rule.time) for ref in (one.refs() if isinstance(one, Joined) else (one,))}
    free = [ref for ref in text.refs() if ref not in taken] or text.refs()
    return next((ref for ref in reversed(free) if _AN_ID.search(ref.name)), free[-1])


def _with_item_ids(request: WebhookRequest, rule: EventRule, ident: str) -> WebhookRequest:
    """The request whose items have ids of their own, so that each of them happens."""
    if request.is_form or (rule.split_content and request.media_type not in rule.split_content):
        return request
    try:
        document = deepcopy(request.json)
    except UsageError:
        return request
    for index, item in enumerate(item for path in rule.split for item in spread(document, path)):
        text = next((text for text in rule.id if text.text(request, item)), None)
        if text is not None:
            _set(item, _telling(text, rule), f"{ident}.{index}")
    return replace(request, body=as_bytes(document))


def _put(request: WebhookRequest, ref: Ref | Joined, value: str) -> WebhookRequest | None:
    """The request with a value at a place of its headers, form or JSON; None where that cannot be."""
    if isinstance(ref, Joined):
        return None
    if ref.kind == "form" and request.is_form:
        return placed(Place.model_validate({"from": ref}), value, request)
    if ref.kind == "header":
        return with_header(request, ref.name, value)
    if ref.kind != "json" or request.is_form:
        return None
    try:
        document = deepcopy(request.json)
    except UsageError:
        return None
    return replace(request, body=as_bytes(document)) if _set(document, ref, value) else None


_AN_ID = re.compile(r"(?i:reference|[a-z]id|\bid)$")


def _set(document: Any, ref: Ref, value: str) -> bool:
    """Put a value at a JSON path, also into lists; False where there is no object for it."""
    *way, last = ref.name.split(".")
    for step in way:
        if isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            document = document.setdefault(step, {}) if isinstance(document, dict) else None
    if isinstance(document, dict):
        document[last] = value
    return isinstance(document, dict)
