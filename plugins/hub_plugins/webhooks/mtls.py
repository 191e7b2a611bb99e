"""Client certificates: the reverse proxy verifies them, proves itself by the source's secret and passes what it saw.

Whoever reaches the hub past the proxy does not know the secret; whoever comes through it cannot set these headers,
because the proxy overwrites them.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode
from binascii import Error as BadBase64
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate
from hub.webhooks.reference import Rejected, text_bytes
from hub.webhooks.verify import Verdict

from hub_plugins.webhooks.asked import Asked

_HEX = re.compile(r"[0-9a-f]{64}\Z")


def verify_mtls(asked: Asked) -> Verdict:
    """A certificate that the proxy has verified and that is on the source's lists. Fails closed without a proxy."""
    if not asked.proxies:
        raise Rejected("no reverse proxy is trusted (HUB_WEB_TRUSTED_PROXIES): nobody can vouch for a certificate")
    secret_id = _proxy(asked)
    if asked.header(asked.settings["verified_header"]) != asked.settings["verified_value"]:
        raise Rejected("the proxy has not verified a client certificate")
    prints = {_print(text) for text in asked.listed("fingerprints")}
    if "" in prints:
        raise Rejected("an allowed fingerprint is not SHA-256 in hex: every certificate is refused")
    subjects = set(asked.listed("subjects", ";"))
    if not (prints or subjects):
        raise Rejected("neither fingerprints nor subjects are allowed: every certificate is refused")
    fingerprint, subject = _facts(asked)
    if prints and fingerprint not in prints:
        raise Rejected("the certificate's fingerprint is not allowed")
    if subjects and subject not in subjects:
        raise Rejected("the certificate's subject is not allowed")
    return Verdict(True, "", secret_id)


def _proxy(asked: Asked) -> str:
    sent, found = text_bytes(asked.header(asked.settings["proxy_header"])), ""
    for key in asked.usable():
        if hmac.compare_digest(key.value, sent) and not found:
            found = key.id
    if not found:
        raise Rejected("the proxy's secret does not match")
    return found


def _facts(asked: Asked) -> tuple[str, str]:
    """SHA-256 fingerprint and subject of the certificate, empty where the proxy does not tell."""
    name = asked.settings.get("certificate_header", "")
    if name:
        certificate = _certificate(asked.header(name))
        return certificate.fingerprint(SHA256()).hex(), certificate.subject.rfc4514_string()
    texts = []
    for setting in ("fingerprint_header", "subject_header"):
        name = asked.settings[setting]
        texts.append(asked.header(name) if asked.request.all(name) else "")
    return _print(texts[0]), texts[1]


def _certificate(text: str) -> Certificate:
    """Read a certificate as proxies pass it: RFC 9440 (`:base64:`), or PEM with percent escapes."""
    try:
        if text.startswith(":") and text.endswith(":"):
            return load_der_x509_certificate(b64decode(text[1:-1], validate=True))
        return load_pem_x509_certificate(unquote_to_bytes(text))
    except (ValueError, BadBase64):
        raise Rejected("the certificate that the proxy passes cannot be read") from None


def _print(text: str) -> str:
    """A fingerprint without colons, in lower case; "" if it is not SHA-256, so that it matches nothing."""
    bare = text.replace(":", "").lower()
    return bare if _HEX.match(bare) else ""
