"""Signing in at an identity provider (OpenID Connect): authorization code with PKCE, state and nonce, by Authlib.

What must be remembered between the way there and the way back is sealed into a cookie of the browser that went, so
every web process can take the answer, and an answer that another browser was given is worth nothing.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp, FrameworkIntegration
from authlib.integrations.base_client.sync_app import OAuth2Mixin
from authlib.integrations.base_client.sync_openid import OpenIDMixin
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from httpx2 import HTTPError
from joserfc.errors import JoseError

from hub.crypto import Keyring
from hub.errors import AuthenticationError, UnavailableError
from hub.runtime.scopes import ROLES
from hub.settings import Settings
from hub.web.oauth import keys

log = logging.getLogger("hub.web")
LIFETIME = 600
"""Seconds somebody has to sign in at the provider."""
TIMEOUT = 15.0
METADATA_FOR = 3600.0
"""Seconds after which the provider is asked again where its endpoints are. A key that is not known is asked for at
once."""
ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})
_CONTEXT = "oidc state"


@dataclass(frozen=True, slots=True)
class Person:
    """Who the provider says it is. `role` None: none of their groups has one."""

    subject: str
    name: str
    role: str | None


class _Framework(FrameworkIntegration):  # type: ignore[misc]
    """Nothing is kept on the server."""

    def update_token(self, token: Any, refresh_token: Any = None, access_token: Any = None) -> None:
        """See Authlib; the provider's tokens are not kept."""


class _App(OAuth2Mixin, OpenIDMixin, BaseApp):  # type: ignore[misc]
    client_cls = OAuth2Client


class Provider:
    """The identity provider that the settings name."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings, self._keyring = settings, keyring
        self._lock = threading.Lock()
        self._known: _App | None = None
        self._until = 0.0

    def begin(self, redirect_uri: str, after: str) -> tuple[str, str]:
        """Where to send the browser, and its cookie. Raises UnavailableError when the provider is away."""
        try:
            asked = self._app().create_authorization_url(redirect_uri)
        except (AuthlibBaseError, HTTPError, ValueError, RuntimeError) as error:
            raise self._away(error) from None
        kept = {name: asked[name] for name in ("state", "nonce", "code_verifier")}
        kept |= {"redirect_uri": redirect_uri, "after": after, "until": int(time.time()) + LIFETIME}
        return asked["url"], self._seal(kept)

    def finish(self, cookie: str, answer: Mapping[str, str]) -> tuple[Person, str]:
        """Who has signed in, and where they wanted to go. Raises AuthenticationError, UnavailableError."""
        kept = self._unseal(cookie)
        if kept is None or kept["state"] != answer.get("state"):
            hint = "Begin again on the login page. Cookies must be allowed."
            raise AuthenticationError("this login was not begun here, or too long ago", hint=hint, code="oidc-state")
        if "code" not in answer:
            detail = answer.get("error_description") or answer.get("error") or "no code"
            raise AuthenticationError(f"the identity provider refuses: {detail[:200]}", code="oidc-refused")
        app = self._app()
        try:
            given = {name: kept[name] for name in ("redirect_uri", "code_verifier")}
            token = app.fetch_access_token(code=answer["code"], state=kept["state"], **given)
            claims = app.parse_id_token(token, nonce=kept["nonce"]) or {}
            if self._settings.oidc_groups_claim not in claims and app.server_metadata.get("userinfo_endpoint"):
                claims = self._more(app, token, claims)
        except HTTPError as error:
            raise self._away(error) from None
        except (AuthlibBaseError, JoseError, ValueError, KeyError) as error:
            log.warning("a login at the identity provider failed: %s: %s", type(error).__name__, error)
            detail = "the identity provider's answer does not hold"
            raise AuthenticationError(detail, hint="Begin again on the login page.", code="oidc-invalid") from None
        return self._person(claims), str(kept["after"])

    def _more(self, app: _App, token: Any, claims: Mapping[str, Any]) -> dict[str, Any]:
        """Claims that are only told when asked for; those of somebody else are not taken."""
        told = app.userinfo(token=token)
        if told.get("sub") != claims.get("sub"):
            raise ValueError("the provider tells of somebody else")
        return {**told, **claims}

    def _person(self, claims: Mapping[str, Any]) -> Person:
        subject = str(claims.get("sub") or "")
        if not subject:
            raise AuthenticationError("the identity provider does not say who this is", code="oidc-invalid")
        named = next((str(claims[key]) for key in ("preferred_username", "email", "name") if claims.get(key)), subject)
        name = "".join(" " if ord(letter) < 32 or letter in "/\x7f" else letter for letter in named).strip()[:80]
        groups = claims.get(self._settings.oidc_groups_claim) or []
        held = {str(group) for group in (groups if isinstance(groups, list) else [groups])}
        return Person(f"{self._settings.oidc_issuer} {subject}", name or "somebody", self._role(held))

    def _role(self, groups: set[str]) -> str | None:
        """The role that may do most, of those that the groups have; without one that of everybody, if there is one."""
        given = {
            role for group, _, role in (one.rpartition("=") for one in self._settings.oidc_roles) if group in groups
        }
        order = list(ROLES)
        return max(given, key=order.index) if given else self._settings.oidc_default_role or None

    def _app(self) -> _App:
        with self._lock:
            if self._known is None or time.monotonic() > self._until:
                self._known, self._until = self._made(), time.monotonic() + METADATA_FOR
            return self._known

    def _made(self) -> _App:
        settings = self._settings
        issuer = settings.oidc_issuer.rstrip("/")
        own_key = settings.oidc_client_auth == "key"
        method = {"secret": "client_secret_basic", "key": "private_key_jwt", "none": "none"}[settings.oidc_client_auth]
        app = _App(
            _Framework("hub"), "hub", client_id=settings.oidc_client_id,
            client_secret=self._key() if own_key else settings.oidc_client_secret.get_secret_value(),
            server_metadata_url=f"{issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": " ".join(settings.oidc_scopes), "code_challenge_method": "S256",
                "token_endpoint_auth_method": method, "timeout": TIMEOUT, "follow_redirects": False,
            },
            client_auth_methods=[PrivateKeyJWT(alg="ES256")] if own_key else None,
        )  # fmt: skip
        found = app.load_server_metadata()
        if str(found.get("issuer", "")).rstrip("/") != issuer:
            raise ValueError(f"it calls itself {str(found.get('issuer'))[:200]!r}")
        # A provider that also lists "none" or a shared secret's algorithms is not taken at its word.
        told = set(found.get("id_token_signing_alg_values_supported") or ["RS256"])
        found["id_token_signing_alg_values_supported"] = sorted(told & ALGORITHMS)
        return app

    def _key(self) -> Any:
        key = keys.signing(self._keyring)[0]
        key.ensure_kid()
        return key

    def _away(self, error: Exception) -> UnavailableError:
        log.warning("the identity provider cannot be used: %s: %s", type(error).__name__, error)
        hint = "The log of the web process says more. People with a password can sign in."
        return UnavailableError("the identity provider cannot be reached", hint=hint, code="oidc-away")

    def _seal(self, kept: Mapping[str, Any]) -> str:
        sealed = self._keyring.seal(json.dumps(kept), context=_CONTEXT)
        return f"{self._keyring.key_id}.{base64.urlsafe_b64encode(sealed).decode()}"

    def _unseal(self, cookie: str) -> dict[str, Any] | None:
        key_id, _, text = cookie.partition(".")
        try:
            sealed = base64.urlsafe_b64decode(text)
            kept: dict[str, Any] = json.loads(self._keyring.open(sealed, context=_CONTEXT, key_id=key_id))
        except (ValueError, UnavailableError):
            return None
        return kept if kept["until"] > time.time() else None
