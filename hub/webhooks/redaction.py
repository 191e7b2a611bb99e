"""Values that a source's owner does not want kept: blotted out after verification and before anything is stored.

A place is `json:PATH`, `field:NAME`, `header:NAME`, `query:NAME` or `body`. Whatever cannot be read cannot be blotted
out: then nothing of the body is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlencode

from hub.errors import UsageError
from hub.types import Json
from hub.webhooks.body import BodyError, parse_json, parse_pairs
from hub.webhooks.reference import Joined, Ref
from hub.webhooks.request import WebhookRequest
from hub.webhooks.rules import EventRule, Rules

REDACTED = "[redacted]"
"""What is kept in place of a value."""
WHOLE = "body"
MAX_PLACES = 50
MAX_PLACE = 200
MAX_STEPS = 16
_KINDS = ("json", "field", "header", "query")
_HINT = "Write json:PATH, field:NAME, header:NAME, query:NAME or body."
_UNREADABLE = {"form": "field:NAME", "xml": WHOLE, "multipart": WHOLE, "text": WHOLE}
_ITEM = "*"


@dataclass(frozen=True, slots=True)
class Place:
    """One place. `steps` is the path of `json`; the names of the others are in lower case."""

    kind: str
    name: str
    written: str
    steps: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Stored:
    """What may be stored of a body, and the places where something was blotted out; none: the exact bytes."""

    body: bytes
    places: tuple[str, ...] = ()
    problem: str = ""
    """Why nothing of the body is kept although only parts of it should not be."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """The places of a source. An empty one changes nothing."""

    places: tuple[Place, ...] = ()

    @property
    def headers(self) -> frozenset[str]:
        """Names of headers and query parameters whose values are not kept, in lower case."""
        return frozenset(place.name for place in self.places if place.kind in ("header", "query"))

    def apply(self, request: WebhookRequest, *, trusted: bool = True) -> Stored:
        """What to store of a request's body. One that is not `trusted` is not read: nothing of its body is kept."""
        if not self.places:
            return Stored(request.body)
        beside = tuple(place.written for place in self.places if _is_beside(place, request))
        inside = [place for place in self.places if place.kind in ("json", "field", WHOLE)]
        if not inside or not request.body:
            return Stored(request.body, beside)
        if not trusted or any(place.kind == WHOLE for place in inside):
            return Stored(b"", (*beside, WHOLE))
        try:
            body, hit = _form(request.body, inside) if request.is_form else _json(request.body, inside)
        except BodyError as error:
            return Stored(b"", (*beside, WHOLE), f"nothing of the body is kept, it cannot be redacted: {error.detail}")
        return Stored(body, (*beside, *(place.written for place in hit)))

    def beside(self, headers: Iterable[Sequence[str]], query: str) -> tuple[list[list[str]], str]:
        """Headers and query without the values that are not kept."""
        pairs = [[name, REDACTED if name.lower() in self.headers else value] for name, value in headers]
        return pairs, without_values(query, lambda name: name.lower() in self.headers)

    def check(self, rules: Rules) -> None:
        """Refuse places that the preset reads, which would be kept as the event's type or id. Raises UsageError."""
        for place in self.places:
            if place.kind == WHOLE and rules.event.split:
                raise UsageError(
                    "body cannot be left out: this preset makes an event of each item in it",
                    hint="Name what is not to be kept: json:PATH or field:NAME.",
                )
            _check_base64(place, rules.event)
            for ref, steps in _read_places(rules):
                if _covers(place, ref, steps):
                    raise UsageError(
                        f"{place} cannot be redacted: the preset reads the event's type, id or time from {ref}",
                        hint="Redact what stands beside it; type and id are kept with every request.",
                    )


NOTHING = Redaction()


def parse(written: Sequence[str]) -> Redaction:
    """Read places. Raises UsageError that names the wrong one."""
    if len(written) > MAX_PLACES:
        raise UsageError(f"{len(written)} places are to be redacted, at most {MAX_PLACES} may be")
    return Redaction(tuple(dict.fromkeys(_place(text) for text in written)))


def without_values(query: str, is_secret: Callable[[str], bool]) -> str:
    """A query as it is written, without the values of some parameters, however their names are escaped."""
    return "&".join(_part(part, is_secret) for part in query.split("&")) if query else ""


def _part(part: str, is_secret: Callable[[str], bool]) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={REDACTED}" if equals and is_secret(unquote_plus(name)) else part


def _place(text: str) -> Place:
    kind, colon, name = text.partition(":")
    if text == WHOLE:
        return Place(WHOLE, "", text)
    if colon and kind in _UNREADABLE:
        raise UsageError(
            f"{text!r} cannot be redacted: only JSON and forms are read", hint=f"Write {_UNREADABLE[kind]} instead."
        )
    if not colon or kind not in _KINDS or not name or len(text) > MAX_PLACE or not text.isprintable():
        raise UsageError(f"{text[:MAX_PLACE]!r} is no place that can be redacted", hint=_HINT)
    if kind != "json":
        return _named(kind, name, text)
    steps = tuple(name.split("."))
    if "" in steps or len(steps) > MAX_STEPS:
        raise UsageError(
            f"{text!r} is no path of 1 to {MAX_STEPS} steps", hint="Join keys and indexes by full stops; * is any."
        )
    return Place(kind, name, text, steps)


def _named(kind: str, name: str, text: str) -> Place:
    if kind == "header" and name.lower() == "content-type":
        raise UsageError("header:Content-Type cannot be redacted: it says how the body is read")
    return Place(kind, name.casefold() if kind == "field" else name.lower(), text)


def _is_beside(place: Place, request: WebhookRequest) -> bool:
    if place.kind == "header":
        return bool(request.all(place.name))
    return place.kind == "query" and any(name.lower() == place.name for name in request.query_names)


def _json(body: bytes, places: Sequence[Place]) -> tuple[bytes, list[Place]]:
    value, hit = _blotted(parse_json(body), places)
    return (_dumped(value).encode() if hit else body), hit


def _dumped(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _form(body: bytes, places: Sequence[Place]) -> tuple[bytes, list[Place]]:
    """A form is an object of texts, but for a field `payload` that holds JSON."""
    pairs = parse_pairs(body)
    found: list[Place] = []
    has_payload = any(name == "payload" for name, _ in pairs)
    named = [place for place in places if place.kind == "field" or not has_payload]
    made = []
    for name, value in pairs:
        cleared, hit = _blotted({name: value}, named)
        text = cleared[name] if isinstance(cleared, dict) else REDACTED
        if name == "payload" and not hit:
            read, hit = _blotted(parse_json(value.encode("utf-8", "replace")), places)
            text = _dumped(read) if hit else value
        made.append((name, str(text)))
        found += hit
    return (urlencode(made).encode() if found else body), list(dict.fromkeys(found))


def _blotted(value: Json, places: Sequence[Place]) -> tuple[Json, list[Place]]:
    """A copy without the values at some places, and which of these there were."""
    hit = []
    for place in places:
        after = _without(value, place.steps) if place.kind == "json" else _without_field(value, place.name)
        if after is not value:
            hit.append(place)
            value = after
    return value, hit


def _without(value: Json, steps: tuple[str, ...]) -> Json:
    """The value itself if the path leads nowhere. On a list a key stands for that of every item."""
    if not steps:
        return value if value == REDACTED else REDACTED
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        names = list(value) if step == _ITEM else [step] if step in value else []
        return _changed_object(value, {name: _without(value[name], rest) for name in names})
    if not isinstance(value, list):
        return value
    if step.isascii() and step.isdigit():
        at = int(step[:6])
        return _changed_list(value, [_without(item, rest) if at == n else item for n, item in enumerate(value)])
    rest = rest if step == _ITEM else steps
    return _changed_list(value, [_without(item, rest) for item in value])


def _without_field(value: Json, name: str) -> Json:
    if isinstance(value, list):
        return _changed_list(value, [_without_field(item, name) for item in value])
    if not isinstance(value, dict):
        return value
    return _changed_object(
        value,
        {
            key: _without(item, ()) if key.casefold() == name else _without_field(item, name)
            for key, item in value.items()
        },
    )


def _changed_object(value: dict[str, Json], changed: dict[str, Json]) -> Json:
    return {**value, **changed} if any(changed[name] is not value[name] for name in changed) else value


def _changed_list(value: list[Json], changed: list[Json]) -> Json:
    return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value


def _check_base64(place: Place, event: EventRule) -> None:
    """What is inside base64 is not looked into; whoever names it would be told a lie."""
    if event.base64 is None or place.kind not in ("json", "field"):
        return
    if place.kind == "field" or _reaches(tuple(event.base64.split(".")), place.steps):
        raise UsageError(
            f"{place} cannot be redacted: this preset's data is base64 that nobody looks into",
            hint=f"Redact all of it: json:{event.base64}.",
        )


def _reaches(outer: tuple[str, ...], steps: tuple[str, ...]) -> bool:
    """Whether a path leads into what stands at another."""
    return len(steps) > len(outer) and all(step in (_ITEM, key) for step, key in zip(steps, outer, strict=False))


def _read_places(rules: Rules) -> list[tuple[Ref, tuple[str, ...]]]:
    """The places that become a receipt's or an event's type, id and time; those of JSON as paths from the body on."""
    event = rules.event
    items = [_item_steps(path) for path in event.split] or [()]
    found = [(ref, _steps(ref.name)) for ref in _refs(event.delivery)]
    for ref in _refs((*event.type, *event.id, *event.time)):
        starts = items if ref.kind == "json" else [()]
        # What is no batch for its content is read from the body's own beginning.
        also = [()] if event.split and ref.kind == "json" else []
        found += [(ref, (*start, *_steps(ref.name))) for start in (*starts, *also)]
    return found


def _steps(path: str) -> tuple[str, ...]:
    return tuple(step for step in path.split(".") if step)


def _item_steps(path: str) -> tuple[str, ...]:
    """The path of a batch's array, to each of its items."""
    steps = _steps(path)
    return steps if steps[-1:] == (_ITEM,) else (*steps, _ITEM)


def _refs(texts: Sequence[Ref | Joined]) -> list[Ref]:
    return [ref for text in texts for ref in (text.refs() if isinstance(text, Joined) else (text,))]


def _covers(place: Place, ref: Ref, steps: tuple[str, ...]) -> bool:
    if place.kind in ("header", "query"):
        return ref.kind == place.kind and ref.name.lower() == place.name
    if ref.kind not in ("json", "root", "form") or place.kind == WHOLE:
        return False
    if place.kind == "field":
        return place.name in (step.casefold() for step in steps)
    return _leads_to(place.steps, steps)


def _leads_to(place: tuple[str, ...], ref: tuple[str, ...]) -> bool:
    """Whether what a path blots out holds what a reference reads."""
    if not place or not ref:
        return not place
    step, key = place[0], ref[0]
    if step in (_ITEM, key) or (key == _ITEM and step.isdigit()):
        return _leads_to(place[1:], ref[1:])
    return (key == _ITEM or key.isdigit()) and not step.isdigit() and _leads_to(place, ref[1:])
