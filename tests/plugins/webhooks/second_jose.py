"""A second implementation of senders with tokens and certificates, after their manuals; nothing of the hub's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def der64(key: Any) -> str:
    """A public key as its owner would paste it."""
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def public_pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def token(claims: Any, key: Any, alg: str, **header: Any) -> str:
    """RFC 7515 by hand: `key` is bytes for HS256, a private key for RS256 and ES256, anything for none."""
    head = url64(json.dumps({"typ": "JWT", "alg": alg, **header}).encode())
    text = f"{head}.{url64(claims if isinstance(claims, bytes) else json.dumps(claims).encode())}"
    return f"{text}.{url64(_signature(text.encode(), key, alg))}"


def _signature(message: bytes, key: Any, alg: str) -> bytes:
    if alg == "HS256":
        return hmac.new(key, message, hashlib.sha256).digest()
    if alg == "RS256":
        return bytes(key.sign(message, padding.PKCS1v15(), SHA256()))
    if alg == "ES256":
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return bytes(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return b""


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """RFC 7517: the public half."""
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
        return {"kty": "RSA", "n": url64(n), "e": "AQAB", "kid": kid, "use": "sig", "alg": "RS256", **more}
    x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
    return {"kty": "EC", "crv": "P-256", "x": url64(x), "y": url64(y), "kid": kid, "use": "sig", "alg": "ES256", **more}


def keys(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(entries)}).encode()


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sns(message: dict[str, Any], key: Any) -> dict[str, Any]:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html."""
    if message["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    chosen = SHA1() if message["SignatureVersion"] == "1" else SHA256()
    return {**message, "Signature": base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), chosen)).decode()}


def paypal(body: bytes, key: Any, webhook: str, ident: str, stamp: str) -> dict[str, str]:
    """https://developer.paypal.com/api/rest/webhooks/rest/: id, time, webhook id and the CRC-32 in decimal."""
    text = f"{ident}|{stamp}|{webhook}|{binascii.crc32(body)}"
    return {
        "PAYPAL-TRANSMISSION-ID": ident,
        "PAYPAL-TRANSMISSION-TIME": stamp,
        "PAYPAL-TRANSMISSION-SIG": base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), SHA256())).decode(),
        "PAYPAL-CERT-URL": "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270",
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }


def with_crc(before: bytes, after: bytes, wanted: int) -> bytes:
    """Two parts with letters between them that make the CRC-32 what is wanted: the checksum runs backwards, too."""
    table = [_shifted(byte) for byte in range(256)]
    by_top = {value >> 24: index for index, value in enumerate(table)}
    target = wanted ^ 0xFFFFFFFF
    for byte in reversed(after):
        index = by_top[target >> 24]
        target = ((target ^ table[index]) << 8) & 0xFFFFFFFF | (index ^ byte)
    for count in range(10_000):
        padded = before + b"%d" % count
        letters = _between(binascii.crc32(padded) ^ 0xFFFFFFFF, target, table, by_top)
        if letters.isalnum():
            return padded + letters + after
    raise AssertionError("no letters found")


def _shifted(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xEDB88320 if value & 1 else 0)
    return value


def _between(state: int, target: int, table: list[int], by_top: dict[int, int]) -> bytes:
    """The four bytes that lead from one state of the checksum to another."""
    indexes = []
    for _ in range(4):
        index = by_top[target >> 24]
        target = ((target ^ table[index]) << 8) & 0xFFFFFFFF
        indexes.append(index)
    found = []
    for index in reversed(indexes):
        found.append((state ^ index) & 0xFF)
        state = (state >> 8) ^ table[index]
    return bytes(found)


def qsh(method: str, path: str, pairs: list[tuple[str, str]]) -> str:
    """https://developer.atlassian.com/cloud/bitbucket/query-string-hash: method & path & sorted, escaped query."""
    by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        by_name.setdefault(quote(name, safe="~"), []).append(quote(value, safe="~"))
    query = "&".join(f"{name}={','.join(sorted(by_name[name]))}" for name in sorted(by_name))
    return hashlib.sha256(f"{method}&{path}&{query}".encode()).hexdigest()


def adyen(item: dict[str, Any], key: str = ADYEN_KEY) -> str:
    """https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures/."""
    amount = item.get("amount", {})
    values = [
        item.get("pspReference", ""),
        item.get("originalReference", ""),
        item.get("merchantAccountCode", ""),
        item.get("merchantReference", ""),
        str(amount.get("value", "")),
        amount.get("currency", ""),
        item.get("eventCode", ""),
        item.get("success", ""),
    ]
    return adyen_whole(":".join(values).encode(), key)


def adyen_whole(body: bytes, key: str = ADYEN_KEY) -> str:
    return base64.b64encode(hmac.new(bytes.fromhex(key), body, hashlib.sha256).digest()).decode()
