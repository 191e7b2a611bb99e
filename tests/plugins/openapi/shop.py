"""A shop with an API, and its OpenAPI 3.0 document. It refuses what its document does not allow."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.vendors import Answer, Asked, as_json, serving

SECRET = "canary-of-the-shop-7719"
_IDS = {"type": "array", "items": {"type": "integer"}}
_STATES = {"type": "array", "items": {"$ref": "#/components/schemas/State"}}
_TEXT = {"type": "string"}
_ORDER = {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "servers": [{"url": "{base}/v1", "variables": {"base": {"default": ""}}}],
    "paths": {
        "/orders": {
            "get": {
                "operationId": "listOrders",
                "summary": "List orders.",
                "parameters": [
                    {"$ref": "#/components/parameters/page"},
                    {"name": "cursor", "in": "query", "schema": {"type": "string"}},
                    {"name": "per", "in": "query", "schema": {"type": "integer", "maximum": 100}},
                    {"name": "state", "in": "query", "schema": _STATES},
                    {"name": "ids", "in": "query", "explode": False, "schema": _IDS},
                    {"name": "where", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                ],
            },
            "post": {
                "operationId": "createOrder",
                "requestBody": {"$ref": "#/components/requestBodies/order"},
            },
        },
        "/keyed": {
            "post": {
                "operationId": "createOnce",
                "parameters": [{"name": "Idempotency-Key", "in": "header", "required": True, "schema": _TEXT}],
                "requestBody": {"$ref": "#/components/requestBodies/order"},
            },
        },
        "/orders/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {"operationId": "showOrder", "parameters": [{"name": "trace", "in": "header", "schema": _TEXT}]},
            "put": {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}},
        },
    },
    "components": {
        "parameters": {"page": {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1}}},
        "requestBodies": {
            "order": {"required": True, "content": _ORDER}
        },
        "schemas": {
            "State": {"type": "string", "enum": ["open", "paid"]},
            "Order": {
                "type": "object",
                "required": ["item"],
                "additionalProperties": False,
                "properties": {
                    "item": {"type": "string", "minLength": 1},
                    "note": {"type": "string", "nullable": True},
                    "state": {"$ref": "#/components/schemas/State"},
                    "next": {"$ref": "#/components/schemas/Order"},
                },
            },
        },
    },
}  # fmt: skip
Trouble = tuple[int, dict[str, str]] | Literal["cut"] | None


@dataclass
class Shop:
    """`auth` is the header that it wants; `trouble` befalls the request of a number below /v1."""

    url: str = ""
    auth: str = ""
    key: tuple[str, str] = ("", "")
    orders: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    tokens: int = 0
    trouble: Callable[[int], Trouble] = lambda _number: None

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], Any]:
        parts, query = urlsplit(target), parse_qs(urlsplit(target).query)
        if parts.path == "/openapi.json":
            return 200, {}, DOCUMENT
        if parts.path == "/token":
            pair = base64.b64encode(f"hub:{SECRET}".encode()).decode()
            form = dict(parse_qsl(body.decode()))
            if headers.get("authorization") != f"Basic {pair}" or form["grant_type"] != "client_credentials":
                return 401, {}, {"error": "invalid_client"}
            self.tokens += 1
            self.auth = f"Bearer token-{self.tokens}"
            return 200, {}, {"access_token": f"token-{self.tokens}", "token_type": "Bearer", "expires_in": 3600}
        if self.auth and headers.get("authorization") != self.auth:
            return 401, {}, {"error": f"not {headers.get('authorization')}"}
        where, wanted = self.key
        given = query.get("api_key", [""])[0] if where == "query" else headers.get(where, "")
        if where and given != wanted:
            return 401, {}, {"error": "no key"}
        return self._do(method, parts.path.removeprefix("/v1"), query, headers, body)

    def _do(
        self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], Any]:
        if path in ("/orders", "/keyed") and method == "POST":
            key = headers.get("idempotency-key", "")
            if path == "/keyed" and key in self.keys:
                return 200, {}, self.orders[self.keys.index(key)]
            self.keys.append(key)
            self.orders.append({**json.loads(body), "id": len(self.orders) + 1})
            return 201, {}, self.orders[-1]
        if path == "/orders":
            return self._page(query)
        if path.startswith("/orders/"):
            told = {"id": unquote(path.removeprefix("/orders/")), "trace": headers.get("trace"), "body": body.decode()}
            return (204, {}, None) if method == "PUT" else (200, {}, told)
        return 404, {}, {"error": "no such path"}

    def _page(self, query: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
        if "state" in query or "ids" in query or "where[day]" in query:
            return 200, {}, [query]
        at = int(query["cursor"][0]) if "cursor" in query else 3 * (int(query.get("page", ["1"])[0]) - 1)
        rows, more = self.orders[at : at + 3], at + 3 < len(self.orders)
        if query.get("per") == ["1"]:  # by the header Link
            number = int(query.get("page", ["1"])[0]) + 1
            return 200, {"link": f'</v1/orders?per=1&page={number}>; rel="next", </>; rel="last"'} if more else {}, rows
        return 200, {}, {"data": {"rows": rows}, "meta": {"cursor": str(at + 3) if more else None}}


@contextmanager
def shop() -> Iterator[Shop]:
    """The shop on a free port."""
    made = Shop()

    def answer(asked: Asked) -> Answer | None:
        below = asked.target.startswith("/v1")
        trouble = made.trouble(len(made.asked) + 1) if below else None
        if below:
            made.asked.append(f"{asked.method} {asked.target}")
        if isinstance(trouble, tuple):
            return as_json(*trouble, {"error": "in trouble"})
        said = as_json(*made.answer(asked.method, asked.target, asked.headers, asked.body))
        return None if trouble == "cut" else said

    with serving(answer) as made.url:
        yield made
