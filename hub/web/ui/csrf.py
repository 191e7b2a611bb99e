"""Forms that only our own pages can send: a random cookie, and its keyed hash in every form.

The Origin check (`hub.web.hosts`) already refuses other sites; this holds where a browser sends no Origin. The hash
covers the session too, so a token of before a login is worth nothing after it.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Protocol

from starlette.requests import Request

from hub.errors import PermissionError_
from hub.web.login import COOKIE as SESSION

COOKIE = "hub_csrf"
FIELD = "csrf"


class Digester(Protocol):
    """The part of the keyring that is needed here."""

    def digest(self, value: str, *, purpose: str) -> str:
        """Keyed hash under the newest key."""

    def digests(self, value: str, *, purpose: str) -> tuple[str, ...]:
        """Keyed hashes under every key."""


def new_cookie() -> str:
    """A fresh value for the cookie."""
    return secrets.token_urlsafe(24)


def token(keyring: Digester, request: Request, cookie: str) -> str:
    """What a form carries."""
    return keyring.digest(_covered(request, cookie), purpose="csrf")


def check(keyring: Digester, request: Request, given: str) -> None:
    """Refuse a form whose token does not belong to this browser's cookie."""
    cookie = request.cookies.get(COOKIE, "")
    expected = keyring.digests(_covered(request, cookie), purpose="csrf")
    known = any(hmac.compare_digest(given.encode(), one.encode()) for one in expected)
    if not (cookie and known):
        raise PermissionError_(
            "this form is too old, or did not come from this dashboard; nothing was done",
            hint="Go back, reload the page and send it again. Cookies must be allowed.",
            code="form-expired",
        )


def _covered(request: Request, cookie: str) -> str:
    return f"{cookie}\x00{request.cookies.get(SESSION, '')}"
