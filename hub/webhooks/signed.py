"""What a scheme signs: the strings that a sender may have signed, and the time that it says it did."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from hub.types import Micros
from hub.webhooks.places import read_items
from hub.webhooks.reference import Rejected, text_bytes
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import BodyHash, Signed, UrlAs
from hub.webhooks.secrets import from_base64, from_base64url, from_hex
from hub.webhooks.timestamp import read_timestamp

DECODE: dict[str, Callable[[str], bytes]] = {"hex": from_hex, "base64": from_base64, "base64url": from_base64url}
_USUAL_PORT = {"http": "80", "https": "443"}
_PORT = re.compile(r":[0-9]{1,5}\Z")


class SignedString(NamedTuple):
    """The bytes that may have been signed, more than one only where a URL can be written in several ways."""

    candidates: tuple[bytes, ...]
    timestamp: Micros | None


def read_signed(scheme: Signed, request: WebhookRequest) -> SignedString:
    """Build the signed strings and read their time. Raises Rejected."""
    if scheme.require:
        _check_required(scheme, request)
    stamp = _timestamp_text(scheme, request)
    ident = None if scheme.id is None else read_items(scheme.id, request, "the id", most=1)[0]
    timestamp = None
    if scheme.timestamp is not None and stamp is not None:
        timestamp = read_timestamp(stamp, scheme.timestamp.unit)
    template = scheme.signed
    if scheme.body_hash is None and "url" not in template.plain:
        return SignedString((template.build(request, id=ident, timestamp=stamp),), timestamp)
    known = {"form": b""} if _is_hashed(scheme.body_hash, request) else {}
    forms = [{**known, "url": text_bytes(url)} for url in dict.fromkeys(url_forms(request.url, scheme.url))]
    made = [template.build(request, id=ident, timestamp=stamp, known=form) for form in forms]
    return SignedString(tuple(dict.fromkeys(made)), timestamp)


def url_forms(url: str, how: UrlAs) -> Iterator[str]:
    """The ways in which a provider may have written a URL that it signed, the given one first."""
    if how.unescape:
        path, mark, query = url.partition("?")
        url = path + mark + _unescaped(query, how.unescape)
    yield url
    parts = urlsplit(url) if how.ports == "either" else None
    if parts is None or parts.scheme not in _USUAL_PORT:
        return
    before, _, after = url.partition(parts.netloc)
    bare = _PORT.sub("", parts.netloc)
    yield before + bare + after
    if bare == parts.netloc:
        yield f"{before}{bare}:{_USUAL_PORT[parts.scheme]}{after}"


def _check_required(scheme: Signed, request: WebhookRequest) -> None:
    for ref, wanted in scheme.required:
        if ref.demand(request, f"the {ref.kind} {ref.name}") != wanted:
            raise Rejected(f"the {ref.kind} {ref.name} must be {wanted}")


def _timestamp_text(scheme: Signed, request: WebhookRequest) -> str | None:
    place = scheme.timestamp
    if place is None or (not place.required and place.source.read(request) is None):
        return None
    return read_items(place, request, "the timestamp", most=1)[0]


def _is_hashed(place: BodyHash | None, request: WebhookRequest) -> bool:
    """Whether a hash vouches for the body, which must then agree; without one the body must be empty or a form."""
    if place is None:
        return False
    if place.source.demand(request, "the hash of the body") is None:
        if request.body and not request.is_form:
            raise Rejected("neither the signature nor a hash covers the body")
        return False
    (text,) = read_items(place, request, "the hash of the body", most=1)
    try:
        sent = DECODE[place.encoding](text)
    except ValueError:
        raise Rejected("the hash of the body is malformed") from None
    if not hmac.compare_digest(hashlib.new(place.hash, request.body).digest(), sent):
        raise Rejected("the hash of the body does not match")
    return True


def _unescaped(text: str, plain: str) -> str:
    for char in plain:
        text = re.sub(f"%{ord(char):02x}", lambda _, char=char: char, text, flags=re.IGNORECASE)  # type: ignore[misc]
    return text
