"""What an event carried, as expressions see it; of a webhook read back from the receipt that keeps its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from hub.errors import ExpressionError
from hub.events import EMITTED
from hub.runtime.expressions import cel_input
from hub.store import receipts
from hub.store.base import Store
from hub.types import SECOND, Scope, now_us, rfc3339
from hub.webhooks.body import BodyError
from hub.webhooks.events import request_data
from hub.webhooks.request import WebhookRequest


def variables_of(store: Store, event: Mapping[str, Any]) -> dict[str, Any]:
    """What expressions see of an event. For one that came by webhook, body and headers are the request's."""
    payload = event_payload(store, event)
    described = {
        "id": event["id"],
        "type": event["type"],
        "source": event["source"],
        "subject": event["subject"],
        "run_id": event["run_id"],
        "time": rfc3339(event["at"]),
        "at": event["at"] // SECOND,
        **{name: value for name, value in event["body"].items() if name not in {"id", "type", "source"}},
    }
    base = {"body": event["body"], "headers": {}, "query": {}, "method": "", "path": "", "now": now_us() // SECOND}
    known = {**base, **payload, "event": described, "source": event["source"].removeprefix("source:")}
    return {name: cel_input(value) for name, value in known.items()}


def event_payload(store: Store, event: Mapping[str, Any]) -> dict[str, Any]:
    """`body`, `headers` (lower case, repeated ones joined), `query`, `method` of the request behind an event.

    Of an event that a user has written, `body` is its payload. Empty for one that no request made, or whose receipt
    is past its retention. A batch gives its whole body; `event.index` says which item the event is about.
    Raises ExpressionError for a body that cannot be read.
    """
    if event["source"] == EMITTED:
        return {"body": ((event.get("private") or {}).get("params") or {}).get("payload", {})}
    receipt_id = event["body"].get("receipt_id")
    if receipt_id is None:
        return {}
    with store.read() as tx:
        row = receipts.find(tx, Scope(event["workspace_id"]), receipt_id)
    return {} if row is None else request_payload(row)


def request_payload(row: Mapping[Any, Any]) -> dict[str, Any]:
    """The same of a receipt. Raises ExpressionError for a body that cannot be read."""
    headers: dict[str, str] = {}
    for name, value in row["headers"]:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    query_fields = dict(parse_qsl(row["query"], keep_blank_values=True))
    return {"body": _body(row), "headers": headers, "query": query_fields, "method": row["method"], "path": "/in"}


def _body(row: Mapping[Any, Any]) -> Any:
    pairs = tuple((name, value) for name, value in row["headers"])
    try:
        return request_data(WebhookRequest(row["method"], "", pairs, row["body"] or b""))
    except BodyError as error:
        raise ExpressionError(f"the body of receipt {row['id']} cannot be read: {error}") from None
