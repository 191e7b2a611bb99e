"""A call of an operation as a request: everything is checked against the document first. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from hub.errors import ParameterError

from hub_plugins.openapi.document import Document, Operation, Parameter

KEY = "idempotency-key"
_FORM = "application/x-www-form-urlencoded"
_SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|"}


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, below the API's address. `path` holds the query."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def request(
    document: Document, operation: Operation, given: Mapping[str, Any], body: Any, *, key: str = ""
) -> Request:  # fmt: skip
    """The request. `given`: parameters by their name, or `query.NAME` and the like where two have one name.

    `key` is sent as the Idempotency-Key, where the operation has one. Raises ParameterError with all that is wrong.
    """
    values, wrong = _values(document, operation, given)
    wrong += _wrong_body(document, operation, body)
    if wrong:
        told = "; ".join(wrong)[:2_000]
        names = ", ".join(f"{one.name}{'' if one.required else '?'}" for one in operation.parameters)
        raise ParameterError(f"operation {operation.id}: {told}", hint=f"It takes {names or 'no parameters'}.")
    path, query, headers = operation.path, list[tuple[str, str]](), {"accept": "application/json, */*;q=0.5"}
    cookies: list[tuple[str, str]] = []
    for parameter, value in values:
        if parameter.place == "path":
            path = path.replace(f"{{{parameter.name}}}", _in_path(parameter, value))
        elif parameter.place == "query":
            query += _pairs(parameter, value)
        elif parameter.place == "header":
            headers[parameter.name.lower()] = _in_header(parameter, value)
        else:
            cookies += _pairs(parameter, value)
    if cookies:
        headers["cookie"] = "; ".join(f"{name}={quote(value, safe='')}" for name, value in cookies)
    if key and has_key(operation):
        headers.setdefault(KEY, key)
    content = _encoded(operation, body, headers)
    return Request(
        operation.method, path + (f"?{urlencode(query, quote_via=quote)}" if query else ""), headers, content
    )


def has_key(operation: Operation) -> bool:
    """Whether the operation takes an idempotency key."""
    return any(one.place == "header" and one.name.lower() == KEY for one in operation.parameters)


def _values(
    document: Document, operation: Operation, given: Mapping[str, Any]
) -> tuple[list[tuple[Parameter, Any]], list[str]]:
    left, found, wrong = dict(given), list[tuple[Parameter, Any]](), list[str]()
    for one in operation.parameters:
        twice = [other for other in operation.parameters if other.name == one.name]
        name = f"{one.place}.{one.name}" if f"{one.place}.{one.name}" in left or len(twice) > 1 else one.name
        if name not in left:
            if one.required and not (one.place == "header" and one.name.lower() == KEY):
                wrong.append(f"{name} is missing")
            continue
        value = left.pop(name)
        place = one.schema or (f"{one.content}/schema" if one.content else "")
        if place and (said := document.wrong(place, value)):
            wrong += [f"{name}: {text.removeprefix('it: ')}" for text in said]
        else:
            found.append((one, value))
    return found, wrong + [f"it has no parameter {name}" for name in left]


def _wrong_body(document: Document, operation: Operation, body: Any) -> list[str]:
    if body is None:
        return ["it needs a body"] if operation.body_required else []
    if not operation.bodies:
        return ["it takes no body"]
    place = operation.bodies[_kind(operation)]
    media, where = document.at(place)
    if not isinstance(media, dict) or "schema" not in media or isinstance(body, bytes):
        return []
    return [f"body: {text}" for text in document.wrong(f"{where}/schema", body)]


def _kind(operation: Operation) -> str:
    """The media type in which a body is sent: JSON where there is one."""
    return next((kind for kind in operation.bodies if "json" in kind), next(iter(operation.bodies)))


def _encoded(operation: Operation, body: Any, headers: dict[str, str]) -> bytes:
    if body is None:
        return b""
    kind = _kind(operation)
    headers["content-type"] = kind if "*" not in kind else "application/octet-stream"
    if isinstance(body, bytes):
        return body
    if kind == _FORM and isinstance(body, Mapping):
        pairs = [
            (name, item) for name, value in body.items() for item in (value if isinstance(value, list) else [value])
        ]
        return urlencode([(name, _text(value)) for name, value in pairs]).encode()
    if "json" not in kind and isinstance(body, str):
        return body.encode()
    if "json" not in kind:
        raise ParameterError(f"operation {operation.id}: a body of the type {kind} is text or bytes")
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise ParameterError(f"operation {operation.id}: the body is no JSON") from None


def _in_path(parameter: Parameter, value: Any) -> str:
    parts = [quote(part, safe="") for part in _parts(parameter, value)]
    text = {"label": ".", "matrix": f";{parameter.name}="}.get(parameter.style, "") + ",".join(parts)
    if text in ("", ".", ".."):
        raise ParameterError(f"{parameter.name}={value!r} would make another path")
    return text


def _in_header(parameter: Parameter, value: Any) -> str:
    text = ",".join(_parts(parameter, value))
    if not text.isprintable():
        raise ParameterError(f"header {parameter.name} would have a line break or a control character")
    return text


def _parts(parameter: Parameter, value: Any) -> list[str]:
    if parameter.content:
        return [json.dumps(value)]
    if isinstance(value, list):
        return [_text(one) for one in value]
    if isinstance(value, Mapping):
        pairs = [(str(name), _text(one)) for name, one in value.items()]
        return [f"{name}={one}" for name, one in pairs] if parameter.explode else [p for pair in pairs for p in pair]
    return [_text(value)]


def _pairs(parameter: Parameter, value: Any) -> Iterator[tuple[str, str]]:
    name = parameter.name
    if parameter.style == "deepObject" and isinstance(value, Mapping):
        yield from ((f"{name}[{key}]", _text(one)) for key, one in value.items())
    elif parameter.content or not isinstance(value, list | Mapping):
        yield name, _parts(parameter, value)[0]
    elif isinstance(value, Mapping) and parameter.explode:
        yield from ((str(key), _text(one)) for key, one in value.items())
    elif parameter.explode:
        yield from ((name, _text(one)) for one in value)
    else:
        yield name, _SEPARATORS.get(parameter.style, ",").join(_parts(parameter, value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else json.dumps(value) if isinstance(value, list | dict) else str(value)
