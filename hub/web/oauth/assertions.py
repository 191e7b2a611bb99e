"""How a service proves who it is by a key of its own (`private_key_jwt`, RFC 7523)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from hub.types import SECOND, now_us

ALGORITHMS = ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"]
LONGEST = 300
"""Seconds an assertion may be good for: so long its id is remembered, and longer."""


class Assertion(JWTBearerClientAssertion):  # type: ignore[misc]
    """Authlib's check, bounded in time; that an assertion is used once is kept by the command that gives the token."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, audiences: Sequence[str]) -> None:
        super().__init__(validate_jti=True, leeway=30)
        self._audiences = list(audiences)
        self.used = ""

    def get_audiences(self) -> list[str]:
        """See Authlib."""
        return self._audiences

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:
        """See Authlib; with the algorithms of today, Ed25519 among them."""
        try:
            claims = jwt.decode(assertion, resolve_key, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError) as error:
            raise InvalidClientError(description="The assertion is not signed by this client.") from error
        self.verify_claims(claims)
        now = now_us() // SECOND
        if not isinstance(claims["exp"], int | float) or claims["exp"] > now + LONGEST + self.leeway:
            raise InvalidClientError(description=f"The assertion is good for more than {LONGEST} s.")
        return claims

    def validate_jti(self, claims: Any, jti: Any) -> bool:
        """Note the id; whether it was used before is seen where the token is kept."""
        if not isinstance(jti, str) or not 8 <= len(jti) <= 200:
            return False
        self.used = f"{claims['iss']} {jti}"
        return True

    def resolve_client_public_key(self, client: Any) -> Any:
        """See Authlib."""
        if not client.user or not client.user["public_key"]:
            raise InvalidClientError(description="The client has no key.")
        return jwk.import_key(client.user["public_key"])
