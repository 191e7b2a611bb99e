"""Faults that were found in other receivers, each of them a test here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hub.errors import ExpressionError
from hub.runtime.expressions import VARIABLES, apply_mapping, cel_input, compile_expression
from hub.types import SECOND
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest, header_pairs
from hub.webhooks.secrets import SecretValue
from hub.webhooks.verify import Verdict, verify

from hub_plugins.webhooks.plugin import hub_presets

PRESETS = Presets.load(hub_presets())
NOW = 1_795_166_130
SECRET = "a-secret-of-this-test"
BODY = b'{"type":"a","id":"1"}'


def mac(message: bytes, hash_: str = "sha256") -> bytes:
    return hmac.new(SECRET.encode(), message, hash_).digest()


def judge(preset: str, body: bytes, options: dict[str, str] | None = None, **headers: str) -> Verdict:
    pairs = header_pairs({name.replace("_", "-"): value for name, value in headers.items()})
    request = WebhookRequest("POST", "https://hub.example/in/x", pairs, body)
    return verify(PRESETS.get(preset), request, [SecretValue("s", SECRET)], now=NOW * SECOND, options=options)


def seen(body: object) -> dict[str, object]:
    """What expressions see of a request with that body."""
    known: dict[str, object] = {name: {} for name in VARIABLES}
    return {name: cel_input(value) for name, value in {**known, "body": body, "source": "", "now": NOW}.items()}


def test_convoy_a_filter_key_that_the_payload_lacks_is_no_match_but_an_error() -> None:
    filter_ = compile_expression("body.a == 1 && body.b == 2")
    assert filter_.matches(seen({"a": 1, "b": 2}))
    with pytest.raises(ExpressionError, match="b"):
        filter_.matches(seen({"a": 1}))


def test_argo_a_filter_that_fails_does_not_count_as_false() -> None:
    for text in ("body.n > 1", "body.a[3] == 1", "body.missing.deep == 1"):
        with pytest.raises(ExpressionError):
            compile_expression(text).matches(seen({"n": "text", "a": [1]}))


def test_prefect_a_sender_cannot_add_keys_to_what_is_made_of_its_payload() -> None:
    sly = '", "admin": true, "x": "'
    made = apply_mapping({"name": "=body.name", "text": "by ${body.name}"}, seen({"name": sly}))
    assert made == {"name": sly, "text": f"by {sly}"}


@pytest.mark.parametrize("stamp", [f"{NOW}abc", f" {NOW}", f"{NOW}.0", f"{NOW}000", f"+{NOW}", f"{NOW}\u0660"])
def test_n8n_a_time_is_digits_of_one_unit(stamp: str) -> None:
    signature = f"t={stamp},v1={mac(f'{stamp}.'.encode() + BODY).hex()}"
    assert not judge("stripe", BODY, Stripe_Signature=signature).valid
    right = f"t={NOW},v1={mac(f'{NOW}.'.encode() + BODY).hex()}"
    assert judge("stripe", BODY, Stripe_Signature=right).valid


def test_n8n_a_source_without_a_secret_lets_nothing_pass() -> None:
    request = WebhookRequest("POST", "", header_pairs({"X-Hub-Signature-256": "sha256=" + "0" * 64}), BODY)
    assert not verify(PRESETS.get("github"), request, [], now=NOW * SECOND).valid
    assert not verify(PRESETS.get("github"), WebhookRequest("POST", "", (), BODY), [], now=NOW * SECOND).valid


def test_tern_vercel_signs_with_sha1() -> None:
    assert judge("vercel", BODY, x_vercel_signature=mac(BODY, "sha1").hex()).valid
    assert not judge("vercel", BODY, x_vercel_signature=mac(BODY).hex()).valid


def test_tern_grafana_signs_its_time_with_a_colon() -> None:
    header = {"X_Grafana_Alerting_Signature": mac(f"{NOW}:".encode() + BODY).hex()}
    options = {"scheme": "time", "timestamp_header": "X-Grafana-Time"}
    assert judge("grafana", BODY, options, X_Grafana_Time=str(NOW), **header).valid
    assert not judge("grafana", BODY, options, X_Grafana_Time=str(NOW - 1), **header).valid


def test_zendesk_signs_the_time_before_the_body() -> None:
    stamp = "2026-11-20T09:15:30Z"
    for message, valid in ((stamp.encode() + BODY, True), (BODY + stamp.encode(), False)):
        signature = base64.b64encode(mac(message)).decode()
        headers = {"X_Zendesk_Webhook_Signature": signature, "X_Zendesk_Webhook_Signature_Timestamp": stamp}
        assert judge("zendesk", BODY, None, **headers).valid is valid


def test_adnanh_bitbucket_s_signature_is_no_sha1() -> None:
    assert judge("bitbucket-cloud", BODY, X_Hub_Signature=f"sha256={mac(BODY).hex()}").valid
    assert not judge("bitbucket-cloud", BODY, X_Hub_Signature=f"sha1={mac(BODY, 'sha1').hex()}").valid


@pytest.mark.parametrize(("in_body", "valid"), [(NOW, True), (NOW - 3600, False), (None, False)])
def test_linear_s_unsigned_time_makes_nothing_fresh(in_body: int | None, valid: bool) -> None:
    time = {} if in_body is None else {"webhookTimestamp": in_body * 1000}
    said = {"type": "Issue", "action": "create", **time}
    body = json.dumps(said).encode()
    signature = mac(body).hex()
    assert judge("linear", body, Linear_Signature=signature, Linear_Timestamp=str(NOW * 1000)).valid is valid


def test_kestra_a_multipart_body_is_verified_as_it_was_sent() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n\x00\xff\r\n--b--\r\n'
    headers = {"Content_Type": "multipart/form-data; boundary=b", "X_Signature": mac(body).hex()}
    assert judge("generic-hmac", body, {"header": "X-Signature", "prefix": ""}, **headers).valid


def test_a_hash_of_the_secret_and_the_body_is_no_signature_unless_the_owner_says_so() -> None:
    """HubSpot's first versions: whoever has one can lengthen it."""
    digest = hashlib.sha256(SECRET.encode() + BODY).hexdigest()
    assert not judge("hubspot", BODY, X_HubSpot_Signature=digest, X_HubSpot_Signature_Version="v1").valid
