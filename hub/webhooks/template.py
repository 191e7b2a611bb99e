"""The signed string: literal bytes and slots, joined as bytes and never decoded or written anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import PlainValidator

from hub.webhooks.body import BodyError, parse_pairs
from hub.webhooks.reference import Joined, Ref, Rejected, parse_ref, scalar_text, text_bytes
from hub.webhooks.request import WebhookRequest

PLAIN_SLOTS = ("body", "payload", "form", "url", "method", "id", "timestamp")
"""`payload` is the body, of a form its field `payload`; `form` are the fields sorted and joined, if it is one."""
REFERENCE_SLOTS = ("header", "query", "json", "form")
_IN_BODY = frozenset({"body", "payload", "form"})
_COVERS = {"json": _IN_BODY, "root": _IN_BODY, "form": frozenset({"body", "form"}), "query": frozenset({"url"})}
_NONE: frozenset[str] = frozenset()
_NOTHING: Mapping[str, bytes] = MappingProxyType({})
_SLOT = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the template: one of the plain ones, or a reference into the request."""

    name: str
    ref: Ref | None = None
    until: bytes = b""
    """The literal byte that follows; a value holding it could shift the border between two slots."""


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed `signed` template."""

    text: str
    parts: tuple[bytes | Slot, ...]
    plain: frozenset[str] = frozenset()

    def slots(self) -> Iterator[Slot]:
        """The slots in order."""
        return (part for part in self.parts if isinstance(part, Slot))

    def has(self, name: str) -> bool:
        """Whether a plain slot of this name is part of the signed string."""
        return name in self.plain

    def covers(self, ref: Ref | Joined) -> bool:
        """Whether the signature protects what `ref` points at."""
        if isinstance(ref, Joined):
            return all(self.covers(part) for part in ref.refs())
        return bool(_COVERS.get(ref.kind, _NONE) & self.plain) or any(slot.ref == ref for slot in self.slots())

    def build(
        self, request: WebhookRequest, *, id: str | None, timestamp: str | None, known: Mapping[str, bytes] = _NOTHING
    ) -> bytes:
        """Join the signed bytes; raises Rejected when a value is missing or could shift a border.

        `known` holds the bytes of slots that the request alone does not settle, such as a URL written otherwise.
        """
        return b"".join(
            [part if isinstance(part, bytes) else _fill(part, request, id, timestamp, known) for part in self.parts]
        )


def _fill(
    slot: Slot, request: WebhookRequest, id: str | None, timestamp: str | None, known: Mapping[str, bytes]
) -> bytes:
    if slot.ref is None and slot.name in _WHOLE:
        return known[slot.name] if slot.name in known else _WHOLE[slot.name](request)
    value = _value(slot, request, id=id, timestamp=timestamp)
    if value is None:
        raise Rejected(f"the signed {slot.name} is missing")
    inside_body = slot.ref is not None and slot.ref.kind in ("json", "form")
    filled = value.encode("utf-8", "surrogatepass") if inside_body else text_bytes(value)
    if slot.until and slot.until in filled:
        raise Rejected(f"the signed {slot.name} holds {slot.until.decode('latin-1')!r}, which ends it")
    return filled


def _payload(request: WebhookRequest) -> bytes:
    if not request.is_form:
        return request.body
    text = Ref("form", "payload").demand(request, "the signed payload")
    if not isinstance(text, str):
        raise Rejected("the form has no field named payload")
    return text.encode("utf-8", "surrogatepass")


def _fields(request: WebhookRequest) -> bytes:
    """Every pair of a form once, sorted, name and value joined without anything between them."""
    try:
        pairs = sorted(set(parse_pairs(request.body))) if request.is_form else []
    except BodyError as error:
        raise Rejected(f"the signed form cannot be read: {error.detail}") from None
    return "".join(name + value for name, value in pairs).encode("utf-8", "surrogatepass")


_WHOLE: dict[str, Callable[[WebhookRequest], bytes]] = {
    "body": lambda request: request.body,
    "payload": _payload,
    "form": _fields,
    "method": lambda request: text_bytes(request.method.upper()),
    "url": lambda request: text_bytes(request.url),
}


def _value(slot: Slot, request: WebhookRequest, *, id: str | None, timestamp: str | None) -> str | None:
    if slot.ref is not None:
        return scalar_text(slot.ref.demand(request, f"the signed {slot.name}"))
    return id if slot.name == "id" else timestamp


def parse_template(text: Any) -> Template:
    """Read a template such as `v0:{timestamp}:{body}`; an unknown placeholder is a ValueError."""
    if isinstance(text, Template):
        return text
    source = str(text)
    parts: list[bytes | Slot] = []
    end = 0
    for found in _SLOT.finditer(source):
        parts += _literal(source, source[end : found.start()])
        end = found.end()
        parts.append(_slot(source, found[1], until=source[end : end + 1].encode("utf-8")))
    parts += _literal(source, source[end:])
    plain = frozenset(part.name for part in parts if isinstance(part, Slot) and part.ref is None)
    return Template(source, tuple(parts), plain)


def _literal(source: str, text: str) -> list[bytes | Slot]:
    if "{" in text or "}" in text:
        raise ValueError(f"stray brace in signed template {source!r}")
    return [text.encode("utf-8")] if text else []


def _slot(source: str, name: str, *, until: bytes) -> Slot:
    until = b"" if until == b"{" else until
    if name in PLAIN_SLOTS:
        return Slot(name, until=until)
    if name.partition(":")[0] in REFERENCE_SLOTS and ":" in name:
        return Slot(name, parse_ref(name), until)
    known = ", ".join([*PLAIN_SLOTS, *(f"{kind}:NAME" for kind in REFERENCE_SLOTS)])
    raise ValueError(f"unknown placeholder {{{name}}} in signed template {source!r}; there are {known}")


SignedTemplate = Annotated[Template, PlainValidator(parse_template)]
