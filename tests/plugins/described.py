"""What an OpenAPI 3.0 document that a vendor has published says of a request, and of an answer to it.

Read by itself, not by the hub's own plugin `openapi`: that is among what is tested.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft4Validator

Json = Any


class Description:
    """A document of version 3.0 that is whole in itself."""

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Json] = json.loads(path.read_text("utf-8"))
        _with_null(self.document)
        self.met: set[tuple[str, str]] = set()
        """The operations that were asked for: method and path, as the document has it."""

    @property
    def operations(self) -> set[tuple[str, str]]:
        """All operations there are."""
        return {(method.upper(), path) for path, item in self.document["paths"].items() for method in item}

    def faults(self, method: str, target: str, body: bytes) -> list[str]:
        """What of a request is not as the document says; it also names fields that it does not describe."""
        found = self._operation(method, urlsplit(target).path)
        if found is None:
            return [f"there is no operation {method} {urlsplit(target).path}"]
        operation, path, values = found
        self.met.add((method, path))
        named = [self._at(one) for one in operation.get("parameters", ())]
        query = {name: given[-1] for name, given in parse_qs(urlsplit(target).query).items()}
        given = {("path", name): text for name, text in values.items()} | {("query", n): v for n, v in query.items()}
        wrong = [f"{name}: no such parameter" for place, name in given.keys() - {(p["in"], p["name"]) for p in named}]
        for one in named:
            text = given.get((one["in"], one["name"]))
            if text is not None:
                wrong += [f"{one['name']}: {said}" for said in self._unfit(one["schema"], _typed(one["schema"], text))]
            elif one.get("required"):
                wrong.append(f"{one['name']} is missing")
        return wrong + list(self._body(operation.get("requestBody", {}), body))

    def unlike(self, method: str, target: str, status: int, answer: Json) -> list[str]:
        """What of an answer the document does not have: a status, a field, a type. What is left out does not matter."""
        found = self._operation(method, urlsplit(target).path)
        if found is None or str(status) not in found[0]["responses"]:
            return [f"{method} {target} is not answered {status}"]
        content = self._at(found[0]["responses"][str(status)]).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            return [] if answer is None else ["it is answered without a body"]
        return self._unfit(_whatever_is_there(schema), answer) + list(self._unknown(schema, answer))

    def _operation(self, method: str, path: str) -> tuple[dict[str, Json], str, dict[str, str]] | None:
        for place, item in self.document["paths"].items():
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(place))
            found = re.fullmatch(pattern, path)
            if found and method.lower() in item:
                return item[method.lower()], place, found.groupdict()
        return None

    def _body(self, described: Mapping[str, Json], body: bytes) -> Iterator[str]:
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if not body:
            yield from ["the body is missing"] if described.get("required") else []
        elif schema is None:
            yield "it takes no body"
        else:
            value = json.loads(body)
            yield from self._unfit(schema, value)
            yield from self._unknown(schema, value)

    def _unknown(self, schema: Mapping[str, Json], value: Json) -> Iterator[str]:
        schema = self._at(schema)
        if isinstance(value, list):
            yield from (said for one in value for said in self._unknown(schema["items"], one))
        elif isinstance(value, dict) and "properties" in schema:
            yield from (f"{name}: no such field" for name in value if name not in schema["properties"])

    def _unfit(self, schema: Mapping[str, Json], value: Json) -> list[str]:
        whole = {**schema, "components": _whatever_is_there(self.document["components"])}
        return [
            f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}"
            for e in Draft4Validator(whole).iter_errors(value)
        ]

    def _at(self, found: Mapping[str, Json]) -> Mapping[str, Json]:
        while "$ref" in found:
            place: Json = self.document
            for part in found["$ref"].split("/")[1:]:
                place = place[part]
            found = place
        return found


def _typed(schema: Mapping[str, Json], text: str) -> Json:
    return int(text) if schema.get("type") == "integer" and text.lstrip("-").isdecimal() else text


def _whatever_is_there(schema: Json) -> Json:
    """The schema without what it requires."""
    if isinstance(schema, list):
        return [_whatever_is_there(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _whatever_is_there(one) for name, one in schema.items() if name != "required" or not isinstance(one, list)
    }


def _with_null(tree: Json) -> None:
    """`nullable` in the words of JSON schema."""
    for one in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        _with_null(one)
    if isinstance(tree, dict) and tree.get("nullable") is True and isinstance(tree.get("type"), str):
        tree["type"] = [tree["type"], "null"]
        if isinstance(tree.get("enum"), list):
            tree["enum"] = [*tree["enum"], None]
