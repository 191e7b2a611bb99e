"""Handshakes: a provider asks whether the endpoint is there, and a preset says what to answer.

A computed answer signs text chosen by the caller with the key that also signs events, so it could be a
signing oracle: its input must be a plain token, and the request must verify itself wherever the provider
signs it.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.types import Json, Micros
from hub.webhooks.preset import Options, Preset
from hub.webhooks.reference import KINDS, Ref, Rejected, parse_ref, scalar_text, text_bytes
from hub.webhooks.request import WebhookRequest
from hub.webhooks.rules import Compute, Handshake, When
from hub.webhooks.secrets import SecretValue, decode_plain, usable
from hub.webhooks.verify import Verdict

MAX_ECHO = 1_024
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_PRINTABLE = re.compile(r"[ -~]{1,1024}\Z")
HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; sandbox"),
)


@dataclass(frozen=True, slots=True)
class HandshakeAnswer:
    """The answer to send; its headers keep a browser from running what was echoed."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = HEADERS


def find_handshake(preset: Preset, request: WebhookRequest, options: Options = None) -> Handshake | None:
    """Return the handshake this request is, or None if it is an ordinary delivery. Answers nothing yet."""
    return next((step for step in preset.rules(options).handshake if _matches(step.when, request)), None)


def answer_handshake(
    handshake: Handshake,
    request: WebhookRequest,
    secrets: Sequence[SecretValue],
    verdict: Verdict,
    *,
    now: Micros | None,
) -> HandshakeAnswer | str:
    """Return the answer, or the reason why there is none (it is refused like a bad signature)."""
    if handshake.require_verified and not verdict.valid:
        return verdict.reason or "the handshake is not verified"
    try:
        _check_token(handshake, request, secrets, now)
        computed = {name: _compute(how, request, secrets, now) for name, how in handshake.compute.items()}
        return _respond(handshake, request, computed)
    except Rejected as refusal:
        return str(refusal)


def _matches(when: When, request: WebhookRequest) -> bool:
    return (
        (when.method is None or when.method == request.method)
        and all(_is(Ref("query", name), want, request) for name, want in when.query.items())
        and all(_is(Ref("header", name), want, request) for name, want in when.header.items())
        and all(_is(Ref("json", path), want, request) for path, want in when.json_.items())
    )


def _is(ref: Ref, want: Any, request: WebhookRequest) -> bool:
    found = ref.read(request)
    return found is not None if want == "*" else found == want and type(found) is type(want)


def _check_token(
    handshake: Handshake, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None
) -> None:
    """Where the provider proves itself by the secret in clear, compare it in constant time."""
    if handshake.token is None:
        return
    sent = text_bytes(scalar_text(handshake.token.demand(request, "the verify token")) or "")
    matches = [hmac.compare_digest(key.value, sent) for key in usable(secrets, now, decode_plain("utf8"))]
    if not any(matches):
        raise Rejected("the verify token does not match")


def _compute(how: Compute, request: WebhookRequest, secrets: Sequence[SecretValue], now: Micros | None) -> str:
    token = scalar_text(how.input.demand(request, "the challenge"))
    if token is None or not _TOKEN.match(token):
        raise Rejected("the challenge is not a plain token of at most 128 letters, digits, - and _")
    keys = usable(secrets, now, decode_plain("utf8"))
    if not keys:
        raise Rejected("no usable secret is configured")
    mac = hmac.digest(keys[-1].value, token.encode("ascii"), how.hmac)
    return how.prefix + (mac.hex() if how.encoding == "hex" else base64.b64encode(mac).decode("ascii"))


def _respond(handshake: Handshake, request: WebhookRequest, computed: Mapping[str, str]) -> HandshakeAnswer:
    say = handshake.respond
    headers = tuple((name.lower(), str(_value(value, request, computed))) for name, value in say.headers.items())
    headers = (*HEADERS, *headers)
    if say.json_ is not None:
        answer = {name: _value(value, request, computed) for name, value in say.json_.items()}
        return HandshakeAnswer(say.status, "application/json", json.dumps(answer).encode("ascii"), headers)
    text = "" if say.text is None else str(_value(say.text, request, computed))
    return HandshakeAnswer(say.status, "text/plain; charset=utf-8", text.encode("ascii"), headers)


def _value(written: Any, request: WebhookRequest, computed: Mapping[str, str]) -> Json:
    if not isinstance(written, str):
        literal: Json = written
        return literal
    if written in computed:
        return computed[written]
    if written.partition(":")[0] not in KINDS:
        raise Rejected(f"the preset answers with {written!r}, which is neither a reference nor computed")
    text = scalar_text(parse_ref(written).demand(request, "the challenge"))
    if text is None or not _PRINTABLE.match(text):
        raise Rejected(f"the challenge is not printable ASCII of at most {MAX_ECHO} characters")
    return text
