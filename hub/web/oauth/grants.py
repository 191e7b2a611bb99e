"""The grants and endpoints: a code that a person allows, a service's own word, taking back and asking about tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict

from hub.runtime.commands import Command, apply
from hub.runtime.commands.identity import digest
from hub.runtime.scopes import ROLES, allows
from hub.store import Store, device_logins, identity
from hub.types import DEFAULT_WORKSPACE, SECOND, Actor, Scope, new_id
from hub.web.oauth.clients import TERMINAL, Client

PROVEN = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
PACE = 5
"""Seconds between two questions of a terminal."""
LIFETIME = 900
"""Seconds somebody has to let a terminal in."""
PATH = "/ui/device"
MAX_SCOPE = 1000


class DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]
    """What a terminal asks first: a code for itself and one for the person."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = ["none"]
    EXPIRES_IN = LIFETIME
    INTERVAL = PACE

    def create_endpoint_response(self, request: Any) -> Any:
        """See Authlib."""
        self.base, self.address = request.base, request.address
        return super().create_endpoint_response(request)

    def get_verification_uri(self) -> str:
        """See Authlib."""
        return f"{self.base}{PATH}"

    def save_device_credential(self, client_id: str, scope: str | None, data: dict[str, Any]) -> None:
        """See Authlib."""
        with self.server.store.write() as tx:
            device_logins.add(
                tx, id=new_id(), workspace_id=DEFAULT_WORKSPACE, digest=digest(data["device_code"]),
                user_code=data["user_code"], client=client_id, scopes=(scope or "*")[:MAX_SCOPE].split(),
                address=self.address, status=device_logins.PENDING, created_at=tx.now,
                expires_at=tx.now + LIFETIME * SECOND,
            )  # fmt: skip


class DeviceCode(DeviceCodeGrant):  # type: ignore[misc]
    """The terminal's question: may I come in by now?"""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = ["none"]

    def query_device_credential(self, device_code: str) -> Any:
        """See Authlib."""
        with self.server.store.read() as tx:
            row = device_logins.by_digest(tx, digest(device_code))
        if row is None or row["status"] == device_logins.USED:
            return None
        return DeviceCredentialDict(
            client_id=row["client"], scope=" ".join(row["scopes"]), user_code=row["user_code"],
            expires_at=row["expires_at"] / SECOND, row=row,
        )  # fmt: skip

    def query_user_grant(self, _user_code: str) -> tuple[Any, bool] | None:
        """See Authlib."""
        row = self.request.credential_row
        if row["status"] == device_logins.PENDING:
            return None
        with self.server.store.read() as tx:
            user = identity.user(tx, row["user_id"])
        return user, row["status"] == device_logins.APPROVED and user is not None and user["disabled_at"] is None

    def validate_device_credential(self, credential: Any) -> Any:
        """See Authlib."""
        self.request.credential_row = credential["row"]
        return super().validate_device_credential(credential)

    def should_slow_down(self, credential: Any) -> bool:
        """See Authlib."""
        with self.server.store.write(durable=False) as tx:
            return not device_logins.polled(tx, credential["row"]["id"], every=PACE - 1)


class Credentials(ClientCredentialsGrant):  # type: ignore[misc]
    """A service's own word."""

    TOKEN_ENDPOINT_AUTH_METHODS: ClassVar[list[str]] = PROVEN


class Revocation(RevocationEndpoint):  # type: ignore[misc]
    """Taking a token back, by whoever holds it."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = ["none", *PROVEN]

    def query_token(self, token_string: str, _hint: str | None) -> Any:
        """See Authlib."""
        return Token.find(self.server.store, token_string)

    def revoke_token(self, token: Any, request: Any) -> None:
        """See Authlib."""
        scope = Scope(token.row["workspace_id"], Actor("token", token.row["id"], address=request.address))
        apply(self.server.store, Command("token.revoke", scope, token.row["id"]))


class Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    """Asking what a token is good for: a service its own, or any of its workspace if it may read tokens."""

    CLIENT_AUTH_METHODS: ClassVar[list[str]] = PROVEN

    def query_token(self, token_string: str, _hint: str | None) -> Any:
        """See Authlib."""
        return Token.find(self.server.store, token_string)

    def check_permission(self, token: Any, client: Client, _request: Any) -> bool:
        """See Authlib."""
        user = client.user or {}
        mine = token.row["user_id"] == user.get("id")
        here = token.row["workspace_id"] == user.get("workspace_id")
        return mine or (here and allows(ROLES.get(user.get("role", ""), ()), "tokens:read"))

    def introspect_token(self, token: Any) -> dict[str, Any]:
        """See Authlib."""
        found: dict[str, Any] = token.told(self.server.store)
        return found


ALL = (DeviceAuthorization, DeviceCode, Credentials, Revocation, Introspection)
"""As Authlib registers them."""


class Token:
    """A token as Authlib asks it."""

    def __init__(self, row: dict[str, Any], now: int) -> None:
        self.row = row
        self._now = now

    @classmethod
    def find(cls, store: Store, text: str) -> Token | None:
        """The token of that text; not one of a site, which the plane takes back itself."""
        with store.read() as tx:
            row = identity.token_of(tx, digest(text[:200]))
            return cls(row, tx.now) if row is not None and row["kind"] != "site" else None

    def check_client(self, client: Client) -> bool:
        """Whether it was given to that client: the terminal has those of logins, a service its own."""
        return bool(self.row["kind"] == "login" if client.user is None else self.row["user_id"] == client.user["id"])

    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.row["expires_at"] is not None and self.row["expires_at"] <= self._now

    def is_revoked(self) -> bool:
        """Whether it was taken back."""
        return self.row["revoked_at"] is not None

    def told(self, store: Store) -> dict[str, Any]:
        """What RFC 7662 says of it."""
        with store.read() as tx:
            user = identity.user(tx, self.row["user_id"]) if self.row["user_id"] else None
        if self.row["user_id"] and (user is None or user["disabled_at"] is not None):
            return {"active": False}
        expires = self.row["expires_at"]
        told = {
            "active": True, "scope": " ".join(self.row["scopes"]), "token_type": "Bearer",
            "client_id": TERMINAL if self.row["kind"] == "login" else user["name"] if user else None,
            "username": user["name"] if user else None, "sub": self.row["user_id"],
            "iat": self.row["created_at"] // SECOND, "exp": expires // SECOND if expires else None,
        }  # fmt: skip
        return {name: value for name, value in told.items() if value is not None}


def keep(store: Store, token: dict[str, Any], request: Any, command_id: str) -> None:
    """Keep a token that is given now; a login, and an assertion, is answered once."""
    client: Client = request.client
    login = getattr(request, "credential_row", None)
    user = request.user if client.user is None else client.user
    text, kind = token["access_token"], "login" if login else "access"
    args = {
        "name": f"hub login from {login['address'] or 'this machine'}"[:100] if login else f"{client.client_id}",
        "kind": kind, "digest": digest(text), "prefix": text[: len(kind) + 9],
        "scopes": token["scope"].split(), "expires_in": token["expires_in"], "login": login["id"] if login else None,
    }  # fmt: skip
    scope = Scope(user["workspace_id"], Actor("user", user["id"], address=request.address))
    if apply(store, Command("login.issue", scope, "", args, id=command_id)).repeated:
        raise InvalidGrantError("The assertion has been used.")
