"""Parameters as texts: arguments of programs, parts of addresses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hub.errors import ParameterError
from hub.sdk.outside.templates import Piece, Template


def text_of(piece: Piece, value: Any) -> str:
    """One value as a text: numbers and dates as Python writes them, booleans and objects as JSON.

    Raises ParameterError, naming the parameter, never its value.
    """
    try:
        text = format(value, piece.spec) if piece.spec else _plain(value)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{piece.name} cannot be written as a text: {type(error).__name__}") from None
    if "\0" in text:
        raise ParameterError(f"{piece.name} holds a NUL character, which cannot be passed on")
    return text


def filled(template: Template, values: Mapping[str, Any], write: Callable[[Piece, Any], str] = text_of) -> str:
    """A template with its parameters in place."""
    return "".join(write(piece, values[piece.name]) if piece.name else piece.text for piece in template)


def words(template: Template, values: Mapping[str, Any]) -> Iterator[str]:
    """One word of a command; a word that is nothing but a list gives one for each of its items."""
    if len(template) == 1 and template[0].name and isinstance(values[template[0].name], list | tuple):
        yield from (text_of(template[0], item) for item in values[template[0].name])
    else:
        yield filled(template, values)


def tree_of(tree: Any, values: Mapping[str, Any]) -> Any:
    """A JSON tree with its parameters in place; a text that is nothing but a placeholder becomes the value."""
    if isinstance(tree, tuple):
        if len(tree) == 1 and tree[0].name and not tree[0].spec:
            return values[tree[0].name]
        return filled(tree, values)
    if isinstance(tree, dict):
        return {key: tree_of(item, values) for key, item in tree.items()}
    return [tree_of(item, values) for item in tree] if isinstance(tree, list) else tree


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise TypeError("None")
    if isinstance(value, bool | dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, bytes):
        return os.fsdecode(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    return str(value)
