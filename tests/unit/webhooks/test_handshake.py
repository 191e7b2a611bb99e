from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from hub.errors import UsageError
from hub.webhooks.handshake import HandshakeAnswer, answer_handshake, find_handshake
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, verify

from .examples import NOW, SECRET, mac, make, post

SIGNED: dict[str, Any] = {
    "kind": "hmac",
    "signature": {"from": "header:X-Sig"},
    "timestamp": {"from": "header:X-Time"},
    "signed": "v0:{timestamp}:{body}",
}
ECHO = make(
    verify=SIGNED,
    handshake=[
        {"when": {"method": "POST", "json": {"type": "url_verification"}}, "respond": {"text": "json:challenge"}}
    ],
)
ORACLE = make(
    verify=SIGNED,
    handshake=[
        {
            "when": {"json": {"event": "validate"}},
            "require_verified": False,
            "compute": {"token": {"hmac": "sha256", "input": "json:plainToken"}},
            "respond": {"json": {"plainToken": "json:plainToken", "encryptedToken": "token", "ok": 1}},
        }
    ],
)
SUBSCRIBE = make(
    methods=["POST", "GET"],
    handshake=[
        {
            "when": {"method": "GET", "query": {"hub.mode": "subscribe", "hub.challenge": "*"}},
            "require_verified": False,
            "token": "query:hub.verify_token",
            "respond": {"text": "query:hub.challenge"},
        }
    ],
)


def shake(preset: Any, request: Any, *, secret: SecretValue = SECRET) -> HandshakeAnswer | str | None:
    found = find_handshake(preset, request)
    if found is None:
        return None
    verdict = verify(preset, request, [secret], now=NOW)
    return answer_handshake(found, request, [secret], verdict, now=NOW)


def stamped(document: Any) -> Any:
    body = json.dumps(document).encode()
    return post(body, {"X-Time": "1700000000", "X-Sig": mac(b"v0:1700000000:" + body)})


def test_a_verified_challenge_is_echoed_as_plain_text_that_no_browser_runs() -> None:
    answer = shake(ECHO, stamped({"type": "url_verification", "challenge": "abc-123"}))
    assert isinstance(answer, HandshakeAnswer)
    assert (answer.status, answer.body) == (200, b"abc-123")
    assert answer.content_type.startswith("text/plain")
    assert ("x-content-type-options", "nosniff") in answer.headers


def test_an_unverified_challenge_is_not_echoed() -> None:
    body = b'{"type": "url_verification", "challenge": "abc"}'
    assert isinstance(shake(ECHO, post(body, {"X-Time": "1700000000", "X-Sig": "00"})), str)


def test_an_ordinary_delivery_is_no_handshake() -> None:
    assert shake(ECHO, stamped({"type": "event_callback"})) is None
    assert shake(ECHO, post(b"not json")) is None
    assert shake(ECHO, post(b"[1]")) is None


@pytest.mark.parametrize("challenge", ["", "x" * 1025, "a\nb", "\u00e4", "\x00", ["a"], {"a": 1}, None])
def test_only_short_printable_ascii_is_echoed(challenge: Any) -> None:
    assert isinstance(shake(ECHO, stamped({"type": "url_verification", "challenge": challenge})), str)


def test_a_computed_answer_signs_a_plain_token() -> None:
    answer = shake(ORACLE, stamped({"event": "validate", "plainToken": "qgg8vlvZRS6UYooatFL8Aw"}))
    assert isinstance(answer, HandshakeAnswer)
    expected = hmac.digest(SECRET.value.encode(), b"qgg8vlvZRS6UYooatFL8Aw", "sha256").hex()
    assert json.loads(answer.body) == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": expected,
        "ok": 1,
    }


@pytest.mark.parametrize(
    "token",
    [
        'v0:1700000000:{"type":"forged"}',
        '{"type":"forged"}',
        '{"type":"forged","id":"1"}',
        "a b",
        'a"',
        "a.b",
        "a:b",
        "",
        "x" * 129,
        "abc\n",
        "\u0661",
        None,
        ["a"],
    ],
    ids=ascii,
)
def test_a_challenge_is_no_signing_oracle(token: Any) -> None:
    """An attacker must not get a signature for text that could stand for an event."""
    answer = shake(ORACLE, post(json.dumps({"event": "validate", "plainToken": token})))
    assert isinstance(answer, str)


def test_a_computed_answer_needs_a_secret() -> None:
    request = post(json.dumps({"event": "validate", "plainToken": "abc"}))
    assert isinstance(shake(ORACLE, request, secret=SecretValue("s", "")), str)


def test_a_subscription_is_confirmed_only_with_the_token_of_the_source() -> None:
    url = "https://hub.example/in/x?hub.mode=subscribe&hub.challenge=42&hub.verify_token="
    answer = shake(SUBSCRIBE, post(b"", url=url + "top+secret", method="GET"))
    assert isinstance(answer, HandshakeAnswer)
    assert answer.body == b"42"
    assert isinstance(shake(SUBSCRIBE, post(b"", url=url + "guess", method="GET")), str)
    assert isinstance(shake(SUBSCRIBE, post(b"", url=url[: -len("&hub.verify_token=")], method="GET")), str)


def test_a_handshake_that_must_be_verified_says_why_it_was_not() -> None:
    found = find_handshake(ECHO, post(b'{"type": "url_verification"}'))
    assert found is not None
    refused = answer_handshake(found, post(b"{}"), [SECRET], Verdict(False, "no"), now=NOW)
    assert refused == "no"


def test_an_answer_may_have_headers_of_its_own_and_head_alone_is_a_handshake() -> None:
    preset = make(
        handshake=[
            {
                "when": {"method": "HEAD"},
                "require_verified": False,
                "respond": {"headers": {"X-Hook-Secret": "header:X-Hook-Secret"}},
            }
        ]
    )
    answer = shake(preset, post(b"", {"X-Hook-Secret": "b5-37_20"}, method="HEAD"))
    assert isinstance(answer, HandshakeAnswer)
    assert ("x-hook-secret", "b5-37_20") in answer.headers
    assert isinstance(shake(preset, post(b"", {"X-Hook-Secret": "a\r\nb: c"}, method="HEAD")), str)
    assert isinstance(shake(preset, post(b"", method="HEAD")), str)
    with pytest.raises(UsageError, match="recognised"):
        make(handshake=[{"when": {"method": "POST"}, "respond": {}}])
    with pytest.raises(UsageError, match="headers"):
        make(handshake=[{"when": {"method": "HEAD"}, "respond": {"headers": {"a b": "header:X"}}}])
