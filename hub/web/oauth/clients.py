"""Who may ask for tokens: the terminal, which is nobody in particular, and services, which prove who they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from hub.runtime.commands.identity import digest
from hub.store import Store, identity
from hub.types import DEFAULT_WORKSPACE, Id

TERMINAL = "hub-cli"
"""The client that `hub login` is: it has no secret, so what it gets a person allows it each time."""


@dataclass(frozen=True)
class Client(ClientMixin):  # type: ignore[misc]
    """A client as Authlib asks it. `user` is the service's account; the terminal has none."""

    client_id: str
    store: Store = field(repr=False)
    user: dict[str, Any] | None = field(default=None, repr=False)

    def get_client_id(self) -> str:
        """Its id."""
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        """There is none: nobody is sent anywhere."""
        return ""

    def get_allowed_scope(self, scope: str | None) -> str:
        """What was asked for; the account's role bounds it whenever the token is used."""
        return " ".join((scope or "*").split())

    def check_redirect_uri(self, redirect_uri: str) -> bool:  # noqa: ARG002 - Authlib's signature
        """There is none."""
        return False

    def check_response_type(self, response_type: str) -> bool:  # noqa: ARG002 - Authlib's signature
        """There is none."""
        return False

    def check_client_secret(self, client_secret: str) -> bool:
        """Whether that is a live API token of the service."""
        if self.user is None:
            return False
        with self.store.read() as tx:
            row = identity.token_of(tx, digest(client_secret))
            now = tx.now
        live = row is not None and row["revoked_at"] is None and (row["expires_at"] or now + 1) > now
        return bool(live and row and row["kind"] == "api" and row["user_id"] == self.user["id"])

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - Authlib's signature
        """How it may prove who it is."""
        if self.user is None:
            return method == "none"
        return method != "none" and (method != "private_key_jwt" or bool(self.user["public_key"]))

    def check_grant_type(self, grant_type: str) -> bool:
        """What it may ask tokens by."""
        return grant_type == (DEVICE_CODE_GRANT_TYPE if self.user is None else "client_credentials")


def find(store: Store, client_id: str, workspace: Id = DEFAULT_WORKSPACE) -> Client | None:
    """The client of that id: the terminal, or a service by its name."""
    if client_id == TERMINAL:
        return Client(TERMINAL, store)
    with store.read() as tx:
        user = identity.user_named(tx, workspace, client_id[:100])
    if user is None or user["kind"] != "service" or user["disabled_at"] is not None:
        return None
    return Client(client_id, store, user)
