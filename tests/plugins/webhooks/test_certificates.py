"""Amazon SNS and PayPal: certificates that a message points at, strange topics, a checksum that protects nobody."""

from __future__ import annotations

import binascii
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hub.types import SECOND
from hub.webhooks.dedupe import dedupe_keys
from hub.webhooks.request import WebhookRequest, header_pairs
from tests.keyhost import Reply, certificate, pem

from . import second_jose as second
from .keyed import PRESETS, URL, Bench

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
OPTIONS = {"topics": f"arn:aws:sns:eu-west-1:123456789012:other,{TOPIC}"}
CERT = "sns.us-east-1.amazonaws.com/SimpleNotificationService-0000000000000000000000000000000a.pem"
SNS, SNS_KEY = certificate("sns.amazonaws.com", key=second.RSA_KEY)
OTHER, OTHER_KEY = certificate("sns.amazonaws.com")


def stamp(bench: Bench, **drift: float) -> str:
    at = datetime.fromtimestamp(bench.now, UTC) + timedelta(**drift)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def message(bench: Bench, **more: Any) -> dict[str, Any]:
    bench.host.replies.setdefault(CERT, Reply(pem(SNS)))
    said = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": "Grüße\nline",
        "Timestamp": stamp(bench),
        "SignatureVersion": "1",
        "SigningCertURL": f"https://{CERT}",
    }
    return {**said, **more}


def sns(bench: Bench, said: dict[str, Any], **options: str) -> Any:
    headers = {"Content-Type": "text/plain; charset=UTF-8"}
    return bench.judge("aws-sns", json.dumps(said).encode(), headers, options={**OPTIONS, **options})


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("more", [{}, {"Subject": "Order"}], ids=["plain", "subject"])
def test_sns_signs_its_fields(bench: Bench, version: str, more: dict[str, str]) -> None:
    said = second.sns(message(bench, SignatureVersion=version, **more), SNS_KEY)
    verdict = sns(bench, said, signature_version=version)
    assert verdict.valid, verdict.reason
    assert verdict.timestamp_checked
    assert not sns(bench, said, signature_version={"1": "2", "2": "1"}[version]).valid
    for name in ("Message", "MessageId", "Timestamp"):
        assert not sns(bench, {**said, name: stamp(bench, seconds=-9)}, signature_version=version).valid
    assert not sns(bench, {**said, "Subject": "Other"}, signature_version=version).valid
    assert not sns(bench, {**said, "Type": "UnsubscribeConfirmation"}, signature_version=version).valid
    assert bench.look_ups == 1


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_sns_signs_the_address_of_a_confirmation(bench: Bench, kind: str) -> None:
    more = {"Type": kind, "Token": "t", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=x"}
    said = second.sns(message(bench, **more), SNS_KEY)
    assert sns(bench, said).valid
    assert not sns(bench, {**said, "SubscribeURL": "https://evil.example/"}).valid
    assert not sns(bench, {**said, "Token": "u"}).valid
    assert bench.host.seen == [("GET", CERT)], "nothing is confirmed at the door"


def test_a_strangers_topic_is_refused_before_anything_is_fetched(bench: Bench) -> None:
    for topic in ("arn:aws:sns:us-east-1:999999999999:orders", f"{TOPIC}x", TOPIC.upper(), "", None, [TOPIC], 7):
        verdict = sns(bench, second.sns(message(bench, TopicArn=topic), SNS_KEY))
        assert (verdict.valid, verdict.retry_after) == (False, 0)
    assert bench.host.resolved == []


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.us-east-1.amazonaws.com.evil.tld/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com.evil.tld/x.pem",
        "https://sns.us-east-1.amazonaws.com@evil/x.pem",
        "https://sns.us-east-1.amazonaws.com@evil/SimpleNotificationService-a.pem",
        "https://s3.amazonaws.com/bucket/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com.s3.amazonaws.com/SimpleNotificationService-a.pem",
        "https://bucket.s3.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com:8443/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com:443/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com./SimpleNotificationService-a.pem",
        "https://evil.tld/?sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://evil.tld/SimpleNotificationService-a.pem#sns.us-east-1.amazonaws.com",
        "https://evil.tld\\@sns.us-east-1.amazonaws.com/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com/other/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com/?/SimpleNotificationService-a.pem",
        "https://sns.us-east-1.amazonaws.com/x.pem",
        "https://sns..amazonaws.com/SimpleNotificationService-a.pem",
        "https://127.0.0.1/SimpleNotificationService-a.pem",
        "file:///SimpleNotificationService-a.pem",
        "",
    ],
)
def test_a_certificate_from_anywhere_else_is_not_even_fetched(bench: Bench, url: str) -> None:
    verdict = sns(bench, second.sns(message(bench, SigningCertURL=url), SNS_KEY))
    assert (verdict.valid, verdict.retry_after) == (False, 0)
    assert bench.host.resolved == []


def test_another_certificate_of_the_right_host_does_not_vouch(bench: Bench) -> None:
    said = second.sns(message(bench), OTHER_KEY)
    assert not sns(bench, said).valid


def test_an_expired_certificate_does_not_vouch(bench: Bench) -> None:
    expired, key = certificate("sns.amazonaws.com", key=second.RSA_KEY, days=-2)
    bench.host.replies[CERT] = Reply(pem(expired))
    verdict = sns(bench, second.sns(message(bench), key))
    assert "not valid at this time" in verdict.reason


@pytest.mark.parametrize(("drift", "valid"), [(-7_100, True), (-7_300, False), (7_300, False)])
def test_sns_has_a_window(bench: Bench, drift: int, valid: bool) -> None:
    said = second.sns(message(bench, Timestamp=stamp(bench, seconds=drift)), SNS_KEY)
    assert sns(bench, said).valid is valid


@pytest.mark.parametrize("reply", [Reply(b"", 404), Reply(b"no certificate"), Reply(b"", 503)], ids=str)
def test_a_certificate_that_cannot_be_had_makes_sns_send_again(bench: Bench, reply: Reply) -> None:
    bench.host.replies[CERT] = reply
    said = second.sns(message(bench), SNS_KEY)
    assert sns(bench, said).retry_after
    assert sns(bench, said).retry_after
    assert bench.look_ups == 1


def test_made_up_certificates_are_looked_for_only_so_often(bench: Bench) -> None:
    for index in range(100):
        url = f"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-{index}.pem"
        assert sns(bench, second.sns(message(bench, SigningCertURL=url), SNS_KEY)).retry_after
    assert bench.look_ups == 20


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"Type":"Notification"}', b"\xff", b'{"TopicArn":1}'])
def test_what_is_no_message_is_refused(bench: Bench, body: bytes) -> None:
    assert not bench.judge("aws-sns", body, {}, options=OPTIONS).valid


WEBHOOK = "1JE4291016473214C"
PAYPAL_CERT = "api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270"
BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":{"amount":{"value":"30.00"}}}'
ROOT = certificate("a CA")
LEAF, LEAF_KEY = certificate("messageverificationcerts.paypal.com", issuer=ROOT, names=("paypal.com",))


def paypal(bench: Bench, body: bytes = BODY, ident: str = "t-1", **drift: float) -> dict[str, str]:
    bench.host.replies.setdefault(PAYPAL_CERT, Reply(pem(LEAF) + pem(ROOT[0])))
    return second.paypal(body, LEAF_KEY, WEBHOOK, ident, stamp(bench, **drift))


def test_paypal_signs_id_time_webhook_and_checksum(bench: Bench) -> None:
    headers = paypal(bench)
    verdict = bench.judge("paypal", BODY, headers, secret=WEBHOOK)
    assert verdict.valid, verdict.reason
    assert verdict.secret_id == "one"
    assert not bench.judge("paypal", BODY + b" ", headers, secret=WEBHOOK).valid
    assert not bench.judge("paypal", BODY, headers, secret="another").valid
    for name, value in (
        ("PAYPAL-TRANSMISSION-ID", "t-2"),
        ("PAYPAL-TRANSMISSION-ID", "t-1|x"),
        ("PAYPAL-TRANSMISSION-TIME", stamp(bench, seconds=1)),
        ("PAYPAL-TRANSMISSION-TIME", "yesterday"),
        ("PAYPAL-TRANSMISSION-SIG", "AAAA"),
        ("PAYPAL-TRANSMISSION-SIG", "no base64"),
        ("PAYPAL-AUTH-ALGO", "SHA1withRSA"),
        ("PAYPAL-AUTH-ALGO", ""),
    ):
        assert not bench.judge("paypal", BODY, {**headers, name: value}, secret=WEBHOOK).valid
    assert not bench.judge("paypal", BODY, paypal(bench, days=-5), secret=WEBHOOK).valid


@pytest.mark.parametrize(
    "url",
    [
        "https://api.paypal.com.evil.tld/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@evil.tld/v1/notifications/certs/CERT-1",
        "https://evilpaypal.com/v1/notifications/certs/CERT-1",
        "https://paypal.com.evil/v1/notifications/certs/CERT-1",
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com./v1/notifications/certs/CERT-1",
        "https://www.paypal.com/paypalme/CERT-1",
        "https://evil.tld/?.paypal.com/v1/notifications/certs/CERT-1",
    ],
)
def test_a_certificate_from_another_host_than_paypals_is_not_even_fetched(bench: Bench, url: str) -> None:
    verdict = bench.judge("paypal", BODY, {**paypal(bench), "PAYPAL-CERT-URL": url}, secret=WEBHOOK)
    assert (verdict.valid, verdict.retry_after) == (False, 0)
    assert bench.host.resolved == []


def test_paypals_certificate_must_be_paypals_and_its_chain_must_hold(bench: Bench) -> None:
    stranger, key = certificate("messageverificationcerts.paypal.com.evil.tld", issuer=ROOT, names=("x",))
    for chain, signer in (
        (pem(stranger) + pem(ROOT[0]), key),
        (pem(LEAF) + pem(OTHER), LEAF_KEY),
        (pem(LEAF) + pem(certificate("a CA")[0]), LEAF_KEY),
    ):
        bench.host.replies[PAYPAL_CERT], bench.clock = Reply(chain), bench.clock + 4_000
        headers = second.paypal(BODY, signer, WEBHOOK, "t-1", stamp(bench))
        assert not bench.judge("paypal", BODY, headers, secret=WEBHOOK).valid


def test_another_body_with_the_same_checksum_is_a_duplicate(bench: Bench) -> None:
    forged = second.with_crc(b'{"id":"WH-2","amount":"9999.00","pad":"', b'"}', binascii.crc32(BODY))
    assert json.loads(forged)["amount"] == "9999.00"
    assert binascii.crc32(forged) == binascii.crc32(BODY)
    headers, preset = paypal(bench), PRESETS.get("paypal")
    keys = []
    for body in (BODY, forged):
        verdict = bench.judge("paypal", body, headers, secret=WEBHOOK)
        assert verdict.valid, "the checksum does not protect the body"
        request = WebhookRequest("POST", URL, header_pairs(headers), body)
        keys.append(set(dedupe_keys(preset, request, verdict)))
    assert len(keys[0] & keys[1]) == 2, "the transmission's id and the signed text are the same"


def test_a_transmission_is_remembered_for_longer_than_it_is_taken() -> None:
    from hub_plugins.webhooks import certificates

    assert PRESETS.get("paypal").rules().dedupe.window >= 2 * certificates.PAYPAL_WINDOW_S
    assert PRESETS.get("aws-sns").rules(OPTIONS).dedupe.window >= 2 * certificates.SNS_WINDOW_S
    assert certificates.SNS_WINDOW_S * SECOND > 0
