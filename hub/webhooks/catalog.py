"""What a provider's payloads look like: JSON schemas by event type, and how a payload departs from its own.

Schemas are written by people, payloads by strangers: what would let a sender stall the hub (regular expressions,
`uniqueItems`, schemas fetched from elsewhere) is refused when a schema is set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

from hub.errors import UsageError
from hub.types import Json, JsonObject
from hub.webhooks.body import BodyError
from hub.webhooks.events import ProviderEvent, safe_text
from hub.webhooks.redaction import REDACTED

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ANY_TYPE = "*"
"""The schema of types that have none of their own."""
MAX_SCHEMA = 131_072
MAX_DEPTH = 64
MAX_ISSUES = 50
MAX_PATH = 200
MAX_TOLD = 5
_REFUSED = frozenset({"pattern", "patternProperties", "uniqueItems", "$dynamicRef", "$recursiveRef"})
_MAPS = ("properties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_ONES = ("items", "additionalProperties", "additionalItems", "not", "if", "then", "else", "contains", "propertyNames")
_ELSEWHERE = ("anyOf", "allOf", "oneOf", "if", "additionalProperties")
"""Where these stand, what a list of properties leaves out may be described by them."""

Kind = Literal["new", "missing", "type", "other"]


class Issue(NamedTuple):
    """How a payload departs from its schema. `path` is as in `body.PATH`, `*` for any item of a list.

    What is `new` without being forbidden departs from what was known, but does not violate the schema.
    """

    path: str
    kind: Kind
    detail: str
    violates: bool = True

    def __str__(self) -> str:
        return f"{self.path or 'the body'}: {self.detail}"


class Schema:
    """One schema, ready to check with. Raises UsageError for one that cannot be used."""

    def __init__(self, document: Json) -> None:
        self.document = _checked(document)
        self._validator = _validator(self.document)

    def issues(self, value: Json) -> list[Issue]:
        """How a value departs from the schema, each place once, at most 50. Values are not told."""
        found = dict.fromkeys(islice(self._violations(value), MAX_ISSUES))
        found |= dict.fromkeys(islice(_unknown(self.document, self.document, value, (), 0), MAX_ISSUES))
        return list(found)[:MAX_ISSUES]

    def _violations(self, value: Json) -> Iterator[Issue]:
        try:
            for error in self._validator.iter_errors(value):
                if error.instance != REDACTED:
                    yield from _told(error)
        except RecursionError:
            yield Issue("", "other", "the schema refers to itself without end")


def _told(error: Any) -> Iterator[Issue]:
    at = tuple(error.absolute_path)
    match error.validator:
        case "required":
            for name in error.validator_value:
                if name not in error.instance:
                    yield Issue(_path((*at, name)), "missing", "it is missing")
        case "type":
            wanted = error.validator_value
            said = wanted if isinstance(wanted, str) else " or ".join(wanted)
            yield Issue(_path(at), "type", f"{type_of(error.instance)} in place of {said}")
        case "additionalProperties" if error.validator_value is False:
            for name in error.instance.keys() - error.schema.get("properties", {}).keys():
                yield Issue(_path((*at, name)), "new", f"{type_of(error.instance[name])}, which is not allowed here")
        case _:
            yield Issue(_path(at), "other", f"it does not fit `{error.validator}`")


def _unknown(root: Json, rule: Json, value: Json, at: tuple[str | int, ...], depth: int) -> Iterator[Issue]:
    """Properties that an object has and its schema does not name."""
    for _ in range(MAX_DEPTH):
        if not isinstance(rule, dict) or "$ref" not in rule:
            break
        rule = _resolved(root, str(rule["$ref"]))
    if not isinstance(rule, dict) or depth > MAX_DEPTH:
        return
    if isinstance(value, list) and isinstance(rule.get("items"), dict):
        for place, item in enumerate(value):
            yield from _unknown(root, rule["items"], item, (*at, place), depth + 1)
    if not isinstance(value, dict):
        return
    told = rule.get("properties")
    known = told if isinstance(told, dict) else {}
    is_told = "properties" in rule and not any(word in rule for word in _ELSEWHERE)
    for name, item in value.items():
        if name in known:
            yield from _unknown(root, known[name], item, (*at, name), depth + 1)
        elif is_told:
            yield Issue(_path((*at, name)), "new", type_of(item), violates=False)


def type_of(value: Json) -> str:
    """The name of a value's type in JSON Schema."""
    if isinstance(value, bool):
        return "boolean"
    names: dict[type, str] = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _path(at: Iterable[str | int]) -> str:
    return safe_text(".".join("*" if isinstance(step, int) else step for step in at), MAX_PATH)


def _checked(document: Json) -> JsonObject:
    if not isinstance(document, dict):
        raise UsageError("a schema is a JSON object", hint='For example {"type": "object", "required": ["id"]}')
    if len(json.dumps(document)) > MAX_SCHEMA:
        raise UsageError(f"the schema has more than {MAX_SCHEMA} bytes")
    _refuse(document, document, "schema", 0)
    return document


def _refuse(root: Json, rule: Json, where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UsageError(f"the schema nests deeper than {MAX_DEPTH} levels")
    if not isinstance(rule, dict):
        return  # true and false are schemas; everything else the meta schema refuses
    wrong = sorted(_REFUSED & rule.keys())
    if wrong:
        raise UsageError(
            f"{where}.{wrong[0]} is not supported: with it a sender could stall the hub",
            hint="Leave it out, and check it in the flow.",
        )
    if "$ref" in rule and _resolved(root, str(rule["$ref"])) is None:
        raise UsageError(
            f"{where}.$ref leads to {rule['$ref']!r}, which is not in this schema",
            hint="Only #/$defs/NAME is followed; nothing is fetched.",
        )
    for name, inner in _inner(rule):
        _refuse(root, inner, f"{where}.{name}", depth + 1)


def _inner(rule: JsonObject) -> Iterator[tuple[str, Json]]:
    for word in _MAPS:
        found = rule.get(word)
        if isinstance(found, dict):
            yield from ((f"{word}.{name}", inner) for name, inner in found.items())
    for word in _LISTS:
        listed = rule.get(word)
        if isinstance(listed, list):
            yield from ((f"{word}.{place}", inner) for place, inner in enumerate(listed))
    yield from ((word, rule[word]) for word in _ONES if word in rule)


def _resolved(root: Json, ref: str) -> Json:
    """What a reference within a schema leads to; None where that is nothing."""
    if ref == "#":
        return root
    if not ref.startswith("#/"):
        return None
    found: Json = root
    for step in ref[2:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, dict) or key not in found:
            return None
        found = found[key]
    return found


def _validator(document: JsonObject) -> Any:
    # Loaded where a source has schemas: it takes a tenth of a second.
    from jsonschema import Draft202012Validator, SchemaError, validators  # noqa: PLC0415 - only where schemas are
    from referencing import Registry  # noqa: PLC0415 - as above

    kind = validators.validator_for(document, default=Draft202012Validator)
    try:
        kind.check_schema(document)
        # With a registry of its own nothing is fetched.
        made = kind(document, registry=Registry())
        list(islice(made.iter_errors(None), 1))
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path)) or "the schema"
        raise UsageError(f"this is no JSON schema: {place}: {error.message[:300]}") from None
    except RecursionError:
        raise UsageError("the schema refers to itself without end") from None
    return made


def check(schemas: Mapping[str, Schema], found: Iterable[ProviderEvent]) -> None:
    """Refuse events that violate their schema, for sources that enforce. Raises BodyError that tells no value."""
    for event in found:
        schema = applying(schemas, event.type)
        wrong = [str(issue) for issue in (schema.issues(event.data) if schema else ()) if issue.violates]
        if wrong:
            raise BodyError(f"it does not fit the schema of {event.type}: {'; '.join(wrong[:MAX_TOLD])}")


def applying(schemas: Mapping[str, Schema], type_: str) -> Schema | None:
    """The schema of a type: its own, else that of all others."""
    return schemas.get(type_) or schemas.get(ANY_TYPE)
