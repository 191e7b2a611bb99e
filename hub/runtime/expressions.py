"""CEL: filters that say yes or no, and mappings that make a JSON value. Behind one small interface.

An expression error is an error to be shown, never "no match". The engine has a recursion limit and an iteration
budget; what it does not budget (string work) is bounded by cutting long strings on their way in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from hub.errors import ExpressionError
from hub.types import Json

VARIABLES = ("body", "headers", "query", "method", "path", "event", "source", "now")
MAX_EXPRESSION = 10_000
MAX_STRING = 65_536
_MAX_DEPTH = 32
_INT64 = 2**63
_SPAN = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Variables as the engine has them, for many expressions over the same ones: that costs a tenth. By `prepare`."""

    activation: Any


def prepare(variables: Mapping[str, Any], names: tuple[str, ...] = VARIABLES) -> Prepared:
    """Hand variables to the engine once; the expressions must have been compiled with the same `names`."""
    return Prepared(_environment(names).Activation({name: variables.get(name) for name in names}))


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled CEL expression. Make one with `compile_expression`."""

    text: str
    program: Any
    names: tuple[str, ...] = VARIABLES

    def value(self, variables: Mapping[str, Any] | Prepared) -> Json:
        """Evaluate. Raises ExpressionError with what went wrong (a missing key is an error: write `has(...)`)."""
        try:
            if isinstance(variables, Prepared):
                found = self.program.eval(variables.activation)
            else:
                found = self.program.eval(data={name: variables.get(name) for name in self.names})
        except (RuntimeError, ValueError, TypeError, RecursionError) as error:
            raise ExpressionError(f"{self.text!r} failed: {_first_line(error)}") from None
        if found.type() == cel.Type.ERROR:
            raise ExpressionError(f"{self.text!r} failed: {_first_line(found.plain_value())}")
        return _plain(found.plain_value(), self.text)

    def matches(self, variables: Mapping[str, Any] | Prepared) -> bool:
        """Evaluate a filter. Raises ExpressionError unless the answer is true or false."""
        if isinstance(variables, Prepared):
            try:
                answer = self.program.eval(variables.activation).plain_value()
            except (RuntimeError, ValueError, TypeError, RecursionError):
                answer = None  # as below, with words
            if answer is True or answer is False:
                return bool(answer)
        answer = self.value(variables)
        if isinstance(answer, bool):
            return answer
        raise ExpressionError(f"{self.text!r} gave {type(answer).__name__}, a filter must give true or false")


@lru_cache(maxsize=4096)
def compile_expression(text: str, names: tuple[str, ...] = VARIABLES) -> Expression:
    """Check and compile; `names` are the variables there are. Raises ExpressionError with the place of the mistake."""
    if len(text) > MAX_EXPRESSION:
        raise ExpressionError(f"the expression has {len(text)} characters, at most {MAX_EXPRESSION} are allowed")
    try:
        return Expression(text, _environment(names).compile(text), names)
    except (RuntimeError, ValueError) as error:
        message = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
        raise ExpressionError(
            f"{text!r} is not a CEL expression: {message}", hint=f"Variables are {', '.join(names)}."
        ) from None


def check_mapping(tree: Json, *, where: str = "parameters", names: tuple[str, ...] = VARIABLES) -> None:
    """Compile every expression of a mapping. Raises ExpressionError naming the leaf."""
    _walk(tree, lambda text: compile_expression(text, names), where, 0)


def apply_mapping(
    tree: Json, variables: Mapping[str, Any], *, where: str = "parameters", names: tuple[str, ...] = VARIABLES
) -> Json:
    """Make the value: strings that start with `=` are CEL and keep their type, `${...}` is put into a text.

    Nothing is parsed after it was put in, so a payload cannot add keys.
    """
    made: Json = _walk(tree, lambda text: compile_expression(text, names).value(variables), where, 0)
    return made


def cel_input(value: Any, depth: int = 0) -> Any:
    """A JSON value as CEL can take it: integers beyond 64 bits become text, long strings are cut."""
    if depth > 2 * _MAX_DEPTH:
        return None
    if isinstance(value, str):
        return value[:MAX_STRING]
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): cel_input(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cel_input(item, depth + 1) for item in value]
    return value


@lru_cache(maxsize=8)
def _environment(names: tuple[str, ...]) -> Any:
    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN))


def _walk(tree: Any, use: Any, where: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ExpressionError(f"{where} is nested deeper than {_MAX_DEPTH}")
    if isinstance(tree, dict):
        return {key: _walk(item, use, f"{where}.{key}", depth + 1) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_walk(item, use, f"{where}[{index}]", depth + 1) for index, item in enumerate(tree)]
    if not isinstance(tree, str):
        return tree
    try:
        if tree.startswith("="):
            return use(tree[1:].strip())
        return _SPAN.sub(lambda found: _as_text(use(found[1].strip())), tree)
    except ExpressionError as error:
        raise ExpressionError(f"{where}: {error.detail}", hint=error.hint) from None


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _plain(value: Any, text: str) -> Json:
    if isinstance(value, dict):
        return {str(key): _plain(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, text) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _first_line(error: object) -> str:
    return str(error).split("\n", 1)[0].removeprefix("INVALID_ARGUMENT: ").removeprefix("NOT_FOUND: ")[:500]
