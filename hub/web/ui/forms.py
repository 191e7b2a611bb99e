"""A form from the JSON schema of a flow's parameters, and back: texts that were typed as JSON values.

Each parameter is one field. What a field cannot show (lists, objects) is written as JSON. An empty field of a
parameter that is not required is left out, so that its default holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from hub.errors import ParameterError
from hub.runtime.schemas import check
from hub.web.ui.view import Form

Kind = Literal["text", "number", "checkbox", "select", "textarea", "password", "date"]
PREFIX = "p."
SENT = "shown"
MAX_FIELDS = 200
_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter as a form shows it. `value` is what stands in the field, `error` what is wrong with it."""

    name: str
    label: str
    kind: Kind
    types: frozenset[str]
    required: bool = False
    default: Any = None
    has_default: bool = False
    options: tuple[tuple[str, str], ...] = ()
    help: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    value: str = ""
    error: str = ""

    @property
    def key(self) -> str:
        """The name of the field in the form."""
        return PREFIX + self.name


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that came back: its fields with what was typed, the values, and errors that belong to no field."""

    fields: tuple[Field, ...]
    values: dict[str, Any]
    errors: tuple[str, ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether anything must be mended first."""
        return bool(self.errors) or any(one.error for one in self.fields)


def fields_of(schema: Mapping[str, Any], preset: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of a schema, required ones first. `preset` are values that stand in place of the defaults."""
    required = set(schema.get("required", ()))
    properties = list(schema.get("properties", {}).items())[:MAX_FIELDS]
    made = [_field(name, _resolved(rule, schema), schema, name in required, preset) for name, rule in properties]
    return tuple(sorted(made, key=lambda one: not one.required))


def read(schema: Mapping[str, Any], preset: Mapping[str, Any], form: Form, *, what: str = "flow") -> Filled:
    """What was typed, as parameters of a flow or fields of an input. Every fault stands at its field."""
    values: dict[str, Any] = {}
    filled = []
    for one in fields_of(schema, preset):
        typed = form.raw(one.key)
        kept = "true" if one.kind == "checkbox" and typed else "" if one.kind == "password" else typed or ""
        try:
            value = _value(one, typed)
            error = ""
        except ValueError as fault:
            value, error = _LEFT_OUT, str(fault)
        if value is not _LEFT_OUT:
            values[one.name] = value
        filled.append(replace(one, value=kept, error=error))
    return _checked(Filled(tuple(filled), values), schema, preset, what)


def _checked(filled: Filled, schema: Mapping[str, Any], preset: Mapping[str, Any], what: str) -> Filled:
    """The hub's own check of the schema, its sentences put at the fields they are about."""
    known = {one.name: one for one in filled.fields}
    try:
        check({**preset, **filled.values}, schema, what=what)
    except ParameterError as error:
        rest = []
        for sentence in error.detail.split("; "):
            place, _, says = sentence.partition(": ")
            name = place.split(".")[0]
            if name in known:
                inner = f"{place.removeprefix(name).lstrip('.')}: " if place != name else ""
                known[name] = replace(known[name], error=known[name].error or f"{inner}{says}")
            else:
                rest.append(sentence)
        return replace(filled, fields=tuple(known.values()), errors=tuple(rest))
    return filled


class _LeftOut:
    """Nothing was typed: the default holds."""


_LEFT_OUT = _LeftOut()


def _value(one: Field, typed: str | None) -> Any:
    if one.kind == "checkbox":
        return bool(typed)
    text = (typed or "").strip() if one.types - {"string"} else (typed or "").replace("\r\n", "\n")
    if text == "":
        return _LEFT_OUT
    if one.kind == "select":
        return json.loads(text)
    for kind, reader in _READERS:
        if kind in one.types:
            try:
                return reader(text)
            except (ValueError, RecursionError):
                if not one.types & {"string", "any"}:
                    raise ValueError(_EXPECTED[kind]) from None
    return text


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _number(text: str) -> float | int:
    value = float(text)
    if value in (float("inf"), float("-inf")) or value != value:
        raise ValueError(text)
    return int(text) if text.lstrip("+-").isdigit() else value


_READERS: tuple[tuple[str, Any], ...] = (("integer", int), ("number", _number), ("json", _json), ("any", _json))
_EXPECTED = {
    "integer": "expected a whole number, such as 3",
    "number": "expected a number, such as 0.5",
    "json": 'expected JSON, such as [1, 2] or {"key": "value"}',
}


def _field(
    name: str, rule: Mapping[str, Any], root: Mapping[str, Any], required: bool, preset: Mapping[str, Any]
) -> Field:
    choices = [_resolved(choice, root) for choice in rule.get("anyOf", rule.get("oneOf", [rule]))]
    types = frozenset(_type(choice) for choice in choices)
    nullable, types = "null" in types, types - {"null"}
    shown = choices[0] if len(choices) == 1 else next((one for one in choices if one.get("type") != "null"), rule)
    has_default = name in preset or "default" in rule
    default = preset.get(name, rule.get("default"))
    unset = nullable or not (required or has_default)
    options = _TRUTH if types == {"boolean"} and unset else _options(shown)
    options = (("", "–"), *options) if options and unset else options
    kind = _kind(types, options, rule, shown, default)
    return Field(
        name=name,
        label=str(rule.get("title") or name)[:200],
        kind=kind,
        types=types or frozenset({"any"}),
        required=required and not has_default,
        default=default,
        has_default=has_default,
        options=options,
        help=_help(rule, shown, types),
        attributes=_attributes(shown, kind),
        value=_shown(default, kind) if has_default else "",
    )


def _type(rule: Mapping[str, Any]) -> str:
    """string, integer, number, boolean, null; json for what is written as JSON; any where nothing is said."""
    kind = rule.get("type")
    if isinstance(kind, str):
        return kind if kind in ("string", "integer", "number", "boolean", "null") else "json"
    return "json" if "properties" in rule or "items" in rule else "any"


_TRUTH = (("true", "true"), ("false", "false"))


def _options(rule: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    values = rule.get("enum", [rule["const"]] if "const" in rule else [])
    return tuple((json.dumps(value), str(value)) for value in values[:500])


def _kind(
    types: frozenset[str],
    options: tuple[tuple[str, str], ...],
    rule: Mapping[str, Any],
    shown: Mapping[str, Any],
    default: Any,
) -> Kind:
    if options:
        return "select"
    if types == {"boolean"} and isinstance(default, bool | None):
        return "checkbox"
    if types <= {"integer", "number"} and types:
        return "number"
    if types != {"string"}:
        return "textarea"
    if shown.get("format") == "password" or rule.get("writeOnly"):
        return "password"
    long = int(shown.get("maxLength", 0) or 0) > 500 or "\n" in str(default or "")
    return "textarea" if long else "date" if shown.get("format") == "date" and _is_date(default) else "text"


def _is_date(value: Any) -> bool:
    try:
        return not value or bool(date.fromisoformat(str(value)))
    except ValueError:
        return False


def _help(rule: Mapping[str, Any], shown: Mapping[str, Any], types: frozenset[str]) -> str:
    parts = [str(rule.get("description") or shown.get("description") or "")[:1000]]
    if types & {"json", "any"}:
        parts.append("Written as JSON." if "any" not in types else "Written as JSON, or as plain text.")
    parts.append(_range(shown.get("minimum"), shown.get("maximum")))
    if shown.get("format") == "date-time":
        parts.append("A time such as 2026-01-31T08:00:00Z.")
    return " ".join(part for part in parts if part)


def _range(low: object, high: object) -> str:
    if low is None:
        return "" if high is None else f"At most {high}."
    return f"At least {low}." if high is None else f"From {low} to {high}."


def _attributes(rule: Mapping[str, Any], kind: Kind) -> dict[str, str]:
    found = {}
    if kind == "number":
        # Checked on the server, so that the sentence is ours: the browser only gets the right keyboard.
        found["inputmode"] = "decimal"
    if kind in ("text", "textarea") and isinstance(rule.get("maxLength"), int):
        found["maxlength"] = str(rule["maxLength"])
    return found


def _shown(default: Any, kind: Kind) -> str:
    if default is None or kind == "password":
        return ""
    if kind == "checkbox":
        return "true" if default else ""
    if kind == "select":
        return json.dumps(default)
    return default if isinstance(default, str) else json.dumps(default, indent=1 if isinstance(default, dict) else None)


def _resolved(rule: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The rule with its `$ref` followed; what stands beside the reference wins."""
    for _ in range(_DEPTH):
        target = rule.get("$ref")
        if not isinstance(target, str) or not target.startswith("#/$defs/"):
            return rule
        beside = {key: value for key, value in rule.items() if key != "$ref"}
        found = root.get("$defs", {}).get(target.removeprefix("#/$defs/"), {})
        rule = {**found, **beside} if isinstance(found, Mapping) else beside
    return {}
