"""From a verified request to events: type, id, time and data of each item."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, replace
from datetime import datetime

from hub.types import SECOND, Json, Micros
from hub.webhooks.body import BodyError, parse_json
from hub.webhooks.preset import Options, Preset
from hub.webhooks.reference import Joined, Ref, spread
from hub.webhooks.request import WebhookRequest
from hub.webhooks.rules import EventRule

MAX_TYPE = 128
MAX_ID = 256
MAX_ITEMS = 1_000
UNTYPED = "event"
_UNSAFE_IN_TYPE = re.compile(r"[^A-Za-z0-9._:/-]+")
_UNSAFE_IN_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_YEAR_3000 = 32_503_680_000


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One event of a request. `type` is the provider's own word; `id` is None where it gives none."""

    type: str
    id: str | None
    time: Micros | None
    index: int
    data: Json


def event_type(preset: Preset, request: WebhookRequest, options: Options = None) -> str:
    """The provider's event type; for a batch the first item's. `event` if the request names none.

    Raises BodyError when a batch cannot be read or is too large.
    """
    rule = preset.rules(options).event
    batch = _batch(rule, request)
    return _type(rule, request, None if batch is None else batch[0])


def delivery_id(preset: Preset, request: WebhookRequest, options: Options = None) -> str | None:
    """The id under which the provider would send this request again, or None if it gives none."""
    return _text(preset.rules(options).delivery, request, None, MAX_ID)


def check_content(preset: Preset, request: WebhookRequest) -> None:
    """Raise BodyError when the body is not of a kind that the preset takes; JSON must be an object or array.

    A bare JSON scalar is refused because a handshake that signs a token could have signed it.
    """
    if "any" in preset.content or (request.is_form and "form" in preset.content and request.form is not None):
        return
    if not isinstance(request.json, dict | list):
        raise BodyError("the body must be a JSON object or array")


def provider_events(preset: Preset, request: WebhookRequest, options: Options = None) -> list[ProviderEvent]:
    """Return the request's events: one, or one for each item where the preset splits batches (at most 1,000).

    Raises BodyError when the body cannot be read.
    """
    rule = preset.rules(options).event
    items = _batch(rule, request)
    if items is None:
        return [_event(rule, request, None, 0, data=request_data(request))]
    return [_event(rule, request, item, index, data=item) for index, item in enumerate(items)]


def request_data(request: WebhookRequest) -> Json:
    """The body as a value: JSON where it is JSON, the fields of a form, otherwise `{"text": ...}`."""
    if request.is_form and "payload" not in request.form:
        return dict(request.form)
    try:
        return request.json
    except BodyError:
        if "json" in (request.first("content-type") or "").lower():
            raise
        return {"text": request.body.decode("utf-8", "replace")}


def safe_text(text: str, limit: int) -> str:
    """Make text fit for a column: control characters and lone surrogates become U+FFFD, the rest is cut."""
    if text.isprintable():
        return text[:limit]
    return _UNSAFE_IN_TEXT.sub("\ufffd", text)[:limit]


def safe_type(text: str) -> str:
    """Make a provider's word fit for the type of an event."""
    return _UNSAFE_IN_TYPE.sub("_", text[:MAX_TYPE]).strip("._") or UNTYPED


def _event(rule: EventRule, request: WebhookRequest, item: Json, index: int, *, data: Json) -> ProviderEvent:
    data = data if rule.base64 is None else _decoded(data, rule.base64.split("."))
    event = ProviderEvent(_type(rule, request, item), _text(rule.id, request, item, MAX_ID), None, index, data)
    return replace(event, time=_time(rule, request, item))


def _decoded(data: Json, path: list[str]) -> Json:
    """A copy of the data with the text at a path decoded; what is no base64 of UTF-8 stays as it is."""
    if not path:
        return _from_base64(data)
    if not isinstance(data, dict) or path[0] not in data:
        return data
    return {**data, path[0]: _decoded(data[path[0]], path[1:])}


def _from_base64(text: Json) -> Json:
    try:
        raw = b64decode(text, validate=True) if isinstance(text, str) else b""
        plain = raw.decode()
    except (ValueError, UnicodeDecodeError):
        return text
    try:
        return parse_json(raw) if raw else text
    except BodyError:
        return plain


def _batch(rule: EventRule, request: WebhookRequest) -> list[Json] | None:
    """The items of a batch, at least one; None for a request that is a single event.

    Raises BodyError for more than 1,000: whoever asks for a request's type is told, so that the door refuses it.
    """
    if not rule.split:
        return None
    if rule.split_content and request.media_type not in rule.split_content:
        return None
    found = [item for path in rule.split for item in spread(request.json, path)]
    if len(found) > MAX_ITEMS:
        raise BodyError(f"the batch holds {len(found)} items, at most {MAX_ITEMS} are taken")
    return found or [request.json]


def _type(rule: EventRule, request: WebhookRequest, item: Json) -> str:
    return safe_type(_text(rule.type, request, item, MAX_TYPE) or "")


def _text(texts: tuple[Ref | Joined, ...], request: WebhookRequest, item: Json, limit: int) -> str | None:
    found = _first(texts, request, item)
    return safe_text(found, limit) if found else None


def _first(texts: tuple[Ref | Joined, ...], request: WebhookRequest, item: Json) -> str | None:
    """Read the first place that leads to text."""
    for text in texts:
        if found := text.text(request, item):
            return found
    return None


def _time(rule: EventRule, request: WebhookRequest, item: Json) -> Micros | None:
    text = _first(rule.time, request, item)
    if text is None or len(text) > 40:
        return None
    if text.isascii() and text.isdigit():
        # The time is only shown, so that a guess of the unit does no harm.
        number = int(text)
        at = number * SECOND if number < _YEAR_3000 else number * 1000
        return at if at < _YEAR_3000 * SECOND else None
    return _rfc3339(text)


def _rfc3339(text: str) -> Micros | None:
    try:
        moment = datetime.fromisoformat(text)
        return int(moment.timestamp() * SECOND) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
