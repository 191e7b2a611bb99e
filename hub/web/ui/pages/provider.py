"""Signing in at an identity provider: there and back."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from hub.errors import AuthenticationError, HubError, NotFoundError, PermissionError_
from hub.runtime.commands import Command, apply
from hub.store import identity
from hub.types import DEFAULT_WORKSPACE, Actor, Scope
from hub.web.hosts import address_of
from hub.web.ui.pages.session import inside
from hub.web.ui.table import Pages
from hub.web.ui.view import View

pages = Pages()
COOKIE = "hub_oidc"
CALLBACK = "/ui/oidc/callback"


@pages.get("/ui/oidc/login", needs=None, trusts="leads to the identity provider")
def begin(view: View) -> Response:
    """Send the browser to the provider."""
    provider = _provider(view)
    try:
        where, cookie = provider.begin(_callback(view), inside(view.query("next")))
    except HubError as error:
        return view.page("login.html", status=error.status, after=inside(view.query("next")), name="", error=error)
    answer = RedirectResponse(where, 303)
    secure = view.services.auth.secure
    answer.set_cookie(COOKIE, cookie, max_age=600, path=CALLBACK, httponly=True, samesite="lax", secure=secure)
    return answer


@pages.get(CALLBACK, needs=None, trusts="the provider's signature, and the cookie of the browser that went there")
def finish(view: View) -> Response:
    """Take the provider's answer: make or find the account, and begin a session."""
    provider, auth = _provider(view), view.services.auth
    auth.links.check(address=auth.address(view.request))
    try:
        person, after = provider.finish(view.request.cookies.get(COOKIE, ""), view.request.query_params)
        if person.role is None:
            hint = "Ask whoever runs it: a group of yours must have a role (HUB_OIDC_ROLES)."
            raise PermissionError_(f"{person.name} may not come in to this hub", hint=hint, code="no-role")
        args = {"subject": person.subject, "name": person.name, "role": person.role}
        scope = Scope(DEFAULT_WORKSPACE, Actor("oidc", address=auth.address(view.request)))
        made = apply(view.store, Command("user.sign_on", scope, person.name, args, via="ui"))
    except (AuthenticationError, PermissionError_) as error:
        auth.links.failed(address=auth.address(view.request))
        return view.page("login.html", status=error.status, after="/ui", name="", error=error)
    except HubError as error:
        return view.page("login.html", status=error.status, after="/ui", name="", error=error)
    with view.store.read() as tx:
        user = identity.user(tx, str(made.result["id"])) or {}
    answer = view.go(after)
    auth.begin_session(answer, user)
    answer.delete_cookie(COOKIE, path=CALLBACK, httponly=True, samesite="lax", secure=auth.secure)
    return answer


def _callback(view: View) -> str:
    return f"{address_of(view.services.settings, view.request)}{CALLBACK}"


def _provider(view: View):  # type: ignore[no-untyped-def] # its module is imported only where there is a provider
    provider = view.services.auth.provider
    if provider is None:
        raise NotFoundError("this hub has no identity provider", hint="See HUB_OIDC_ISSUER.")
    return provider
