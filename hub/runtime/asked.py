"""What an input asks for: the type of the author as a JSON schema and back, checks, and its bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from hub.errors import ParameterError, UsageError
from hub.runtime.parameters import Generator, sentences
from hub.runtime.schemas import check
from hub.types import JsonObject

MAX_BYTES = 64 * 1024
"""Of an answer, of a message, and of the schema of an input, as JSON."""
ALONE = "value"
"""The name of the one field of a type that is not an object."""


class Shape:
    """A type that is asked for. Raises UsageError for what has no JSON schema of a bearable size."""

    def __init__(self, model: Any, initial: Any = None) -> None:
        self._adapter: TypeAdapter[Any] = _adapter(model)
        made = _schema(self._adapter, model)
        self._alone = made.get("type") != "object" or not made.get("properties")
        if self._alone:
            rest = {name: rule for name, rule in made.items() if name != "$defs"}
            definitions = {"$defs": made["$defs"]} if "$defs" in made else {}
            made = {"type": "object", "properties": {ALONE: {"title": "Answer", **rest}}, "required": [ALONE]}
            made |= definitions
        made.setdefault("additionalProperties", False)
        self.schema = made
        self.initial = self._initial(initial)
        if len(json.dumps([self.schema, self.initial])) > MAX_BYTES:
            raise UsageError(f"the schema of {model!r} is larger than {MAX_BYTES} bytes", hint="Ask for less at once.")

    def read(self, answer: Mapping[str, Any]) -> Any:
        """The value that an answer means. Raises ParameterError with what the type itself says against it."""
        given = answer.get(ALONE) if self._alone else answer
        try:
            return self._adapter.validate_json(json.dumps(given))
        except ValidationError as error:
            raise ParameterError("; ".join(sentences(error))) from None

    def _initial(self, given: Any) -> JsonObject:
        if given is None:
            return {}
        found = jsonable(given, "wait_for_input(initial=...)", by_alias=True)
        if self._alone:
            return {ALONE: found}
        known: Any = self.schema["properties"]
        if isinstance(found, dict) and set(found) <= set(known):
            return found
        hint = f"Asked: {', '.join(known)}."
        raise UsageError("wait_for_input(initial=...) has values for fields that are not asked", hint=hint)


def checked(asks: Mapping[str, Any], given: Any) -> JsonObject:
    """An answer from outside as it is kept. Raises ParameterError unless it fits what is asked."""
    if not isinstance(given, Mapping):
        only = list(asks["schema"]["properties"])
        if only != [ALONE]:
            raise ParameterError("the answer is not an object", hint=f"Give the fields: {', '.join(only)}.")
        given = {ALONE: given}
    answer = {**asks.get("initial", {}), **given}
    bounded(answer, "the answer")
    check(answer, asks["schema"], what="input")
    return answer


def bounded(value: Any, what: str) -> None:
    """Raise ParameterError for what is no JSON, or larger than 64 KiB of it."""
    try:
        size = len(json.dumps(value, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError):
        raise ParameterError(f"{what} is not JSON", hint="Use texts, numbers, lists and objects of these.") from None
    if size > MAX_BYTES:
        raise ParameterError(
            f"{what} has {size} bytes, at most {MAX_BYTES} are allowed", hint="Keep it elsewhere and give its address."
        )


def jsonable(value: Any, what: str, *, by_alias: bool = False) -> Any:
    """A value of the author's as JSON: models and dataclasses become objects. Raises UsageError."""
    try:
        found = to_jsonable_python(value, by_alias=by_alias, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError, RecursionError):
        raise UsageError(f"{what} cannot be written as JSON: {type(value).__name__}") from None
    return found


def _adapter(model: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(model)
    except (PydanticUserError, TypeError, NameError) as error:
        raise UsageError(
            f"{model!r} cannot be asked for: {str(error).splitlines()[0]}",
            hint="Give a pydantic model, or a type such as bool, int, str or Literal['yes', 'no'].",
        ) from None


def _schema(adapter: TypeAdapter[Any], model: Any) -> JsonObject:
    try:
        made = adapter.json_schema(by_alias=True, schema_generator=Generator)
    except PydanticUserError as error:
        raise UsageError(f"{model!r} has no JSON schema: {str(error).splitlines()[0]}") from None
    target = made.get("$ref")
    if isinstance(target, str):  # a model that contains itself
        made = {**made["$defs"][target.removeprefix("#/$defs/")], "$defs": made["$defs"]}
    return json.loads(json.dumps(made, default=str))  # type: ignore[no-any-return]
