"""What belongs to the reader: signing in and out, colours; and the page for addresses that do not exist."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.responses import Response

from hub.errors import AuthenticationError, NotFoundError, RateLimitedError
from hub.web.auth import SIGNED_IN
from hub.web.ui.table import Pages
from hub.web.ui.templating import link
from hub.web.ui.view import THEME_COOKIE, THEMES, View

pages = Pages()
YEAR = 31_536_000
MAX_NAME = 200
MAX_PASSWORD = 1000


@pages.get("/ui/login", needs=None, trusts="a form, no more")
def login_page(view: View) -> Response:
    """The form to sign in; who is known already goes on."""
    after = inside(view.query("next"))
    if view.scope_or_none is not None and not view.query("done"):
        return view.go(after)
    return view.page("login.html", after=after, name="", error=None)


@pages.post("/ui/login", needs=None, trusts="name and password")
def login(view: View) -> Response:
    """Sign in, and go where one wanted to."""
    name, password = view.form.text("name")[:MAX_NAME], view.form.raw("password") or ""
    after = inside(view.form.text("next"))
    try:
        user = view.services.auth.log_in(view.request, name, password[:MAX_PASSWORD])
    except (AuthenticationError, RateLimitedError) as error:
        return view.page("login.html", status=error.status, after=after, name=name, error=error)
    answer = view.go(after)
    view.services.auth.begin_session(answer, user)
    return answer


@pages.post("/ui/logout", needs=SIGNED_IN)
def logout(view: View) -> Response:
    """End the session."""
    answer = view.go(link("/ui/login", done="signed-out"))
    view.services.auth.end_session(answer, view.scope)
    return answer


@pages.post("/ui/theme", needs=None, trusts="sets a cookie of the reader, no more")
def theme(view: View) -> Response:
    """Keep the chosen colours in a cookie."""
    answer = view.go(inside(view.form.text("back")))
    chosen = view.form.text("theme")
    view.keep_cookie(answer, THEME_COOKIE, chosen if chosen in THEMES else "auto", max_age=YEAR)
    return answer


@pages.get("/ui/{rest:path}", needs=SIGNED_IN)
def nowhere(view: View) -> Response:
    """Any other address under /ui."""
    raise NotFoundError(f"there is no page {view.request.url.path[:200]}", hint="The menu leads to those there are.")


def inside(address: str) -> str:
    """An address within the dashboard, or its first page: a form must not send anybody elsewhere."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/ui"
    within = parts.path == "/ui" or parts.path.startswith("/ui/")
    if parts.scheme or parts.netloc or not within or ".." in parts.path or "\\" in parts.path:
        return "/ui"
    return parts.path + (f"?{parts.query}" if parts.query else "")
