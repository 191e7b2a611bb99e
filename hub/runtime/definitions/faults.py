"""What is wrong with a declaration: where, what was expected, how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from hub.errors import HubError

Path: TypeAlias = tuple[str | int, ...]
MOST = 200
"""So many faults are told of one file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong. `path` leads to it from the top of the file."""

    path: Path
    message: str
    hint: str = ""
    at: tuple[int, int] | None = None
    """Line and column, where the path does not lead to it."""

    def said(self) -> str:
        """In one line, without the place in the file."""
        where = ".".join(map(str, self.path))
        message = " ".join(self.message.split())
        told = f"{where}: {message}" if where else message
        return f"{told}{'' if told.endswith(('.', '!', '?')) else '.'}{f' {self.hint}' if self.hint else ''}"


def of_error(path: Path, error: HubError) -> Fault:
    """What an error of the hub says of the part of a file that it is about."""
    place = error.fields.get("field")
    below = tuple(str(place).split(".")) if isinstance(place, str) and place else ()
    return Fault((*path, *below), error.detail, error.hint)


def of_model(path: Path, error: ValidationError, model: type[BaseModel]) -> Iterator[Fault]:
    """Every fault that a model has found, in plain words, with the nearest name for one that is unknown."""
    schema = model.model_json_schema(by_alias=True)
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        loc = tuple(item["loc"])
        if item["type"] == "extra_forbidden":
            yield _unknown((*path, *_real(loc, schema)), str(loc[-1]), _names(schema, loc[:-1]))
        elif item["type"] in ("int_type", "float_type") and str(loc[-1]).endswith("_s"):
            yield Fault(
                (*path, *_real(loc, schema)), "it must be a length of time", "Write seconds, or 90s, 30m, 2h, 7d."
            )
        elif item["type"] == "missing":
            yield Fault((*path, *_real(loc[:-1], schema)), f"`{loc[-1]}` is missing")
        else:
            yield Fault((*path, *_real(loc, schema)), _plain(item["msg"]))


def unknown(path: Path, what: str, name: str, known: Iterable[str]) -> Fault:
    """Something is called by a name that nothing has."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]!r}?" if near else f"There {_are(names)}." if names else ""
    return Fault(path, f"there is no {what} {name!r}", hint)


def _unknown(path: Path, name: str, known: list[str]) -> Fault:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known are {', '.join(known)}." if known else ""
    return Fault(path, "there is no such setting", hint)


def _are(names: list[str]) -> str:
    listed = ", ".join(names[:20])
    return f"is {listed}" if len(names) == 1 else f"are {listed}"


_WORDS = {
    "Input should be ": "it must be ",
    "String should ": "it must ",
    "List should ": "it must ",
    "Dictionary should ": "it must ",
}


def _plain(message: str) -> str:
    """A message of pydantic in the words of the others."""
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    for before, after in _WORDS.items():
        message = message.replace(before, after)
    return message


def _real(loc: tuple[str | int, ...], schema: Mapping[str, Any]) -> Path:
    """The part of a location that stands in the file: names of variants, which pydantic puts between, left out."""
    found: list[str | int] = []
    nodes = [dict(schema)]
    for part in loc:
        below = list(_below(nodes, part, schema))
        if below or (isinstance(part, str) and part == loc[-1]):
            found.append(part)
            nodes = below or nodes
    return tuple(found)


def _names(schema: Mapping[str, Any], loc: tuple[str | int, ...]) -> list[str]:
    """The settings that there are at a place."""
    nodes = [dict(schema)]
    for part in loc:
        nodes = (
            list(_below(nodes, part, schema))
            or [node for node in _open(nodes, schema) if _is_variant(node, part)]
            or nodes
        )
    return sorted({name for node in _open(nodes, schema) for name in node.get("properties", {})})


def _below(nodes: list[dict[str, Any]], part: str | int, schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for node in _open(nodes, schema):
        if isinstance(part, int) and isinstance(node.get("items"), dict):
            yield node["items"]
        elif part in node.get("properties", {}):
            yield node["properties"][part]
        elif isinstance(part, str) and isinstance(node.get("additionalProperties"), dict):
            yield node["additionalProperties"]


def _open(nodes: Iterable[Mapping[str, Any]], schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes themselves, their references followed and their variants side by side."""
    for node in nodes:
        if "$ref" in node:
            yield from _open([schema.get("$defs", {}).get(str(node["$ref"]).rsplit("/", 1)[-1], {})], schema)
        yield dict(node)
        for word in ("anyOf", "oneOf", "allOf"):
            yield from _open(node.get(word, ()), schema)


def _is_variant(node: Mapping[str, Any], part: str | int) -> bool:
    return part in node.get("properties", {}) or node.get("properties", {}).get("kind", {}).get("const") == part
