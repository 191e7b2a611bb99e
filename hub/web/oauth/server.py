"""The authorization server of one application: each request is judged by Authlib's rules on our accounts."""

from __future__ import annotations

import secrets
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hub.errors import ConflictError, UsageError
from hub.runtime.commands.identity import is_scope
from hub.settings import Settings
from hub.store import Store
from hub.types import DEFAULT_WORKSPACE, derived_id, new_id
from hub.web.auth import Auth
from hub.web.hosts import address_of
from hub.web.login import Guesses
from hub.web.oauth import clients, grants, keys
from hub.web.oauth.assertions import ALGORITHMS, Assertion
from hub.web.oauth.requests import FormRequest, Server

LOGIN_SECONDS = 30 * 24 * 3600
"""How long a token of `hub login` is good."""
ACCESS_SECONDS = 600
"""How long a token is good that a service gets for its own word."""
DEVICE = "device_authorization"


class OAuth:
    """The authorization server of one application on one store."""

    def __init__(self, settings: Settings, store: Store, auth: Auth) -> None:
        self.settings, self.store, self.auth = settings, store, auth
        self.asked = Guesses((("address",), 10), ((), 200), what="logins asked for")
        self.wrong = Guesses((("address",), 20), ((), 500), what="wrong tokens and secrets")

    def answer(self, request: Request, raw: bytes, name: str) -> Response:
        """Answer the token endpoint, or the one of that name. Raises RateLimitedError, and UsageError for no form."""
        limit = self.asked if name == DEVICE else self.wrong
        address = self.auth.address(request)
        limit.check(address=address)
        asked = FormRequest(request, raw, address=address, base=address_of(self.settings, request))
        _check_scope(asked)
        server = self._server(asked)
        answer: Response = server.create_endpoint_response(name, asked) if name else server.create_token_response(asked)
        # Every login that is asked for counts, and of the others what was wrong; waiting for a person is not wrong.
        if limit is self.asked or (answer.status_code >= 400 and not _waits(bytes(answer.body))):
            limit.failed(address=address)
        return answer

    def _server(self, asked: FormRequest) -> Server:
        assertion = Assertion([asked.base, f"{asked.base}/oauth/token", f"{asked.base}/oauth/introspect"])

        def save(token: Any, request: FormRequest) -> None:
            once = derived_id(DEFAULT_WORKSPACE, "assertion", assertion.used) if assertion.used else new_id()
            try:
                grants.keep(self.store, token, request, once)
            except ConflictError as error:
                raise InvalidGrantError(error.detail) from None

        server = Server(self.store, lambda client_id: clients.find(self.store, client_id), save)
        server.register_client_auth_method("private_key_jwt", assertion)
        server.register_token_generator("default", BearerTokenGenerator(_text, expires_generator=_expires))
        for made in grants.ALL:
            register = server.register_endpoint if hasattr(made, "ENDPOINT_NAME") else server.register_grant
            register(made)
        return server

    def metadata(self, request: Request) -> Response:
        """What this server can, and where (RFC 8414)."""
        base = address_of(self.settings, request)
        methods = ["none", *grants.PROVEN]
        return JSONResponse({
            "issuer": base,
            "token_endpoint": f"{base}/oauth/token",
            "device_authorization_endpoint": f"{base}/oauth/device",
            "revocation_endpoint": f"{base}/oauth/revoke",
            "introspection_endpoint": f"{base}/oauth/introspect",
            "jwks_uri": f"{base}/.well-known/jwks.json",
            "response_types_supported": [],
            "grant_types_supported": [DEVICE_CODE_GRANT_TYPE, "client_credentials"],
            "token_endpoint_auth_methods_supported": methods,
            "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
            "revocation_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": grants.PROVEN,
        })  # fmt: skip

    def jwks(self) -> Response:
        """The public keys by which this hub proves who it is."""
        return JSONResponse(keys.public(self.store.keyring), headers={"cache-control": "public, max-age=300"})


def _waits(body: bytes) -> bool:
    return any(
        code in body for code in (b'"authorization_pending"', b'"slow_down"', b'"expired_token"', b'"access_denied"')
    )


def _text(client: clients.Client, **_more: Any) -> str:
    return f"hub_{'login' if client.user is None else 'access'}_{secrets.token_urlsafe(32)}"


def _expires(client: clients.Client, _grant_type: str) -> int:
    return LOGIN_SECONDS if client.user is None else ACCESS_SECONDS


def _check_scope(asked: FormRequest) -> None:
    for scope in (asked.payload.scope or "").split():
        if not is_scope(scope):
            raise UsageError(f"{scope[:64]!r} is not a scope", hint="Write runs:read, runs:* or *.")
