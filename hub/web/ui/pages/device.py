"""Letting a terminal in: the page to which `hub login` leads."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from hub.errors import HubError, NotFoundError, PermissionError_
from hub.store import device_logins
from hub.web.auth import SIGNED_IN
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()
_LETTERS = re.compile(r"[^A-Z]")


@pages.get("/ui/device", needs=SIGNED_IN)
def device(view: View) -> Response:
    """Ask for the code, or show what the terminal with that code wants."""
    code = _code(view.query("user_code"))
    if not code:
        return _enter(view)
    row = _waiting(view, code)
    return _enter(view, NotFoundError("no terminal waits with this code")) if row is None else _confirm(view, row)


@pages.post("/ui/device", needs=SIGNED_IN)
def decide(view: View) -> Response:
    """Let the terminal in, or refuse it."""
    code, allow = _code(view.form.text("user_code")), view.form.text("answer") == "allow"
    if _waiting(view, code) is None:
        return _enter(view, NotFoundError("no terminal waits with this code"))
    try:
        view.change("login.decide", "", {"user_code": code, "allow": allow})
    except (NotFoundError, PermissionError_) as error:
        return _enter(view, error)
    title = "The terminal is in" if allow else "The terminal was refused"
    text = "You can close this page and go back to it." if allow else "Nobody has come in."
    return view.page("answer-over.html", title=title, text=text, good=True)


def _waiting(view: View, code: str) -> dict[str, Any] | None:
    """The login with that code. Raises RateLimitedError for somebody who guesses."""
    auth = view.services.auth
    auth.codes.check(address=auth.address(view.request))
    with view.store.read() as tx:
        row = device_logins.by_code(tx, code)
        now = tx.now
    if row is None:
        auth.codes.failed(address=auth.address(view.request))
        return None
    return {**row, "now": now}


def _confirm(view: View, row: dict[str, Any]) -> Response:
    mine = row["address"] == view.services.auth.address(view.request)
    return view.page("device-confirm.html", row=row, now=row["now"], mine=mine)


def _enter(view: View, error: HubError | None = None) -> Response:
    status = error.status if error else 200
    return view.page("device.html", status=status, error=error, code=view.query("user_code") if error else "")


def _code(typed: str) -> str:
    """The code as it is kept, however it was typed: letters in two groups of four."""
    letters = _LETTERS.sub("", typed.upper()[:40])
    return f"{letters[:4]}-{letters[4:]}" if len(letters) == 8 else ""
