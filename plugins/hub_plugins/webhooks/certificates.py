"""Messages signed with RSA by a certificate that the message points at: Amazon SNS and PayPal."""

from __future__ import annotations

import re
from binascii import crc32
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import Certificate, load_pem_x509_certificates
from cryptography.x509.oid import NameOID
from hub.types import SECOND, Json
from hub.webhooks.body import BodyError
from hub.webhooks.reference import Rejected
from hub.webhooks.secrets import from_base64
from hub.webhooks.timestamp import read_timestamp
from hub.webhooks.verify import Verdict

from hub_plugins.webhooks.asked import Asked

SNS_HOSTS = re.compile(r"sns\.[a-z0-9-]{3,}\.amazonaws\.com(\.cn)?")
SNS_WINDOW_S = 7_200
"""SNS tries for an hour at most; the time is the one of the first try."""
PAYPAL_HOSTS = re.compile(r"([a-z0-9-]+\.)+paypal\.com")
PAYPAL_WINDOW_S = 345_600
"""PayPal tries for three days, with the first try's time and signature."""
SNS_URL = re.compile(r"https://[^/?#\\]+/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
_PAYPAL_URL = re.compile(r"https://[^/?#\\]+/v1/notifications/certs/[A-Za-z0-9-]{1,100}")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SUBSCRIPTION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_FIELDS = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _SUBSCRIPTION,
    "UnsubscribeConfirmation": _SUBSCRIPTION,
}
HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 - SNS has nothing else in version 1
_MAX_CHAIN = 8


def verify_sns(asked: Asked) -> Verdict:
    """Amazon SNS: a message of an allowed topic, signed with the certificate at its SigningCertURL."""
    try:
        message = asked.request.json
    except BodyError as error:
        raise Rejected(f"the message cannot be read: {error.detail}") from None
    if not isinstance(message, dict):
        raise Rejected("the message is no JSON object")
    # Anybody can have SNS sign for a topic of his own: this comes first, and before anything is fetched.
    if _field(message, "TopicArn") not in asked.listed("topics"):
        raise Rejected("the message is of a topic that is not allowed")
    version = _field(message, "SignatureVersion")
    if version != asked.settings["signature_version"]:
        raise Rejected(f"the message is signed by version {version[:10]!r}, this source takes another")
    signed = sns_signed(message)
    certificates = _fetched(asked, _field(message, "SigningCertURL"), SNS_HOSTS, SNS_URL)
    _check(asked, certificates[0], _field(message, "Signature"), signed, HASHES[version])
    at = read_timestamp(_field(message, "Timestamp"), "rfc3339")
    return asked.proved(None, signed, at, SNS_WINDOW_S)


def sns_signed(message: Mapping[str, Json]) -> bytes:
    """The text that SNS signs: names and values of its type's fields, each on a line. Raises Rejected."""
    fields = _FIELDS.get(_field(message, "Type"))
    if fields is None:
        raise Rejected("the message is of an unknown type")
    lines = [f"{name}\n{_field(message, name)}\n" for name in fields if name != "Subject" or message.get(name)]
    return "".join(lines).encode("utf-8", "replace")


def verify_paypal(asked: Asked) -> Verdict:
    """PayPal: id, time, webhook id and the CRC-32 of the body, signed with the certificate at PAYPAL-CERT-URL."""
    if asked.header("PAYPAL-AUTH-ALGO") != "SHA256withRSA":
        raise Rejected("the signature is of another algorithm than SHA256withRSA")
    ident, stamp = asked.header("PAYPAL-TRANSMISSION-ID"), asked.header("PAYPAL-TRANSMISSION-TIME")
    if "|" in ident or "|" in stamp:
        raise Rejected("a bar in the transmission's id or time would shift what is signed")
    at = read_timestamp(stamp, "rfc3339")
    certificates = _fetched(asked, asked.header("PAYPAL-CERT-URL"), PAYPAL_HOSTS, _PAYPAL_URL)
    _check_chain(asked, certificates)
    signature = asked.header("PAYPAL-TRANSMISSION-SIG")
    for key in asked.usable():
        webhook = key.value.decode("utf-8", "replace")
        signed = f"{ident}|{stamp}|{webhook}|{crc32(asked.request.body)}".encode("utf-8", "replace")
        if _holds(certificates[0], signature, signed, SHA256()):
            return asked.proved(key.id, signed, at, PAYPAL_WINDOW_S)
    raise Rejected("the signature does not match")


def parse_certificates(pem: bytes) -> tuple[Certificate, ...]:
    """Read the certificates of a file, the signing one first. Raises ValueError."""
    found = tuple(load_pem_x509_certificates(pem))
    if not 1 <= len(found) <= _MAX_CHAIN or not isinstance(found[0].public_key(), RSAPublicKey):
        raise ValueError("it holds no RSA certificate, or too many")
    return found


def _fetched(asked: Asked, url: str, hosts: re.Pattern[str], form: re.Pattern[str]) -> tuple[Certificate, ...]:
    if not form.fullmatch(url):
        raise Rejected("the address of the certificate is not one of the provider's")
    return asked.documents.fetch(url, hosts, asked.source, parse_certificates)


def _check(asked: Asked, certificate: Certificate, signature: str, signed: bytes, hash: HashAlgorithm) -> None:
    _check_dates(asked, certificate)
    if not _holds(certificate, signature, signed, hash):
        raise Rejected("the signature does not match")


def _holds(certificate: Certificate, signature: str, signed: bytes, hash: HashAlgorithm) -> bool:
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(from_base64(signature), signed, PKCS1v15(), hash)
    except (InvalidSignature, ValueError):
        return False
    return True


def _check_dates(asked: Asked, certificate: Certificate) -> None:
    if asked.now is None:
        return
    now = datetime.fromtimestamp(asked.now / SECOND, UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise Rejected("the certificate is not valid at this time")


def _check_chain(asked: Asked, certificates: Sequence[Certificate]) -> None:
    """The certificate must be PayPal's by name, and whatever came with it must have issued it, one after the other.

    That it came from PayPal is proved by the TLS connection it was fetched over.
    """
    names = certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value).lower() if len(names) == 1 else ""
    if not PAYPAL_HOSTS.fullmatch(name):
        raise Rejected("the certificate is not of PayPal")
    for certificate in certificates:
        _check_dates(asked, certificate)
    for issued, issuer in pairwise(certificates):
        try:
            issued.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError):
            raise Rejected("the certificate's chain does not hold") from None


def _field(message: Mapping[str, Json], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise Rejected(f"the message has no {name}")
    return value
