"""Signers of presets whose keys only the provider has: each signs with a key made for the request, which stands in."""

from __future__ import annotations

import base64
import json
from binascii import crc32
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from hub.types import rfc3339
from hub.webhooks.reference import Rejected
from hub.webhooks.signers import Signature

from hub_plugins.webhooks.certificates import HASHES, SNS_URL, sns_signed
from hub_plugins.webhooks.making import (
    KID,
    LIFETIME_S,
    CannotSign,
    Certified,
    Signing,
    key_pair,
    key_set_of,
    token,
    written,
)

_SNS_CERTIFICATE = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-00000000000000000000000000000000.pem"
_PAYPAL_CERTIFICATE = "https://api.paypal.com/v1/notifications/certs/CERT-stand-in"
_PAYPAL_NAME = "messageverificationcerts.paypal.com"


def sign_sns(asked: Signing) -> Signature:
    """Amazon SNS: the message says now, and a topic that the source allows."""
    message = asked.document("message of SNS")
    topics = asked.settings["topics"].split(",")
    stamp = rfc3339(asked.now)
    message |= {
        "TopicArn": message["TopicArn"] if message.get("TopicArn") in topics else topics[0],
        "Timestamp": f"{stamp[:23]}Z",
        "SignatureVersion": asked.settings["signature_version"],
    }
    if not SNS_URL.fullmatch(str(message.get("SigningCertURL"))):
        message["SigningCertURL"] = _SNS_CERTIFICATE
    key = Certified("sns.amazonaws.com", asked.now)
    try:
        signed = sns_signed(message)
    except Rejected as problem:
        raise CannotSign(str(problem)) from None
    raw = key.sign(signed, HASHES[asked.settings["signature_version"]])
    message["Signature"] = base64.b64encode(raw).decode("ascii")
    headers = {"x-amz-sns-message-type": str(message["Type"]), "x-amz-sns-topic-arn": str(message["TopicArn"])}
    return asked.with_body(written(message)).with_headers(headers, key.pem)


def sign_paypal(asked: Signing) -> Signature:
    """PayPal: id, time, webhook id and the CRC-32 of the body."""
    key, stamp = Certified(_PAYPAL_NAME, asked.now), f"{rfc3339(asked.now)[:19]}Z"
    signed = f"{asked.ident}|{stamp}|{asked.key}|{crc32(asked.request.body)}".encode("utf-8", "replace")
    headers = {
        "PAYPAL-TRANSMISSION-ID": asked.ident,
        "PAYPAL-TRANSMISSION-TIME": stamp,
        "PAYPAL-TRANSMISSION-SIG": base64.b64encode(key.sign(signed, SHA256())).decode("ascii"),
        "PAYPAL-CERT-URL": _PAYPAL_CERTIFICATE,
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }
    return asked.with_headers(headers, key.pem)


def sign_plaid(asked: Signing) -> Signature:
    """Plaid: ES256 over the hash of the body."""
    key = key_pair("ES256")
    claims = {"iat": asked.seconds, "request_body_sha256": sha256(asked.request.body).hexdigest()}
    text = token(claims, key, "ES256", kid=KID)
    return asked.with_headers({"Plaid-Verification": text}, json.dumps(key.as_dict(private=False)))


def sign_pubsub(asked: Signing) -> Signature:
    """Google Cloud Pub/Sub: a token for the source's audience and service account."""
    key = key_pair("RS256")
    claims = {
        "iss": "https://accounts.google.com",
        "aud": asked.settings["audience"],
        "email": asked.settings["email"],
        "email_verified": True,
        "sub": "0",
        "iat": asked.seconds,
        "exp": asked.seconds + LIFETIME_S,
    }
    text = token(claims, key, "RS256", kid=KID)
    return asked.with_headers({"Authorization": f"Bearer {text}"}, key_set_of(key, "RS256"))
