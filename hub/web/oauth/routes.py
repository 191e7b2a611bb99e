"""The routes of the authorization server: what OAuth 2.0's clients and their libraries look for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hub.settings import Settings
from hub.store import Store
from hub.web.api.op import BODY_SECONDS, read_body
from hub.web.auth import Auth
from hub.web.matrix import Access, Declared

if TYPE_CHECKING:
    from hub.web.oauth.server import OAuth

MAX_FORM = 32_768


class Routes:
    """The routes on one store. Authlib is imported when one of them is first asked for: most processes never are."""

    def __init__(self, settings: Settings, store: Store, auth: Auth) -> None:
        self._parts = settings, store, auth

    @cached_property
    def _oauth(self) -> OAuth:
        from hub.web.oauth.server import OAuth  # noqa: PLC0415 - see above

        return OAuth(*self._parts)

    def all(self) -> list[BaseRoute]:
        """All of them."""
        device = Access(None, "nothing: somebody who is signed in must let the terminal in")
        proven = Access(None, "the code, secret or key of a client")
        public = Access(None, "public keys and addresses; nothing of anybody's")
        return [
            Declared("/oauth/device", self._form("device_authorization"), device, methods=["POST"]),
            Declared("/oauth/token", self._form(""), proven, methods=["POST"]),
            Declared("/oauth/revoke", self._form("revocation"), proven, methods=["POST"]),
            Declared("/oauth/introspect", self._form("introspection"), proven, methods=["POST"]),
            Declared("/.well-known/oauth-authorization-server", self._metadata, public, methods=["GET"]),
            Declared("/.well-known/jwks.json", self._jwks, public, methods=["GET"]),
        ]

    def _form(self, name: str) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            raw = await read_body(request, MAX_FORM, BODY_SECONDS)
            return await run_in_threadpool(lambda: self._oauth.answer(request, raw, name))

        return endpoint

    def _metadata(self, request: Request) -> Response:
        return self._oauth.metadata(request)

    def _jwks(self, _request: Request) -> Response:
        return self._oauth.jwks()
