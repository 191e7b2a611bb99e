"""Parameters of flows and actions: coerced and checked by the type hints, described as JSON schema, kept as JSON."""

from __future__ import annotations

import inspect
import json
import logging
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import from_json as from_bytes
from pydantic_core import to_json

from hub.errors import FlowLoadError, ParameterError
from hub.runtime.schemas import check as check_against_schema
from hub.runtime.schemas import got
from hub.sdk.decorated import Decorated
from hub.sdk.flows import Flow
from hub.types import JsonObject

__all__ = ["as_json", "call_arguments", "check_against_schema", "from_call", "from_json", "schema"]

log = logging.getLogger("hub.flows")
MAX_BYTES = 512 * 1024
_VAR = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class _Shape:
    """The parameters of one function: a model whose fields p0, p1 ... have the parameters' names as aliases."""

    names: tuple[str, ...]
    model: type[BaseModel]
    rest: str | None
    """Name of the `**` parameter, which takes what no other does."""


_shapes: WeakKeyDictionary[Callable[..., Any], _Shape] = WeakKeyDictionary()


def from_call(flow: Flow[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The checked parameters of a Python call, by name. Raises ParameterError naming each wrong one."""
    wrapped = flow._wrapped
    try:
        given = wrapped.arguments(args, kwargs)
    except TypeError as error:
        raise ParameterError(f"flow {flow.name}: {error}", hint=_usage(flow)) from None
    return _checked(flow, given) if given else {}


def from_json(fn: Decorated[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The checked parameters of a stored run, by name. Raises ParameterError naming each wrong one."""
    shape = _shape(fn)
    values = dict(given)
    if shape.rest is not None:
        values = {name: values[name] for name in values if name in shape.names and name != shape.rest}
        values[shape.rest] = {name: given[name] for name in given if name not in values and name != shape.rest}
    return _checked(fn, values)


def call_arguments(fn: Decorated[..., Any], values: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Checked parameters as the arguments of a call."""
    signature = fn._wrapped.signature.replace(parameters=list(fn._wrapped.parameters.values()))
    bound = inspect.BoundArguments(signature, dict(values))
    return bound.args, bound.kwargs


def schema(fn: Decorated[..., Any]) -> JsonObject:
    """The JSON schema (2020-12) of the parameters."""
    made = _shape(fn).model.model_json_schema(by_alias=True, schema_generator=Generator)
    made.pop("title", None)
    return {"properties": {}, **made}


def as_json(values: Mapping[str, Any]) -> JsonObject:
    """Checked parameters as they are stored: values that are not JSON as their type's name, huge ones left out."""
    kept = {name: _jsonable(value) for name, value in values.items()}
    if len(json.dumps(kept)) <= MAX_BYTES:
        return kept
    share = MAX_BYTES // len(kept)
    return {
        name: value if len(json.dumps(value)) <= share else f"<left out: more than {share} bytes>"
        for name, value in kept.items()
    }


def _jsonable(value: Any) -> Any:
    if value is None or type(value) in (str, int, bool):
        return value
    try:
        return from_bytes(to_json(value, fallback=_stand_in, inf_nan_mode="strings", by_alias=True))
    except (ValueError, TypeError, RecursionError):
        return _stand_in(value)


def _stand_in(value: Any) -> str:
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def _checked(fn: Decorated[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    shape = _shape(fn)
    try:
        model = shape.model.model_validate(dict(given), by_alias=True, by_name=False)
    except ValidationError as error:
        raise ParameterError(
            f"{fn.what} {fn.name}: " + "; ".join(sentences(error, fn.what)), hint=_usage(fn), wrong=_names(error)
        ) from None
    return {name: getattr(model, f"p{number}") for number, name in enumerate(shape.names)}


def sentences(error: ValidationError, what: str = "flow") -> list[str]:
    """What is wrong, a sentence for each place, without the values."""
    # Values are left out: a parameter may be a secret, and messages travel further than parameters.
    found = []
    for item in error.errors(include_url=False, include_context=False):
        where = ".".join(map(str, item["loc"])) or "parameters"
        if item["type"] == "missing":
            found.append(f"{where}: missing")
        elif item["type"] == "extra_forbidden":
            found.append(f"{where}: the {what} has no such parameter")
        else:
            message = item["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
            found.append(f"{where}: {message[:1].lower()}{message[1:]}; got {got(item['input'])}")
    return found[:50]


def _names(error: ValidationError) -> list[str]:
    return sorted({str(item["loc"][0]) for item in error.errors(include_input=False) if item["loc"]})


def _usage(fn: Decorated[..., Any]) -> str:
    parameters = list(fn._wrapped.parameters.values())
    return f"It is called as {fn.name}{inspect.Signature(parameters)}." if parameters else "It takes no parameters."


def _shape(fn: Decorated[..., Any]) -> _Shape:
    key = fn._wrapped.fn
    found = _shapes.get(key)
    if found is None:
        found = _shapes[key] = _make_shape(fn)
    return found


def _make_shape(fn: Decorated[..., Any]) -> _Shape:
    parameters = fn._wrapped.parameters
    hints = _hints(fn._wrapped.fn)
    fields: dict[str, Any] = {}
    rest = None
    for number, (name, parameter) in enumerate(parameters.items()):
        hint: Any = hints.get(name, Any)
        default: Any = ... if parameter.default is parameter.empty else parameter.default
        if parameter.kind is parameter.VAR_POSITIONAL:
            hint, default = tuple[hint, ...], ()
        elif parameter.kind is parameter.VAR_KEYWORD:
            hint, default, rest = dict[str, hint], {}, name
        fields[f"p{number}"] = (hint, Field(default, alias=name, title=name))
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    try:
        model = create_model("Parameters", __config__=config, **fields)
        model.model_rebuild()
    except (PydanticUserError, PydanticSchemaGenerationError, TypeError, NameError) as error:
        raise FlowLoadError(
            f"{fn.what} {fn.name}: a type hint cannot be used to check parameters: {error}",
            hint="Use a type that pydantic understands, or Any.",
        ) from None
    return _Shape(tuple(parameters), model, rest)


def _hints(fn: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except Exception:  # noqa: BLE001 - a hint is any expression; one by one, those that resolve are used
        return {name: _hint(fn, name) for name in getattr(fn, "__annotations__", {})}


def _hint(fn: Callable[..., Any], name: str) -> Any:
    raw = fn.__annotations__[name]
    if not isinstance(raw, str):
        return raw
    try:
        return typing.get_type_hints(_only(name, raw), globalns=fn.__globals__, include_extras=True)[name]
    except Exception as error:  # noqa: BLE001 - such as a name imported only for type checkers
        log.debug("%s is not checked: its hint %r does not resolve: %s", name, raw, error)
        return Any


def _only(name: str, raw: str) -> Any:
    return type("_Only", (), {"__annotations__": {name: raw}})


class Generator(GenerateJsonSchema):
    """What JSON cannot describe is described as anything, without warnings."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default", "skipped-discriminator"}  # noqa: RUF012 - the base's

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:  # noqa: ARG002
        """See the base class."""
        return {}
