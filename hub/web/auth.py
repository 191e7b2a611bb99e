"""Who asks, and may they: from a request to a Scope.

In this order: an API token in the Authorization header, a session cookie, and the local owner without a login: on a
hub that only this machine can reach, and through the socket in the hub's home (`hub.web.own`). Any other bind address,
and any hub with a public URL, needs a login. Whoever is none of these may be known to a plugin.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from hub.crypto import Keyring
from hub.errors import AuthenticationError, PermissionError_, UsageError
from hub.hooks import Hooks
from hub.runtime.commands import Command, apply
from hub.runtime.commands.identity import digest, note_use
from hub.runtime.scopes import ALL, ROLES, allows, both
from hub.settings import Settings, is_loopback, local_without_login
from hub.store import Store, identity
from hub.types import DEFAULT_WORKSPACE, Actor, Id, Scope, now_us
from hub.web.hosts import SAFE_METHODS, host_of
from hub.web.login import COOKIE, Guesses, Passwords, Session, cookie_options, refused, seal, unseal
from hub.web.matrix import LOCAL_ONLY
from hub.web.own import SCOPE_KEY
from hub.webhooks.allowing import networks
from hub.webhooks.keeping import sender

if TYPE_CHECKING:
    from hub.web.oidc import Provider

log = logging.getLogger("hub.web")
ANYBODY = Actor("anonymous")
LOCAL = Actor("local", scopes=ALL)
SIGNED_IN = ""
"""What needs no scope but somebody who is known."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
_NOTE_EVERY = 60.0
_MAX_TOKEN = 200


class Auth:
    """Answers who asks, for one application on one store."""

    def __init__(self, settings: Settings, store: Store, hooks: Hooks) -> None:
        self.settings = settings
        self.store = store
        self.hooks = hooks
        self.passwords = Passwords()
        self.guesses = Guesses()
        self.links = Guesses((("address",), 20), what="links that are not valid")
        self.codes = Guesses((("address",), 20), ((), 500), what="codes that are not valid")
        self.secure = settings.public_url.startswith("https://") or settings.web_tls_cert is not None
        self.local = local_without_login(settings)
        self.proxies = settings.web_trusted_proxies
        self.peers = networks(settings.web_proxy_networks)
        self._noted: dict[Id, float] = {}
        self._lock = threading.Lock()

    @cached_property
    def provider(self) -> Provider | None:
        """The identity provider, if the settings name one; Authlib is imported only then."""
        if not self.settings.oidc_issuer:
            return None
        from hub.web.oidc import Provider  # noqa: PLC0415 - see above

        return Provider(self.settings, self.keyring)

    def authorize(self, request: Request, needs: str | None) -> Scope:
        """The scope of the request's asker. `needs` None: anybody; "" : somebody who is known.

        Raises AuthenticationError (nobody known) or PermissionError_ (known, without the scope).
        """
        if needs is None:
            return Scope(actor=replace(ANYBODY, address=self.address(request)))
        scope = self.who(request)
        if scope is None:
            hint = "Sign in, or send an API token as `Authorization: Bearer hub_api_...`."
            raise AuthenticationError("nobody is signed in", hint=hint)
        if needs == LOCAL_ONLY and scope.actor.kind != "local":
            hint = "Run `hub owner create NAME` there."
            raise PermissionError_("the owner's account is made on the machine of the hub", hint=hint)
        if needs and not allows(scope.actor.scopes, needs):
            raise PermissionError_(f"this needs the scope {needs!r}, which {scope.actor} does not have", needs=needs)
        return scope

    def who(self, request: Request) -> Scope | None:
        """The asker's scope, or None when nobody is known. Raises AuthenticationError for a token that is not valid."""
        scope = self._known(request)
        return scope and replace(scope, actor=replace(scope.actor, address=self.address(request)))

    def _known(self, request: Request) -> Scope | None:
        given = request.headers.getlist("authorization")
        if given:
            return (None if _is_own(given) else self._by_plugin(request)) or self._by_token(given)
        session = self._by_session(request)
        if session is not None:
            return session
        return Scope(actor=LOCAL) if self._is_local(request) else self._by_plugin(request)

    def log_in(self, request: Request, name: str, password: str) -> dict[str, Any]:
        """Check a name and a password; the user's row. Raises AuthenticationError or RateLimitedError."""
        user = self._verified(request, name, password, DEFAULT_WORKSPACE)
        actor = Actor("user", user["id"], address=self.address(request))
        apply(self.store, Command("user.sign_in", Scope(user["workspace_id"], actor)))
        return user

    def _verified(self, request: Request, name: str, password: str, workspace: Id) -> dict[str, Any]:
        who = {"name": name, "address": self.address(request)}
        self.guesses.check(**who)
        with self.store.read() as tx:
            user = identity.user_named(tx, workspace, name)
        known = user["password_hash"] if user and user["disabled_at"] is None else None
        if not self.passwords.verify(known, password) or user is None:
            self.guesses.failed(**who)
            log.warning("a login from %s failed", who["address"])  # not the name: people type passwords there
            raise refused()
        return user

    def check_links(self, request: Request) -> None:
        """Raise RateLimitedError when somebody has tried too many links that this hub did not sign."""
        self.links.check(address=self.address(request))

    def wrong_link(self, request: Request) -> None:
        """Count a link that this hub did not sign."""
        self.links.failed(address=self.address(request))

    def address(self, request: Request) -> str:
        """From where a request comes; empty for a command of this machine, which did not come over the network."""
        if request.scope.get(SCOPE_KEY) is True or request.scope.get("hub.inprocess") is True:
            return ""
        forwarded = request.headers.getlist("x-forwarded-for")
        return sender(request.scope.get("client"), forwarded, self.proxies, self.peers)

    def begin_session(self, response: Response, user: dict[str, object]) -> None:
        """Set the session cookie for a user who has just logged in."""
        session = Session(str(user["id"]), int(str(user["session_epoch"])), now_us())
        response.set_cookie(COOKIE, seal(self.keyring, session), **cookie_options(self.secure))

    def change_password(self, request: Request, response: Response, scope: Scope, current: str, new: str) -> None:
        """Give a signed-in person a new password; their session here goes on. Raises HubError."""
        if scope.actor.kind != "user":
            raise PermissionError_("only somebody who is signed in has a password", hint="A token has none.")
        with self.store.read() as tx:
            user = identity.user(tx, scope.actor.id) or {}
        if not user.get("password_hash"):
            raise UsageError("this account has no password here", hint="Sign in as you do, elsewhere.")
        self._verified(request, str(user["name"]), current, scope.workspace_id)
        args = {"password_hash": self.passwords.hash(new)}
        apply(self.store, Command("user.password", scope, scope.actor.id, args))
        with self.store.read() as tx:
            self.begin_session(response, identity.user(tx, scope.actor.id) or {})

    def end_session(self, response: Response, scope: Scope) -> None:
        """End every session of the user, and forget the cookie."""
        if scope.actor.kind == "user":
            apply(self.store, Command("user.end_sessions", scope, scope.actor.id))
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=self.secure)

    @property
    def keyring(self) -> Keyring:
        """The keys that sign sessions."""
        return self.store.keyring

    def _by_token(self, given: list[str]) -> Scope:
        kind, _, text = given[0].strip().partition(" ")
        if len(given) > 1 or kind.lower() != "bearer" or not text.startswith("hub_") or len(text) > _MAX_TOKEN:
            raise AuthenticationError("the Authorization header holds no token of this hub", code="invalid-token")
        with self.store.read() as tx:
            row = identity.token_of(tx, digest(text.strip()))
            user = identity.user(tx, row["user_id"]) if row and row["user_id"] else None
            now = tx.now
        if row is None or row["revoked_at"] is not None or (row["expires_at"] or now + 1) <= now or _is_off(row, user):
            hint = "`hub tokens create` makes a new one."
            raise AuthenticationError("the token is unknown, expired or revoked", hint=hint, code="invalid-token")
        if row["kind"] == "site":
            hint = "It opens the sync endpoints and nothing else; `hub tokens create` makes one for the API."
            raise AuthenticationError("this is the token of a site", hint=hint, code="invalid-token")
        self._note(row["id"])
        return Scope(row["workspace_id"], Actor("token", row["id"], _held(row, user)))

    def _by_session(self, request: Request) -> Scope | None:
        value = request.cookies.get(COOKIE)
        session = unseal(self.keyring, value, now=now_us()) if value else None
        if session is None:
            return None
        with self.store.read() as tx:
            user = identity.user(tx, session.user_id)
        if user is None or user["disabled_at"] is not None or user["session_epoch"] != session.epoch:
            return None
        _refuse_unmarked(request)
        scopes = ROLES.get(user["role"], frozenset())
        return Scope(user["workspace_id"], Actor("user", user["id"], scopes))

    def _by_plugin(self, request: Request) -> Scope | None:
        """Whom a plugin vouches for."""
        if not self.hooks.implemented("hub_auth_authenticate"):
            return None
        client = request.scope.get("client")
        facts = {
            "method": request.method, "path": request.url.path, "query": request.url.query,
            "headers": dict(request.headers), "client": client[0] if client else "",
        }  # fmt: skip
        found = self.hooks.auth_authenticate(facts)
        scopes = ROLES.get(found[1].role) if found is not None else None
        if found is None or scopes is None:
            return None
        if "authorization" not in request.headers:
            _refuse_unmarked(request)  # a browser sends what it is known by along with what other pages ask of it
        return Scope(actor=Actor("plugin", f"{found[0]}/{found[1].name}", scopes))

    def _is_local(self, request: Request) -> bool:
        if request.scope.get("hub.inprocess") is True:
            return True  # set by our own transport, never by a server: the caller holds the database anyway
        own = request.scope.get(SCOPE_KEY) is True  # set by our protocol: a socket that only this user can open
        if not (self.local or own) or any(name in request.headers for name in _FORWARDED):
            return False
        host = host_of(request.headers)
        return host is not None and is_loopback(host)

    def _note(self, token_id: Id) -> None:
        """Keep when a token was used, at most once a minute and process."""
        now = time.monotonic()
        with self._lock:
            if now - self._noted.get(token_id, -_NOTE_EVERY) < _NOTE_EVERY:
                return
            self._noted[token_id] = now
        note_use(self.store, token_id)


def _is_off(row: dict[str, Any], user: dict[str, Any] | None) -> bool:
    """Whether the account that a token belongs to may not ask any more."""
    return row["user_id"] is not None and (user is None or user["disabled_at"] is not None)


def _held(row: dict[str, Any], user: dict[str, Any] | None) -> frozenset[str]:
    """What a token allows now: its scopes, and of an account's token no more than the account may."""
    scopes = frozenset(row["scopes"])
    return scopes if user is None else both(scopes, ROLES.get(user["role"], frozenset()))


def _is_own(given: list[str]) -> bool:
    kind, _, text = given[0].strip().partition(" ")
    return kind.lower() == "bearer" and text.startswith("hub_")


def _refuse_unmarked(request: Request) -> None:
    """A write by cookie must show that a page of ours sent it; every browser of today says so by itself."""
    marked = "origin" in request.headers or "sec-fetch-site" in request.headers
    if request.method not in SAFE_METHODS and not marked:
        raise PermissionError_(
            "what a browser sends by itself cannot change anything: the request says nothing of where it comes from",
            hint="Programs use an API token.", code="cross-site",
        )  # fmt: skip
