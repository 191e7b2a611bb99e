"""Signing for the hub's own door, where it is pointed at a key made for one request if only the provider has the real.

What is signed so proves nothing to anybody else, and to the door only as long as that one request is judged.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hub.types import Micros
from hub.webhooks import standard
from hub.webhooks.preset import Preset
from hub.webhooks.request import WebhookRequest
from hub.webhooks.scheme import EcdsaScheme, Ed25519Scheme, Scheme, StandardScheme
from hub.webhooks.signers import Signature, Signer
from hub.webhooks.signing import signature


def sign_inside(
    preset: Preset,
    secret: str | None,
    request: WebhookRequest,
    *,
    now: Micros,
    delivery_id: str,
    options: Mapping[str, str],
    signer: Signer,
) -> Signature:
    """Sign as the provider would with what a source holds, its secret or a public key. Raises UsageError."""
    private, public = _pair(preset.rules(options).verify, secret)
    signed = signature(
        preset, private or secret, request, now=now, delivery_id=delivery_id, options=options, signer=signer
    )
    return replace(signed, stand_in=public) if public else signed


def _pair(scheme: Scheme, held: str | None) -> tuple[str, str]:
    """A new private key and what a source would hold of it; nothing where the source's own secret signs."""
    if isinstance(scheme, StandardScheme) and (held or "").startswith(standard.PUBLIC):
        private = standard.new_key()
        return private, standard.public_of(private)
    if isinstance(scheme, Ed25519Scheme):
        key = Ed25519PrivateKey.generate()
        write = bytes.hex if scheme.secret_encoding == "hex" else _base64  # noqa: S105 - an encoding's name
        return write(key.private_bytes_raw()), write(key.public_key().public_bytes_raw())
    if isinstance(scheme, EcdsaScheme):
        curve = generate_private_key(SECP256R1() if scheme.curve == "P-256" else SECP384R1())
        der = curve.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return _base64(der), _base64(curve.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return "", ""


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
