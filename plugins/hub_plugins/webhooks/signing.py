"""The signers of this plugin's presets by name, each the mirror of its verifier."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeAlias, cast
from urllib.parse import quote, urlsplit, urlunsplit

from cryptography import x509
from hub.types import Micros
from hub.webhooks.reference import Rejected, walk
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import decode_plain
from hub.webhooks.signers import Signature, Unsignable

from hub_plugins.webhooks.adyen import adyen_signed
from hub_plugins.webhooks.jose import Algorithm, private_key, public_text, symmetric
from hub_plugins.webhooks.making import LIFETIME_S, CannotSign, Certified, Signing, key_pair, key_set_of, token, written
from hub_plugins.webhooks.standing import sign_paypal, sign_plaid, sign_pubsub, sign_sns
from hub_plugins.webhooks.tokens import canonical_request

Sign: TypeAlias = Callable[[Signing], Signature]
"""Signs a request; raises CannotSign, or Rejected for one that its own verifier could not read."""


def sign(
    name: str, request: WebhookRequest, secret: str | None, settings: Mapping[str, str], now: Micros, ident: str
) -> Signature | Unsignable | None:
    """Sign by the signer of a name; None if there is none. Never raises for what it is given."""
    signer = SIGNERS.get(name)
    if signer is None:
        return None
    try:
        return signer(Signing(request, secret, settings, now, ident))
    except CannotSign as problem:
        return Unsignable(problem.reason, problem.hint)
    except (Rejected, ValueError) as problem:
        return Unsignable(str(problem))


def sign_adyen(asked: Signing) -> Signature:
    """Adyen: each item of a payment notification, or the whole body of the platform."""
    key, _ = decode_plain("hex")(asked.key)
    document = asked.document("notification of Adyen")
    items = document.get("notificationItems")
    if asked.settings["form"] == "platform" or not isinstance(items, list):
        return asked.with_headers({"HmacSignature": _base64_mac(key, asked.request.body)})
    for item in items:
        payment = walk(item, "NotificationRequestItem")
        if not isinstance(payment, dict):
            raise CannotSign("an item has no NotificationRequestItem")
        more = payment.get("additionalData")
        payment["additionalData"] = {
            **(more if isinstance(more, dict) else {}), "hmacSignature": _base64_mac(key, adyen_signed(payment)),
        }  # fmt: skip
    return Signature(asked.with_body(written(document)).request)


def sign_netlify(asked: Signing) -> Signature:
    """Netlify: HS256 over the hash of the body."""
    claims = {"iss": "netlify", "sha256": sha256(asked.request.body).hexdigest()}
    return asked.with_headers({"X-Webhook-Signature": token(claims, _shared(asked.key), "HS256")})


def sign_connect(asked: Signing) -> Signature:
    """Atlassian Connect: HS256 over method, path and query. An address outside of the app's base is moved into it."""
    base = asked.settings.get("base_path", "").rstrip("/")
    parts = urlsplit(asked.request.url)
    if base and not (parts.path == base or parts.path.startswith(base + "/")):
        url = urlunsplit(parts._replace(path=base))
        asked = replace(asked, request=replace(asked.request, url=url))
    claims = {
        "iss": asked.settings.get("client_key") or "hub",
        "iat": asked.seconds,
        "exp": asked.seconds + LIFETIME_S,
        "qsh": sha256(canonical_request(asked.request, asked.settings)).hexdigest(),
    }
    return asked.with_headers({"Authorization": f"JWT {token(claims, _shared(asked.key), 'HS256')}"})


def sign_jwt(asked: Signing) -> Signature:
    """A token as the source wants it: with its secret (HS256), a private key that is given, or one that stands in."""
    settings, algorithm = asked.settings, cast("Algorithm", asked.settings["algorithm"])
    claims: dict[str, Any] = {"iat": asked.seconds, "exp": asked.seconds + LIFETIME_S, "jti": asked.ident}
    claims |= {"iss": settings["issuer"]} if settings.get("issuer") else {}
    claims |= {"aud": settings["audience"]} if settings.get("audience") else {}
    if settings.get("body_claim"):
        claims[settings["body_claim"]] = sha256(asked.request.body).hexdigest()
    text, stand_in = _token(asked, claims, algorithm)
    return asked.with_headers({settings["header"]: settings.get("prefix", "") + text}, stand_in)


def _token(asked: Signing, claims: Mapping[str, Any], algorithm: Algorithm) -> tuple[str, str | None]:
    if algorithm == "HS256":
        return token(claims, _shared(asked.key), algorithm), None
    own = private_key(asked.secret or "", algorithm)
    if own is not None:
        return token(claims, own, algorithm), None
    key = key_pair(algorithm)
    published = bool(asked.settings.get("keys_url"))
    stand_in = key_set_of(key, algorithm) if published else public_text(key)
    return token(claims, key, algorithm, kid=str(key.kid) if published else None), stand_in


def sign_mtls(asked: Signing) -> Signature:
    """Client certificates: what the trusted proxy would say of one that is allowed."""
    settings = asked.settings
    headers = {settings["proxy_header"]: asked.key, settings["verified_header"]: settings["verified_value"]}
    fingerprint, subject = asked.first("fingerprints"), asked.first("subjects", ";")
    if not (fingerprint or subject):
        raise CannotSign("no certificate is allowed", "Set the option fingerprints or subjects.")
    if not settings.get("certificate_header"):
        shown = {"fingerprint_header": fingerprint, "subject_header": subject}
        return asked.with_headers(headers | {settings[name]: text for name, text in shown.items() if text})
    if fingerprint:
        raise CannotSign("its certificate is allowed by its fingerprint, and only the sender has it")
    made = Certified(x509.Name.from_rfc4514_string(subject), asked.now)
    return asked.with_headers(headers | {settings["certificate_header"]: quote(made.pem)})


def _shared(secret: str) -> Any:
    key = symmetric(secret.encode("utf-8", "surrogatepass"))
    if key is None:
        raise CannotSign("the source's secret is no shared secret")
    return key


def _base64_mac(key: bytes, text: bytes) -> str:
    return base64.b64encode(hmac.digest(key, text, sha256)).decode("ascii")


SIGNERS: Mapping[str, Sign] = {
    "adyen": sign_adyen,
    "atlassian-connect": sign_connect,
    "aws-sns": sign_sns,
    "google-pubsub": sign_pubsub,
    "jwt": sign_jwt,
    "mtls": sign_mtls,
    "netlify": sign_netlify,
    "paypal": sign_paypal,
    "plaid": sign_plaid,
}
