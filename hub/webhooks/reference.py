"""References: where in a request a value stands (`header:X-GitHub-Event`, `json:data.id`), and reading it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator

from hub.types import Json
from hub.webhooks.body import BodyError
from hub.webhooks.request import WebhookRequest

KINDS = ("header", "query", "json", "root", "form", "const")
_PART = re.compile(r"\{([^{}]*)\}")


class Rejected(Exception):
    """This request is not valid; the message is the reason kept with its receipt. Never leaves the engine."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One place in a request. A JSON name is a path of keys and indexes joined by full stops.

    In the item of a batch `json` starts at the item and `root` at the whole body; elsewhere they are the same.
    """

    kind: str
    name: str
    header: str | None = field(init=False, repr=False, compare=False)
    """The header's name as `WebhookRequest.named` wants it; None for everything else."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", self.name.lower() if self.kind == "header" else None)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def read(self, request: WebhookRequest) -> Json:
        """Return the value, or None if it is not there, cannot be parsed or a header came twice."""
        if self.header is not None:
            values = request.named(self.header)
            return values[0] if len(values) == 1 else None
        try:
            return self.demand(request, "value")
        except Rejected:
            return None

    def text(self, request: WebhookRequest, item: Json = None) -> str | None:
        """Return the value as text, None where there is none or it is no scalar; `item` is one of a batch."""
        value = self.read(request) if item is None or self.kind != "json" else walk(item, self.name)
        return value if isinstance(value, str) else scalar_text(value)

    def demand(self, request: WebhookRequest, what: str) -> Json:
        """Return the value or None; raise Rejected when the place is ambiguous or cannot be read."""
        values: tuple[Json, ...]
        try:
            values = request.named(self.header) if self.header is not None else self._values(request)
        except BodyError as error:
            raise Rejected(f"{what} cannot be read: {error.detail}") from None
        if len(values) > 1:
            raise Rejected(f"{what} came {len(values)} times in {self.kind} {self.name}")
        return values[0] if values else None

    def _values(self, request: WebhookRequest) -> tuple[Json, ...]:
        match self.kind:
            case "query":
                return request.query_values(self.name)
            case "form":
                return (request.form.get(self.name),)
            case "const":
                return (self.name,)
            case _:
                return (walk(request.json, self.name),)


@dataclass(frozen=True, slots=True)
class Joined:
    """A text made of several places, such as `{json:type}.{json:action}`; None where one of them is missing."""

    written: str
    parts: tuple[str | Ref, ...]

    def __str__(self) -> str:
        return self.written

    def refs(self) -> tuple[Ref, ...]:
        """The places it is made of."""
        return tuple(part for part in self.parts if isinstance(part, Ref))

    def text(self, request: WebhookRequest, item: Json = None) -> str | None:
        """Return the joined text; `item` is one of a batch."""
        found = [part if isinstance(part, str) else part.text(request, item) for part in self.parts]
        return None if None in found or "" in found else "".join(part for part in found if part)


def walk(value: Json, path: str) -> Json:
    """Follow a path of keys and list indexes joined by full stops; None where it leads nowhere."""
    for step in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:6]) < len(value):
            value = value[int(step[:6])]
        else:
            return None
    return value


def spread(value: Json, path: str) -> list[Json]:
    """List what a path leads to: `*` stands for every item of a list, and a list at its end for its items.

    `.` is the value itself.
    """
    before, star, after = path.strip(".").partition("*")
    found = walk(value, before.strip("."))
    items = found if isinstance(found, list) else [] if found is None else [found]
    return [deep for item in items for deep in spread(item, after)] if star and after.strip(".") else list(items)


def scalar_text(value: Json) -> str | None:
    """Write a string or a whole number as text; anything else is None."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def text_bytes(text: str) -> bytes:
    """Give back the bytes a header had on the wire (latin-1); text that never was on one becomes UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def parse_ref(text: Any) -> Ref:
    """Read `kind:name`; raises ValueError naming the kinds there are."""
    if isinstance(text, Ref):
        return text
    kind, colon, name = str(text).partition(":")
    if not colon or kind not in KINDS or not (name or kind in ("json", "const")):
        raise ValueError(f"{text!r} is not a reference; write one of {', '.join(f'{k}:NAME' for k in KINDS)}")
    return Ref(kind, name)


def parse_text(text: Any) -> Ref | Joined:
    """Read `kind:name`, or a text with such places in braces; raises ValueError on a wrong one."""
    if isinstance(text, Ref | Joined) or "{" not in str(text):
        return text if isinstance(text, Joined) else parse_ref(text)
    written = str(text)
    pieces = _PART.split(written)
    parts = [parse_ref(piece) if index % 2 else piece for index, piece in enumerate(pieces) if index % 2 or piece]
    if any(isinstance(part, str) and ("{" in part or "}" in part) for part in parts):
        raise ValueError(f"stray brace in {written!r}")
    return Joined(written, tuple(parts))


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


def _as_tuple(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else () if value is None else (value,)
    return tuple(item for item in items if item != "")


Reference = Annotated[Ref, PlainValidator(parse_ref)]
MaybeReference = Annotated[Reference | None, BeforeValidator(_blank_is_none)]
References = Annotated[tuple[Reference, ...], BeforeValidator(_as_tuple)]
"""One reference or several in the order in which they are tried."""
Texts = Annotated[tuple[Annotated[Ref | Joined, PlainValidator(parse_text)], ...], BeforeValidator(_as_tuple)]
"""The same, and each may be joined of several: `{json:type}.{json:action}`."""
