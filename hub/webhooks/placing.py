"""Putting a text where a scheme looks for it: into a header, the query, or a field of the body. For `signing`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from hub.errors import UsageError
from hub.types import Json
from hub.webhooks.body import BodyError, parse_pairs
from hub.webhooks.reference import Ref, walk
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import Place


def placed(place: Place, text: str, request: WebhookRequest, *, items: str | None = None) -> WebhookRequest:
    """Return the request with the text in its place; `items` names the array of whose items each gets it."""
    ref, value = place.source, place.prefix + text
    match ref.kind:
        case "header":
            return with_header(request, ref.name, value)
        case "query":
            joint = "&" if "?" in request.url else "?"
            url = f"{request.url}{joint}{ref.name}={quote(value, safe='')}"
            return WebhookRequest(request.method, url, request.headers, request.body)
        case "form":
            kept = [pair for pair in _parsed(request, parse_pairs) if pair[0] != ref.name]
            return _with_body(request, urlencode([*kept, (ref.name, value)]).encode("ascii"))
        case "json":
            return _with_body(request, _in_json(request, ref, value, items))
    return request


def with_header(request: WebhookRequest, name: str, value: str) -> WebhookRequest:
    """Return the request with this header and no other of its name."""
    kept = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
    return WebhookRequest(request.method, request.url, (*kept, (name, value)), request.body)


def _in_json(request: WebhookRequest, ref: Ref, value: str, items: str | None) -> bytes:
    body = _parsed(request, json.loads)
    found = walk(body, items) if items is not None else [body]
    for item in found if isinstance(found, list) else ():
        _put(item, ref.name.split("."), value)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _put(item: Json, path: list[str], value: str) -> None:
    for step in path[:-1]:
        item = item.setdefault(step, {}) if isinstance(item, dict) else None
    if not isinstance(item, dict):
        raise UsageError(f"this request cannot be signed: its body has no place for {'.'.join(path)}")
    # What stands there says whether it is written as a number.
    item[path[-1]] = int(value) if isinstance(item.get(path[-1]), int) and value.isdigit() else value


def _with_body(request: WebhookRequest, body: bytes) -> WebhookRequest:
    return WebhookRequest(request.method, request.url, request.headers, body)


def _parsed(request: WebhookRequest, parse: Any) -> Any:
    try:
        return parse(request.body)
    except (BodyError, ValueError) as error:
        raise UsageError(f"this request cannot be signed: its body cannot be read: {error}") from None
