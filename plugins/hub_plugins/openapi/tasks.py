"""What a flow does with an API: any operation of its document, checked before it is called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from hub import connection, runtime_context, task
from hub.errors import UsageError
from hub.outbound.call import Answer
from pydantic import JsonValue

from hub_plugins.openapi.client import Client, OpenApiError
from hub_plugins.openapi.requests import Request, has_key, request
from hub_plugins.openapi.settings import OpenApi

_MOST_PAGES = 1_000


def _is_sure(error: BaseException) -> bool:
    """Whether the operation was not done, so that doing it again does it once."""
    return not getattr(error, "is_uncertain", False)


_tried_again = partial(
    task, retries=4, retry_delay_seconds=(2, 10, 60, 300), retry_jitter_factor=0.5,
    retry_on=("rate_limited", "infrastructure", "timeout"), retry_condition=_is_sure,
)  # fmt: skip


@_tried_again(name="openapi-call")
def call(
    operation: str, parameters: Mapping[str, JsonValue] | None = None, body: JsonValue = None,
    *, connection: str = "openapi",
) -> JsonValue:  # fmt: skip
    """Call an operation by its `operationId` (or "GET /path"); gives the JSON of the answer, else its text, or None.

    Parameters and body are checked against the document: ParameterError says all that is wrong, and nothing is sent.
    Raises OpenApiError. Where the operation takes an Idempotency-Key, it is the same in every try; else a POST or PATCH
    whose outcome is not known (a time-out, a 5xx but 503) is not tried again.
    """
    client, known = _opened(connection, operation)
    asked = request(client.document, known, parameters or {}, body, key=_key())
    return _value(client.send(asked, is_once=has_key(known)))


@_tried_again(name="openapi-pages")
def pages(
    operation: str, parameters: Mapping[str, JsonValue] | None = None, *, items: str = "", cursor: str = "",
    parameter: str = "", limit: int = 10_000, connection: str = "openapi",
) -> list[JsonValue]:  # fmt: skip
    """All items of an operation that gives them in pages, at most `limit`. Raises as `call`.

    `items`: where the list is in an answer, such as `data.rows`; empty: the answer is the list. The next page is what
    `cursor` (a place in the answer) says, given as `parameter`, or its address; without `cursor`, `parameter` is a
    number that grows by one until a page is empty; without both the header `Link` says it (RFC 8288).
    """
    client, known = _opened(connection, operation)
    if known.method not in ("GET", "HEAD"):
        raise UsageError(f"operation {operation} is a {known.method}: only GET gives pages")
    if cursor and not parameter:
        parameter = cursor.rpartition(".")[2]
    asked = request(client.document, known, parameters or {}, None)
    found: list[JsonValue] = []
    for answer in _answers(client, asked, cursor, parameter, items, dict(parameters or {})):
        rows = _at(_value(answer), items)
        if not isinstance(rows, list):
            raise UsageError(
                f"the answer of {operation} has no list at {items or 'its top'!r}", hint="Say it in `items`."
            )
        found += rows
        if len(found) > limit:
            raise UsageError(f"{operation} gives more than {limit} items", hint="Ask for fewer, or give a `limit`.")
    return found


def _answers(
    client: Client, asked: Request, cursor: str, parameter: str, items: str, given: Mapping[str, Any]
) -> Iterator[Answer]:  # fmt: skip
    url, number = client.url + asked.path, given.get(parameter, 1)
    seen: set[str] = set()
    for _ in range(_MOST_PAGES):
        if url in seen:
            raise OpenApiError("the pages go round: one names a page that was there before as the next")
        seen.add(url)
        answer = client.follow(url, asked)
        yield answer
        if cursor:
            after = _at(_value(answer), cursor)
            if after in (None, "", False):
                return
            is_address = isinstance(after, str) and after.startswith(("/", "http://", "https://"))
            url = urljoin(url, str(after)) if is_address else _with(url, parameter, after)
        elif parameter:
            if not _at(_value(answer), items):
                return
            number = int(number) + 1
            url = _with(url, parameter, number)
        else:
            after = _linked(answer.headers.get("link", ""))
            if after is None:
                return
            url = urljoin(url, after)
    raise UsageError(f"there are more than {_MOST_PAGES} pages", hint="Ask for larger ones.")


def _with(url: str, name: str, value: Any) -> str:
    parts = urlsplit(url)
    pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return parts._replace(query=urlencode([*pairs, (name, str(value))])).geturl()


def _linked(header: str) -> str | None:
    """The address of `rel="next"` in a header Link."""
    for part in header.split(","):
        address, _, rest = part.partition(";")
        told = {one.strip().replace('"', "").replace(" ", "") for one in rest.split(";")}
        if "rel=next" in told:
            return address.strip().removeprefix("<").removesuffix(">")
    return None


def _at(tree: JsonValue, place: str) -> JsonValue:
    for part in place.split(".") if place else ():
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _value(answer: Answer) -> JsonValue:
    if not answer.body.strip():
        return None
    kind = answer.headers.get("content-type", "").lower()
    text = answer.body.decode("utf-8", "replace").replace("\0", "\ufffd")
    if "json" not in kind:
        return text
    try:
        found: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        raise OpenApiError("the answer says that it is JSON, and is none", status=answer.status) from None
    return found


def _key() -> str:
    context = runtime_context()
    return context.idempotency_key if context is not None else ""


def _opened(name: str, operation: str) -> tuple[Client, Any]:
    client = Client(connection(name).settings_as("openapi", OpenApi))
    return client, client.document.operation(operation)
