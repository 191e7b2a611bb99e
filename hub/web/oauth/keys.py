"""The keys by which this hub proves to others who it is: made from the installation's, they rotate with them."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from hub.crypto import Keyring

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256."""


def signing(keyring: Keyring) -> list[ECKey]:
    """The private keys, the newest first: it signs, the others are still published."""
    return [_key(text) for text in keyring.digests("es256", purpose="signing key")]


def public(keyring: Keyring) -> dict[str, Any]:
    """The public halves as a JSON Web Key Set (RFC 7517)."""
    found = []
    for key in signing(keyring):
        found.append({**key.as_dict(private=False), "use": "sig", "alg": "ES256", "kid": key.thumbprint()})
    return {"keys": found}


def _key(text: str) -> ECKey:
    # 256 bits of a keyed hash; that they are no scalar of the curve has a chance of one in 2^32, so they are folded in.
    scalar = int(text, 16) % (_ORDER - 1) + 1
    return ECKey.import_key(ec.derive_private_key(scalar, ec.SECP256R1()))
