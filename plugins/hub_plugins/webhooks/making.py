"""What signers share: what they are asked, tokens, and certificates and keys that stand in for those of providers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hub.types import SECOND, Json, Micros
from hub.webhooks.placing import with_header
from hub.webhooks.request import WebhookRequest
from hub.webhooks.signers import Signature
from joserfc.jwk import ECKey, RSAKey
from joserfc.jws import serialize_compact

from hub_plugins.webhooks.jose import Algorithm, JwsKey

KID = "stand-in"
LIFETIME_S = 180
_RSA_BITS = 2_048
_DAY = datetime.timedelta(days=1)


class CannotSign(Exception):
    """Why a request cannot be signed here: the end of a sentence, and what to do instead."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


@dataclass(frozen=True, slots=True)
class Signing:
    """A request that is to be signed. `secret` is None where the source has none."""

    request: WebhookRequest
    secret: str | None = field(repr=False)
    settings: Mapping[str, str]
    now: Micros
    ident: str

    @property
    def seconds(self) -> int:
        """The time in Unix seconds."""
        return self.now // SECOND

    @property
    def key(self) -> str:
        """The source's secret. Raises CannotSign when there is none."""
        if not self.secret:
            raise CannotSign("the source has no secret")
        return self.secret

    def first(self, name: str, separator: str = ",") -> str:
        """The first item of a setting that is a list; "" if there is none."""
        items = (item.strip() for item in self.settings.get(name, "").split(separator))
        return next(filter(None, items), "")

    def document(self, what: str) -> dict[str, Any]:
        """The body, an object that may be changed. Raises CannotSign."""
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise CannotSign(f"its body is no {what}, which is a JSON object")
        return found

    def with_body(self, body: bytes) -> Signing:
        """The same with another body."""
        return replace(self, request=replace(self.request, body=body))

    def with_headers(self, headers: Mapping[str, str], stand_in: str | None = None) -> Signature:
        """The request with these headers."""
        request = self.request
        for name, value in headers.items():
            request = with_header(request, name, value)
        return Signature(request, stand_in)


def written(document: Json) -> bytes:
    """A body that was changed, as it is sent."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def token(claims: Mapping[str, Any], key: JwsKey, algorithm: Algorithm, *, kid: str | None = None) -> str:
    """A compact JSON Web Token."""
    header = {"typ": "JWT", "alg": algorithm, **({"kid": kid} if kid else {})}
    return serialize_compact(header, json.dumps(claims).encode(), key, algorithms=[algorithm])


def key_pair(algorithm: Algorithm) -> RSAKey | ECKey:
    """A new private key for RS256 or ES256."""
    if algorithm == "RS256":
        return RSAKey.generate_key(_RSA_BITS, {"kid": KID})
    return ECKey.generate_key("P-256", {"kid": KID})


def key_set_of(key: RSAKey | ECKey, algorithm: Algorithm) -> str:
    """The public half as a JSON Web Key Set."""
    return json.dumps({"keys": [{**key.as_dict(private=False), "use": "sig", "alg": algorithm}]})


class Certified:
    """A new RSA key and a certificate of it, signed by itself, that holds for a day."""

    def __init__(self, subject: str | x509.Name, now: Micros) -> None:
        self._key = rsa.generate_private_key(65_537, _RSA_BITS)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]) if isinstance(subject, str) else subject
        at = datetime.datetime.fromtimestamp(now / SECOND, datetime.UTC)
        builder = x509.CertificateBuilder(name, name, self._key.public_key(), x509.random_serial_number())
        dated = builder.not_valid_before(at - _DAY).not_valid_after(at + _DAY)
        self._certificate = dated.sign(self._key, SHA256())

    @property
    def pem(self) -> str:
        """The certificate."""
        return self._certificate.public_bytes(Encoding.PEM).decode("ascii")

    def sign(self, text: bytes, hash: HashAlgorithm) -> bytes:
        """A signature of the text, PKCS#1 v1.5."""
        return self._key.sign(text, PKCS1v15(), hash)
