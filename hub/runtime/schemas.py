"""Parameters against a stored JSON schema, for processes that must not import user code.

As forgiving as pydantic's lax mode: "3" is an integer. The worker checks again, by the type hints themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hub.errors import ParameterError

_DEPTH = 40
_NUMBER = re.compile(
    r"\s*[+-]?(\d+(_\d+)*)(\.\d*)?([eE][+-]?\d+)?\s*|\s*[+-]?\.\d+([eE][+-]?\d+)?\s*|\s*[+-]?(inf|nan).*", re.I
)
_WHOLE = re.compile(r"\s*[+-]?\d+(_\d+)*(\.0*)?\s*")
_TRUTH = frozenset({"0", "1", "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off"})


def with_defaults(parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the defaults that their flow has for the others."""
    known: Mapping[str, Any] = schema.get("properties", {})
    own = {name: shape["default"] for name, shape in known.items() if isinstance(shape, Mapping) and "default" in shape}
    return {**own, **parameters}


def check(parameters: Mapping[str, Any], schema: Mapping[str, Any], *, what: str = "flow") -> None:
    """Raise ParameterError with every missing, unknown and wrong parameter; an empty schema allows everything.

    `what` takes them: a flow, else an input that a run waits for.
    """
    if not schema:
        return
    noun = "parameter" if what == "flow" else "field"
    properties: Mapping[str, Any] = schema.get("properties", {})
    wrong = [f"{name}: missing" for name in schema.get("required", ()) if name not in parameters]
    for name, value in parameters.items():
        if name in properties:
            wrong += _wrong(name, value, properties[name], schema, 0)
        elif schema.get("additionalProperties", True) is False:
            wrong.append(f"{name}: the {what} has no such {noun}")
    if wrong:
        known = ", ".join(properties) or "none"
        raise ParameterError(
            "; ".join(wrong[:50]),
            hint=f"{noun.capitalize()}s of this {what}: {known}.",
            wrong=sorted({sentence.split(":")[0].split(".")[0] for sentence in wrong}),
        )


def got(value: Any) -> str:
    """What somebody gave, without its content."""
    if value is None:
        return "nothing (null)"
    names: dict[type, str] = {str: "a text", bool: "true or false", int: "an integer", float: "a number"}
    names |= {list: "a list", dict: "an object", tuple: "a tuple", bytes: "bytes"}
    return names.get(type(value), f"a {type(value).__name__}")


def _wrong(where: str, value: Any, rule: Any, root: Mapping[str, Any], depth: int) -> list[str]:
    if not isinstance(rule, Mapping) or depth > _DEPTH:
        return []
    rule = _resolved(rule, root)
    for union in ("anyOf", "oneOf"):
        if union in rule:
            return _wrong_choice(where, value, rule[union], root, depth)
    for part in rule.get("allOf", ()):
        found = _wrong(where, value, part, root, depth + 1)
        if found:
            return found
    if "enum" in rule and value not in rule["enum"]:
        return [f"{where}: expected one of {', '.join(map(str, rule['enum'][:20]))}; got {got(value)}"]
    if "const" in rule and value != rule["const"]:
        return [f"{where}: expected {rule['const']}; got {got(value)}"]
    kind = rule.get("type")
    if isinstance(kind, str) and kind in _TYPES and not _TYPES[kind][1](value):
        return [f"{where}: expected {_TYPES[kind][0]}; got {got(value)}"]
    return _wrong_inside(where, value, rule, root, depth)


def _wrong_choice(where: str, value: Any, choices: Any, root: Mapping[str, Any], depth: int) -> list[str]:
    if any(not _wrong(where, value, choice, root, depth + 1) for choice in choices):
        return []
    names = [str(_TYPES[c["type"]][0]) for c in (_resolved(c, root) for c in choices) if c.get("type") in _TYPES]
    return [f"{where}: expected {' or '.join(dict.fromkeys(names)) or 'another shape'}; got {got(value)}"]


def _wrong_inside(where: str, value: Any, rule: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[str]:
    wrong: list[str] = []
    if isinstance(value, list):
        items, first = rule.get("items"), rule.get("prefixItems", ())
        for index, item in enumerate(value[:1000]):
            wrong += _wrong(f"{where}.{index}", item, first[index] if index < len(first) else items, root, depth + 1)
    elif isinstance(value, Mapping):
        properties = rule.get("properties", {})
        wrong += [f"{where}.{name}: missing" for name in rule.get("required", ()) if name not in value]
        for name, item in value.items():
            inner = properties.get(name, rule.get("additionalProperties"))
            if inner is False:
                wrong.append(f"{where}.{name}: not known here")
            else:
                wrong += _wrong(f"{where}.{name}", item, inner, root, depth + 1)
    else:
        wrong += _out_of_bounds(where, value, rule)
    return wrong


def _out_of_bounds(where: str, value: Any, rule: Mapping[str, Any]) -> list[str]:
    if isinstance(value, str):
        if len(value) < rule.get("minLength", 0) or len(value) > rule.get("maxLength", len(value)):
            return [
                f"{where}: expected a text of {rule.get('minLength', 0)} to {rule.get('maxLength', 'any')} characters"
            ]
        return []
    if isinstance(value, int | float) and not isinstance(value, bool):
        for name, sign, fits in _BOUNDS:
            if name in rule and not fits(value, rule[name]):
                return [f"{where}: expected a number {sign} {rule[name]}"]
    return []


def _resolved(rule: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(_DEPTH):
        target = rule.get("$ref")
        if not isinstance(target, str) or not target.startswith("#/$defs/"):
            return rule
        rule = root.get("$defs", {}).get(target.removeprefix("#/$defs/"), {})
    return {}


def _is_whole(value: Any) -> bool:
    if isinstance(value, str):
        return _WHOLE.fullmatch(value) is not None
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value) is not None)


def _is_truth(value: Any) -> bool:
    return value in (0, 1) or (isinstance(value, str) and value.lower() in _TRUTH)


_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "integer": ("an integer", _is_whole),
    "number": ("a number", _is_number),
    "boolean": ("true or false", _is_truth),
    # Numbers stay out: pydantic refuses them for a text as well.
    "string": ("a text", lambda value: isinstance(value, str)),
    "array": ("a list", lambda value: isinstance(value, list | tuple)),
    "object": ("an object", lambda value: isinstance(value, Mapping)),
    "null": ("nothing (null)", lambda value: value is None),
}
_BOUNDS: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", "of at least", lambda value, bound: value >= bound),
    ("maximum", "of at most", lambda value, bound: value <= bound),
    ("exclusiveMinimum", "above", lambda value, bound: value > bound),
    ("exclusiveMaximum", "below", lambda value, bound: value < bound),
)
