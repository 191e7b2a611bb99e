"""OpenAPI 3.0 and 3.1 documents: their operations, with references followed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from hub.errors import PermanentError, UsageError

LARGEST = 16 * 1024 * 1024
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_URN = "urn:hubspoke:openapi"
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `schema` and `content` are places in the document (JSON pointers), whichever it has."""

    name: str
    place: str
    """path, query, header or cookie."""
    required: bool
    style: str
    explode: bool
    schema: str
    content: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `bodies`: media type -> the place of its schema."""

    id: str
    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    bodies: Mapping[str, str] = field(default_factory=dict)
    body_required: bool = False
    deprecated: bool = False


class Document:
    """A document that has been read. Raises PermanentError for what is none."""

    def __init__(self, data: bytes) -> None:
        self.tree = _parsed(data)
        self.version = str(self.tree.get("openapi", ""))
        if not self.version.startswith(("3.0", "3.1", "3.2")) or not isinstance(self.tree.get("paths", {}), dict):
            raise PermanentError("it is no OpenAPI document of version 3.0 or 3.1")
        if self.version.startswith("3.0"):
            _with_null(self.tree, set())
        self.operations = {one.id: one for one in self._operations()}

    @property
    def server(self) -> str:
        """The address of the first server, its variables filled in; may be relative, or empty."""
        servers = self.tree.get("servers") or [{}]
        first = servers[0] if isinstance(servers, list) and isinstance(servers[0], dict) else {}
        url = str(first.get("url", ""))
        for name, variable in (first.get("variables") or {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        return url

    def operation(self, ident: str) -> Operation:
        """The operation of that id, or `METHOD /path`. Raises UsageError."""
        found = self.operations.get(ident)
        if found is None:
            near = [name for name in self.operations if ident.lower() in name.lower()] or list(self.operations)
            raise UsageError(
                f"the document has no operation {ident[:100]!r}", hint=f"There are {', '.join(sorted(near)[:15])}, ..."
            )
        return found

    def wrong(self, place: str, value: Any) -> list[str]:
        """What of a value does not fit the schema at that place, in sentences."""
        from jsonschema import Draft4Validator, Draft202012Validator  # noqa: PLC0415 - slow to import
        from referencing import Registry  # noqa: PLC0415
        from referencing.jsonschema import DRAFT4, DRAFT202012  # noqa: PLC0415

        old = self.version.startswith("3.0")
        resource: Any = (DRAFT4 if old else DRAFT202012).create_resource(self.tree)
        registry: Any = Registry().with_resource(_URN, resource)
        kind = Draft4Validator if old else Draft202012Validator
        errors = sorted(kind({"$ref": f"{_URN}#{place}"}, registry=registry).iter_errors(value), key=str)
        return [f"{'.'.join(map(str, one.absolute_path)) or 'it'}: {one.message[:200]}" for one in errors[:10]]

    def at(self, place: str) -> tuple[Any, str]:
        """What stands at a place, and where that is once references are followed. Raises PermanentError."""
        for _ in range(_DEEPEST):
            found = self._raw(place)
            reference = found.get("$ref") if isinstance(found, dict) else None
            if not isinstance(reference, str):
                return found, place
            if not reference.startswith("#/"):
                raise PermanentError(f"the document refers to another one, {reference[:100]}: give one that is whole")
            place = reference[1:]
        raise PermanentError(f"references of the document go round: {place[:100]}")

    def _raw(self, place: str) -> Any:
        found: Any = self.tree
        for part in place.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise PermanentError(f"the document refers to {place[:200]}, which is not there") from None
        return found

    def _operations(self) -> Iterator[Operation]:
        for path in self.tree.get("paths") or {}:
            item, place = self.at(f"/paths/{_escaped(path)}")
            for method in METHODS:
                if isinstance(item, dict) and isinstance(item.get(method), dict):
                    yield self._operation(path, method, place, item)

    def _operation(self, path: str, method: str, place: str, item: Mapping[str, Any]) -> Operation:
        found = item[method]
        places = [f"{place}/parameters/{n}" for n in range(len(item.get("parameters") or ()))]
        places += [f"{place}/{method}/parameters/{n}" for n in range(len(found.get("parameters") or ()))]
        named = {(one.name, one.place): one for one in map(self._parameter, places)}  # its own replace the path's
        bodies, required = {}, False
        if "requestBody" in found:
            body, where = self.at(f"{place}/{method}/requestBody")
            required = bool(body.get("required"))
            bodies = {kind: f"{where}/content/{_escaped(kind)}" for kind in body.get("content") or {}}
        return Operation(
            str(found.get("operationId") or f"{method.upper()} {path}"), method.upper(), path,
            str(found.get("summary") or found.get("description") or "").split("\n")[0][:200], tuple(named.values()),
            bodies, required, bool(found.get("deprecated")),
        )  # fmt: skip

    def _parameter(self, place: str) -> Parameter:
        found, where = self.at(place)
        try:
            name, place_in = str(found["name"]), str(found["in"])
        except (KeyError, TypeError):
            raise PermanentError(f"{place[:200]} is no parameter") from None
        style = str(found.get("style") or {"query": "form", "cookie": "form"}.get(place_in, "simple"))
        kinds = list(found.get("content") or ())
        return Parameter(
            name, place_in, bool(found.get("required")) or place_in == "path", style,
            bool(found.get("explode", style == "form")), f"{where}/schema" if "schema" in found else "",
            f"{where}/content/{_escaped(kinds[0])}" if kinds else "", str(found.get("description") or "")[:200],
        )  # fmt: skip


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise PermanentError(f"the document is larger than {LARGEST // 1024**2} MiB")
    try:
        found = json.loads(data) if data.lstrip()[:1] == b"{" else yaml.load(data, _loader())  # noqa: S506 - a safe one
    except (ValueError, yaml.YAMLError, RecursionError):  # what they say would quote it
        raise PermanentError("the document is neither JSON nor YAML") from None
    if not isinstance(found, dict):
        raise PermanentError("the document is no object")
    return found


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _with_null(tree: Any, seen: set[int]) -> None:
    """3.0's `nullable` in the words of JSON schema. What YAML has said once and used often is looked at once."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or not isinstance(one, dict | list):
            continue
        seen.add(id(one))
        waiting += one.values() if isinstance(one, dict) else one
        if isinstance(one, dict) and one.get("nullable") is True and isinstance(one.get("type"), str):
            one["type"] = [one["type"], "null"]
            if isinstance(one.get("enum"), list) and None not in one["enum"]:
                one["enum"] = [*one["enum"], None]


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
