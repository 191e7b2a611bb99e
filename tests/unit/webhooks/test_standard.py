"""Signing by Standard Webhooks: the published vector, and what the receiving side of the hub says of it."""

from __future__ import annotations

import pytest
from hub.runtime.presets import installed
from hub.types import SECOND
from hub.webhooks import standard
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import verify

NOW = 1_614_265_330


def test_the_published_vector() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = standard.headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, b'{"test": 2432232314}')
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def valid(keys: list[str], known: str, body: bytes = b"{}") -> bool:
    headers = standard.headers(keys, "msg_1", NOW, b"{}")
    request = WebhookRequest("POST", "https://hub.example/in/x", header_pairs(headers), body)
    secrets = [SecretValue("one", known)]
    return verify(installed().get("standard-webhooks"), request, secrets, now=NOW * SECOND).valid


def test_a_receiver_that_knows_one_of_the_keys_verifies() -> None:
    old, new, private = standard.new_secret(), standard.new_secret(), standard.new_key()
    public = standard.public_of(private)
    for known in (old, new, public):
        assert valid([new, old, private], known)
        assert not valid([new, old, private], known, b"{} ")
    assert not valid([new, private], old)
    assert not valid([new, old], public)


def test_a_key_that_is_none_is_refused() -> None:
    for wrong in ("whsk_", "whsec_not base64", "whsk_AAAA"):
        with pytest.raises(ValueError, match=r".+"):
            standard.signature(wrong, "msg_1", "1", b"")
