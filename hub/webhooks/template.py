"""The signed string: literal bytes and slots, joined as bytes and never decoded or written anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator

from hub.webhooks.reference import Ref, Rejected, parse_ref, scalar_text, text_bytes
from hub.webhooks.request import WebhookRequest

PLAIN_SLOTS = ("body", "url", "method", "id", "timestamp")
REFERENCE_SLOTS = ("header", "query", "json")
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

    def covers(self, ref: Ref) -> bool:
        """Whether the signature protects what `ref` points at."""
        inside_body = ref.kind in ("json", "form") and self.has("body")
        return inside_body or any(slot.ref == ref for slot in self.slots())

    def build(self, request: WebhookRequest, *, id: str | None, timestamp: str | None) -> bytes:
        """Join the signed bytes; raises Rejected when a value is missing or could shift a border."""
        return b"".join(
            part if isinstance(part, bytes) else _fill(part, request, id=id, timestamp=timestamp) for part in self.parts
        )


def _fill(slot: Slot, request: WebhookRequest, *, id: str | None, timestamp: str | None) -> bytes:
    if slot.name == "body":
        return request.body
    if slot.name == "method":
        return text_bytes(request.method.upper())
    if slot.name == "url":
        return text_bytes(request.url)
    value = _value(slot, request, id=id, timestamp=timestamp)
    if value is None:
        raise Rejected(f"the signed {slot.name} is missing")
    filled = text_bytes(value)
    if slot.until and slot.until in filled:
        raise Rejected(f"the signed {slot.name} holds {slot.until.decode('latin-1')!r}, which ends it")
    return filled


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
