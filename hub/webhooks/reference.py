"""References: where in a request a value stands (`header:X-GitHub-Event`, `json:data.id`), and reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator

from hub.types import Json
from hub.webhooks.body import BodyError
from hub.webhooks.request import WebhookRequest

KINDS = ("header", "query", "json", "form", "const")


class Rejected(Exception):
    """This request is not valid; the message is the reason kept with its receipt. Never leaves the engine."""


@dataclass(frozen=True, slots=True)
class Ref:
    """One place in a request. A JSON name is a path of keys and indexes joined by full stops."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def read(self, request: WebhookRequest) -> Json:
        """Return the value, or None if it is not there, cannot be parsed or a header came twice."""
        try:
            return self.demand(request, "value")
        except Rejected:
            return None

    def demand(self, request: WebhookRequest, what: str) -> Json:
        """Return the value or None; raise Rejected when the place is ambiguous or cannot be read."""
        try:
            values = self._values(request)
        except BodyError as error:
            raise Rejected(f"{what} cannot be read: {error.detail}") from None
        if len(values) > 1:
            raise Rejected(f"{what} came {len(values)} times in {self.kind} {self.name}")
        return values[0] if values else None

    def _values(self, request: WebhookRequest) -> tuple[Json, ...]:
        match self.kind:
            case "header":
                return request.all(self.name)
            case "query":
                return request.query_values(self.name)
            case "form":
                return (request.form.get(self.name),)
            case "const":
                return (self.name,)
            case _:
                return (walk(request.json, self.name),)


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


def _blank_is_none(value: Any) -> Any:
    return None if value == "" else value


def _as_tuple(value: Any) -> Any:
    items = value if isinstance(value, list | tuple) else () if value is None else (value,)
    return tuple(item for item in items if item != "")


Reference = Annotated[Ref, PlainValidator(parse_ref)]
MaybeReference = Annotated[Reference | None, BeforeValidator(_blank_is_none)]
References = Annotated[tuple[Reference, ...], BeforeValidator(_as_tuple)]
"""One reference or several in the order in which they are tried."""
