"""Reading the texts by which a request proves itself: strictly, within limits, and never two where one is meant."""

from __future__ import annotations

from hub.webhooks.reference import Ref, Rejected, scalar_text
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import Place

MAX_SIGNATURES = 16
MAX_TEXT = 8_192


def read_header(request: WebhookRequest, name: str) -> str:
    """Return a header that must be there once. Raises Rejected."""
    return _text(Ref("header", name), request, f"the header {name}")


def read_items(place: Place, request: WebhookRequest, what: str, *, most: int) -> list[str]:
    """Read the items of a place that carry its prefix, without it; at least one and at most `most`."""
    text = _text(place.source, request, what)
    separator, prefix = place.separator, place.prefix
    items = split_items(text, separator) if separator else [text]
    chosen = [item[len(prefix) :] for item in items if item.startswith(prefix) and item != prefix]
    if not chosen:
        raise Rejected(f"{what} is missing or not of the form expected")
    if len(chosen) > most:
        raise Rejected(f"{what} comes {len(chosen)} times in one value, at most {most} allowed")
    return chosen


def split_items(text: str, separator: str) -> list[str]:
    """Split a list of signatures; raises Rejected when it is longer than any provider's."""
    items = [item.strip(" ") for item in text.split(separator)]
    if len(items) > 2 * MAX_SIGNATURES:
        raise Rejected(f"the request carries {len(items)} signatures")
    return [item for item in items if item]


def _text(ref: Ref, request: WebhookRequest, what: str) -> str:
    text = scalar_text(ref.demand(request, what))
    if not text:
        raise Rejected(f"{what} is missing")
    if len(text) > MAX_TEXT:
        raise Rejected(f"{what} is longer than {MAX_TEXT} characters")
    return text
