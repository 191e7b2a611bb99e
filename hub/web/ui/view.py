"""One request for a page: who asks, what they may do, what they typed, and how it is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub.errors import AuthenticationError, NotFoundError, PermissionError_, UsageError
from hub.runtime.commands import Command, Outcome, apply
from hub.runtime.commands.registry import find
from hub.runtime.scopes import allows
from hub.store.base import Store
from hub.types import ID_PATTERN, Id, Scope, derived_id, new_id
from hub.web.ui import csrf
from hub.web.ui.navigation import NAVIGATION, NOTES
from hub.web.ui.templating import environment

MAX_FIELDS = 1000
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "hub_theme"
_ID = re.compile(ID_PATTERN)


class Form:
    """What was typed: texts by name, bounded. A name given several times keeps all its values."""

    def __init__(self, raw: bytes = b"") -> None:
        try:
            text = raw.decode("utf-8")
            self.values = parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, strict_parsing=bool(text))
        except ValueError:
            raise UsageError("the form could not be read", hint="Reload the page and send it again.") from None

    def text(self, name: str, default: str = "") -> str:
        """The last value of a field, without the spaces around it."""
        return self.values.get(name, [default])[-1].strip()

    def raw(self, name: str) -> str | None:
        """The last value as typed; None when the field was not sent."""
        return self.values[name][-1] if name in self.values else None

    def __contains__(self, name: str) -> bool:
        return name in self.values


@dataclass(frozen=True)
class View:
    """A request for a page, authorized. `scope` is None only on pages that anybody may see."""

    request: Request
    services: Any
    scope_or_none: Scope | None
    form: Form = field(default_factory=Form)

    @property
    def store(self) -> Store:
        """The open store."""
        store: Store = self.services.store
        return store

    @property
    def scope(self) -> Scope:
        """Where and as whom the page is shown; every query takes it."""
        if self.scope_or_none is None:
            raise AuthenticationError("this page needs a login")
        return self.scope_or_none

    @property
    def path(self) -> Mapping[str, str]:
        """The names in the path."""
        return self.request.path_params

    def id_of(self, name: str, noun: str) -> Id:
        """The id in the path. Raises NotFoundError for what cannot be one."""
        value: str = self.request.path_params[name]
        if not _ID.match(value):
            raise NotFoundError(f"there is no {noun} {value[:80]!r}")
        return value

    def query(self, name: str, default: str = "") -> str:
        """A value of the query string, bounded."""
        return self.request.query_params.get(name, default)[:400].replace("\x00", "")

    def allows(self, needs: str) -> bool:
        """Whether the asker holds a scope: buttons are drawn only then. The server checks again on the press."""
        return self.scope_or_none is not None and allows(self.scope_or_none.actor.scopes, needs)

    def brings(self, plugin: str) -> bool:
        """Whether a plugin is loaded; no name is the hub itself."""
        return not plugin or self.services.plugins.has(plugin)

    def may(self, op: str) -> bool:
        """Whether the asker may carry out an operation; False also when no plugin brings it."""
        try:
            return self.allows(find(op).needs)
        except UsageError:
            return False

    @cached_property
    def cookie(self) -> str:
        """The browser's form cookie, or the one this answer will set."""
        return self.request.cookies.get(csrf.COOKIE) or csrf.new_cookie()

    def change(self, op: str, target: str = "", args: Mapping[str, Any] | None = None) -> Outcome:
        """Carry out a command as the asker. Sending the same form twice does it once."""
        needs = find(op).needs
        if needs and not self.allows(needs):
            raise PermissionError_(f"this needs the scope {needs!r}", needs=needs)
        given = self.form.text("command_id")
        actor = str(self.scope.actor)
        command_id = derived_id(self.scope.workspace_id, "form", actor, op, target, given) if given else new_id()
        return apply(self.store, Command(op, self.scope, target, args or {}, id=command_id, via="ui"))

    def page(self, template: str, *, status: int = 200, folders: tuple[Path, ...] = (), **context: Any) -> Response:
        """Answer with a page."""
        shared = {
            "view": self, "here": self.request.url.path,
            "csrf": csrf.token(self.store.keyring, self.request, self.cookie),
            "command_id": new_id(), "navigation": NAVIGATION, "theme": self.theme,
            "note": NOTES.get(self.query("done"), ""), "topics": "", "fresh": "",
        }  # fmt: skip
        html = environment(*folders).get_template(template).render({**shared, **context})
        answer = HTMLResponse(html, status)
        if csrf.COOKIE not in self.request.cookies:
            self.keep_cookie(answer, csrf.COOKIE, self.cookie)
        return answer

    @property
    def theme(self) -> str:
        """The chosen colours: auto, light or dark."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else "auto"

    def keep_cookie(self, answer: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        """Set a cookie of the dashboard."""
        secure = self.request.url.scheme == "https"
        answer.set_cookie(name, value, max_age=max_age, path="/ui", httponly=True, samesite="strict", secure=secure)

    def go(self, address: str) -> Response:
        """Answer a form: 303 to the page that shows what came of it."""
        return RedirectResponse(address, 303)
