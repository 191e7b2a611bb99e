"""Settings that could be somebody's, made of a pydantic model: for rules that need a connection or a configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from hub.testing.conformance.rules import Broken

_TEXTS = ("example", "example.com", "/tmp/example", "http://127.0.0.1:9/", "https://example.com/", "1", "a", "aaaaaaaa")  # noqa: S108 - a value to be shaped like a path, never opened by us
_HOSTS = {"host", "hostname", "server"}
_ADDRESSES = {"url", "base_url", "endpoint", "api_url", "address"}


def settings_of(model: type[BaseModel], given: Mapping[str, Any] | None = None) -> BaseModel:
    """An instance whose required fields have values that fit. Raises Broken that names a field where none is found."""
    shapes = model.model_json_schema().get("properties", {})
    values = {name: _value(shapes.get(name, {}), info) for name, info in model.model_fields.items()
              if info.is_required() or info.examples}  # fmt: skip
    for name, value in (given or {}).items():
        if _fits(model, {**values, name: value}, name):
            values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = ", ".join(sorted({str(e["loc"][0]) if e["loc"] else "the model" for e in error.errors()}))
        raise Broken(
            f"{model.__name__}: no example could be made ({wrong}): give Field(examples=[...]) with values that fit"
        ) from None


def unreachable(model: type[BaseModel], port: int) -> dict[str, Any]:
    """Values that make the settings those of a service on this machine at a port where nobody answers."""
    found: dict[str, Any] = {}
    for name in model.model_fields:
        if name in _HOSTS:
            found[name] = "127.0.0.1"
        elif name in _ADDRESSES:
            found[name] = f"http://127.0.0.1:{port}"
        elif name == "port":
            found[name] = port
    return found


def as_texts(model: BaseModel, names: Mapping[str, Any]) -> dict[str, str]:
    """Simple values as a person types them: `hub connections create KIND NAME --port 5432`."""
    plain = json.loads(model.model_dump_json(include=set(names)))
    return {name: str(value) for name, value in plain.items() if isinstance(value, str | int | float | bool)}


def _value(shape: Mapping[str, Any], info: Any) -> Any:
    if info.examples:
        return info.examples[0]
    if "$ref" in shape or "allOf" in shape:
        return {}
    for key in ("const", "default"):
        if key in shape:
            return shape[key]
    if shape.get("enum"):
        return shape["enum"][0]
    kind = shape.get("type") or next((one.get("type") for one in shape.get("anyOf", ()) if one.get("type")), "string")
    match kind:
        case "integer" | "number":
            return _number(shape)
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return {}
    return _text(shape)


def _number(shape: Mapping[str, Any]) -> float:
    low = shape.get("minimum", shape.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in shape else 1)
    return min(low, shape.get("maximum", low))  # type: ignore[no-any-return]


def _text(shape: Mapping[str, Any]) -> str:
    pattern, least = shape.get("pattern", ""), int(shape.get("minLength", 0))
    for text in _TEXTS:
        padded = text.ljust(least, "x")[: int(shape.get("maxLength", 10_000))]
        try:
            if re.search(pattern, padded):
                return padded
        except re.error:
            return padded
    return "example"


def _fits(model: type[BaseModel], values: Mapping[str, Any], name: str) -> bool:
    """Whether a value makes no fault that was not there without it: neither of its field nor of the model as a whole,
    which may know fields that exclude each other."""
    faults = _faults(model, values)
    if name in faults or "" not in faults:
        return name not in faults
    return "" in _faults(model, {key: value for key, value in values.items() if key != name})


def _faults(model: type[BaseModel], values: Mapping[str, Any]) -> set[str]:
    """The fields that are wrong; "" for the model as a whole."""
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        return {str(e["loc"][0]) if e["loc"] else "" for e in error.errors()}
    return set()
