"""Adyen's two forms, told apart by the request, with the test values that its own libraries publish."""

from __future__ import annotations

import json
from typing import Any

import pytest

from . import second_jose as second
from .keyed import Bench

KEY = second.ADYEN_KEY
ITEM = {
    "pspReference": "7914073381342284",
    "merchantReference": "TestPayment-1407325143704",
    "merchantAccountCode": "TestMerchant",
    "amount": {"currency": "EUR", "value": 1130},
    "eventCode": "AUTHORISATION",
    "success": "true",
}
PUBLISHED = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="
"""Adyen/adyen-python-api-library, test/UtilTest.py."""
PLATFORM = """
        {
            "type": "merchant.created",
            "environment": "test",
            "createdAt": "01-01-2024",
            "data": {
                "capabilities": {
                    "sendToTransferInstrument": {
                        "requested": true,
                        "requestedLevel": "notApplicable"
                    }
                },
                "companyId": "YOUR_COMPANY_ID",
                "merchantId": "YOUR_MERCHANT_ACCOUNT",
                "status": "PreActive"
            }
        }
        """
PUBLISHED_WHOLE = "fX74xUdztFmaXAn3IusMFFUBUSkLmDQUK0tm8xL6ZTU="


def body(*items: dict[str, Any], signature: str | None = None) -> bytes:
    signed = [
        {**item, "additionalData": {"hmacSignature": second.adyen(item) if signature is None else signature}}
        for item in items
    ]
    document = {"live": "false", "notificationItems": [{"NotificationRequestItem": item} for item in signed]}
    return json.dumps(document).encode()


def test_the_published_values_of_both_forms_hold(bench: Bench) -> None:
    assert second.adyen(ITEM) == PUBLISHED
    assert bench.judge("adyen", body(ITEM, signature=PUBLISHED), {}, secret=KEY).valid
    headers = {"HmacSignature": PUBLISHED_WHOLE}
    assert bench.judge("adyen", PLATFORM.encode(), headers, secret=KEY).valid
    assert not bench.judge("adyen", PLATFORM.encode(), {"HmacSignature": "MismatchingHmacKey="}, secret=KEY).valid


@pytest.mark.parametrize(
    "changed",
    [
        {"pspReference": "1"},
        {"originalReference": "x"},
        {"merchantReference": "x"},
        {"merchantAccountCode": "x"},
        {"amount": {"currency": "USD", "value": 1130}},
        {"amount": {"currency": "EUR", "value": 113000}},
        {"eventCode": "REFUND"},
        {"success": "false"},
        {"success": False},
        {"success": ["true"]},
        {"amount": []},
    ],
    ids=str,
)
def test_a_changed_field_is_noticed(bench: Bench, changed: dict[str, Any]) -> None:
    assert not bench.judge("adyen", body({**ITEM, **changed}, signature=PUBLISHED), {}, secret=KEY).valid


def test_every_item_must_be_signed(bench: Bench) -> None:
    other = {**ITEM, "eventCode": "CAPTURE"}
    assert bench.judge("adyen", body(ITEM, other), {}, secret=KEY).valid
    assert not bench.judge("adyen", body(ITEM, other, signature=PUBLISHED), {}, secret=KEY).valid
    for wrong in (
        b"{}",
        b"[]",
        b"",
        b"{",
        b'{"notificationItems":[]}',
        b'{"notificationItems":{}}',
        b'{"notificationItems":[1]}',
    ):
        assert not bench.judge("adyen", wrong, {}, secret=KEY).valid
    assert not bench.judge("adyen", body(*[ITEM] * 101), {}, secret=KEY).valid


def test_an_empty_signature_or_key_verifies_nothing(bench: Bench) -> None:
    assert not bench.judge("adyen", body(ITEM, signature=""), {}, secret=KEY).valid
    assert not bench.judge("adyen", body(ITEM), {"HmacSignature": ""}, secret=KEY).valid
    for secret in ("", "xyz", KEY[:-1]):
        assert not bench.judge("adyen", body(ITEM), {}, secret=secret).valid


def test_the_header_decides_and_there_is_no_way_back_from_it(bench: Bench) -> None:
    whole = body(ITEM)
    assert not bench.judge("adyen", whole, {"HmacSignature": PUBLISHED_WHOLE}, secret=KEY).valid
    headers = {"HmacSignature": second.adyen_whole(whole)}
    assert bench.judge("adyen", whole, headers, secret=KEY).valid
    assert not bench.judge("adyen", whole + b" ", headers, secret=KEY).valid
    assert not bench.judge("adyen", whole, headers, secret=KEY, options={"form": "payments"}).valid
    assert not bench.judge("adyen", whole, {}, secret=KEY, options={"form": "platform"}).valid
    assert bench.judge("adyen", whole, {}, secret=KEY, options={"form": "payments"}).valid


def test_the_same_items_are_signed_by_the_same_text(bench: Bench) -> None:
    first = bench.judge("adyen", body(ITEM), {}, secret=KEY)
    again = bench.judge("adyen", body({**ITEM, "reason": "another try"}), {}, secret=KEY)
    assert first.signed_digest == again.signed_digest
    assert first.signed_digest != bench.judge("adyen", body(ITEM, ITEM), {}, secret=KEY).signed_digest
