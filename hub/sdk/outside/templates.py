"""Texts with parameters in braces, as in `"make {target}"`; a brace itself is written twice."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from string import Formatter
from typing import TypeAlias

from hub.errors import UsageError


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a template: `text` as it is, or the parameter `name`, written as `spec` says (`{n:03d}`)."""

    text: str = ""
    name: str = ""
    spec: str = ""

    def __str__(self) -> str:
        colon = f":{self.spec}" if self.spec else ""
        return f"{{{self.name}{colon}}}" if self.name else self.text


Template: TypeAlias = tuple[Piece, ...]


def parsed(text: str, where: str) -> Template:
    """The parts of a template. Raises UsageError, naming `where` it stands."""
    if not isinstance(text, str) or "\0" in text:
        raise UsageError(f"{where} {text!r} is not a text")
    try:
        return tuple(_pieces(text))
    except ValueError as error:
        hint = "Parameters stand in braces; write {{ and }} for braces of its own."
        raise UsageError(f"{where} {text!r} is not a template: {error}", hint=hint) from None


def names_in(templates: Iterable[Template]) -> list[str]:
    """The parameters of templates, each once, in the order of their mention."""
    return list(dict.fromkeys(piece.name for template in templates for piece in template if piece.name))


def _pieces(text: str) -> Iterator[Piece]:
    for literal, name, spec, conversion in Formatter().parse(text):
        if literal:
            yield Piece(literal)
        if name is None:
            continue
        if not name.isidentifier() or keyword.iskeyword(name) or conversion or "{" in (spec or ""):
            raise ValueError(f"{{{name}}} is not a parameter's name")
        if literal.endswith("$"):
            raise ValueError(f"${{{name}}} would be a parameter of the task: write ${{{{{name}}}}} for a variable")
        yield Piece(name=name, spec=spec or "")
