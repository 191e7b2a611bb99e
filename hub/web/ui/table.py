"""The table of pages: one decorator makes a function a page, with the scope it needs.

    @pages.get("/ui/runs", needs="runs:read")
    def runs(view: View) -> Response: ...

Functions are sync and run in the thread pool. Every answer to a refusal is itself a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from hub.errors import AuthenticationError, HubError, PermissionError_
from hub.types import Scope
from hub.web.api.op import BODY_SECONDS, read_body
from hub.web.auth import SIGNED_IN
from hub.web.matrix import Access, Declared
from hub.web.ui import csrf
from hub.web.ui.view import Form, View

MAX_FORM = 262_144
Handler = Callable[[View], Response]


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is registered. `needs` None: anybody may see it, and `trusts` says what makes that safe."""

    method: str
    path: str
    handler: Handler
    needs: str | None
    trusts: str = ""


@dataclass
class Pages:
    """A table of pages."""

    table: list[Page] = field(default_factory=list)

    def get(self, path: str, *, needs: str | None, trusts: str = "") -> Callable[[Handler], Handler]:
        """Register a page that shows something."""
        return self._add("GET", path, needs, trusts)

    def post(self, path: str, *, needs: str | None, trusts: str = "") -> Callable[[Handler], Handler]:
        """Register what a form does. Its token is checked before the function is called."""
        return self._add("POST", path, needs, trusts)

    def _add(self, method: str, path: str, needs: str | None, trusts: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.table.append(Page(method, path, handler, needs, trusts))
            return handler

        return register

    def include(self, other: Pages) -> None:
        """Take over the pages of another table."""
        self.table.extend(other.table)

    def routes(self) -> list[BaseRoute]:
        """One route a path; fixed paths before patterns, so that /sources/new is not a source."""
        by_path: dict[str, dict[str, Page]] = {}
        for page in self.table:
            if by_path.setdefault(page.path, {}).setdefault(page.method, page) is not page:
                raise ValueError(f"two pages for {page.method} {page.path}")
        ordered = sorted(by_path.items(), key=lambda item: (":path}" in item[0], "{" in item[0], item[0]))
        return [_route(path, pages) for path, pages in ordered]


def _route(path: str, pages: dict[str, Page]) -> Declared:
    async def endpoint(request: Request) -> Response:
        page = pages["GET" if request.method == "HEAD" else request.method]
        raw = await read_body(request, MAX_FORM, BODY_SECONDS) if page.method == "POST" else b""
        return await run_in_threadpool(perform, page, request, raw)

    access = {method: Access(page.needs, page.trusts, page=True) for method, page in pages.items()}
    return Declared(path, endpoint, access, methods=sorted(pages), name=f"ui:{path}")


def perform(page: Page, request: Request, raw: bytes) -> Response:
    """Authorize, check the form's token, call, answer."""
    services = request.app.state.services
    view = View(request, services, None)
    try:
        view = replace(view, scope_or_none=_asker(services, request, page.needs))
        if page.needs:
            services.authorize(request, page.needs)
        if page.method == "POST":
            view = replace(view, form=Form(raw))
            csrf.check(services.store.keyring, request, view.form.text(csrf.FIELD))
        return page.handler(view)
    except AuthenticationError:
        return _to_login(request)
    except HubError as error:
        return refusal(view, error, needs=page.needs)


def _asker(services: Any, request: Request, needs: str | None) -> Scope | None:
    """Who asks. On a page for anybody, nobody need be known, and a stale token is nobody."""
    if needs is not None:
        scope: Scope = services.authorize(request, SIGNED_IN)
        return scope
    try:
        return services.auth.who(request)  # type: ignore[no-any-return]
    except AuthenticationError:
        return None


def refusal(view: View, error: HubError, *, needs: str | None = None) -> Response:
    """The page for an error of the hub: what happened, and what to do next."""
    lacking = isinstance(error, PermissionError_) and error.code == PermissionError_.code
    context: dict[str, Any] = {"error": error, "missing": (error.fields.get("needs") or needs) if lacking else None}
    return view.page("refusal.html", status=error.status, **context)


def _to_login(request: Request) -> Response:
    if request.headers.get("x-hub-fragment"):
        raise HTTPException(401)  # the script reloads the page, which then leads to the login
    after = request.url.path if request.method in ("GET", "HEAD") else "/ui"
    query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
    return RedirectResponse(f"/ui/login?{urlencode({'next': after + query})}", 303)
