"""Who may talk to the console: the Host check, the Origin check, and the headers of every answer.

A page of another site can make a browser send requests to this hub. The Host check stops DNS rebinding (a
wrong Host answers 421), the Origin check stops cross-site POSTs (403). The webhook door, the sync endpoints
and the health paths are meant for strangers and machines, and are exempt from both.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.settings import Settings, is_loopback
from hub.web.own import SCOPE_KEY
from hub.web.problems import problem

OPEN_PATHS = ("/in/", "/sync/")
HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class HostGuard:
    """Pure ASGI middleware: refuses a wrong Host and cross-site writes, and adds the security headers."""

    def __init__(self, app: ASGIApp, *, public_url: str = "", hosts: Iterable[str] = (), tls: bool = False) -> None:
        self.app = app
        public = urlsplit(public_url)
        named = {name.strip().lower().strip("[]") for name in hosts if name.strip()}
        self.hosts = named | ({public.hostname} if public.hostname else set())
        self.public_origin = _origin(public_url) if public_url else None
        self.headers = dict(SECURITY_HEADERS)
        if public.scheme == "https" or tls:
            self.headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = None if is_open(scope["path"]) else self._refusal(Request(scope))
        await (refusal or self.app)(scope, receive, self._with_headers(send))

    def _refusal(self, request: Request) -> ASGIApp | None:
        host = host_of(request.headers)
        if host is None or not (is_loopback(host) or host in self.hosts):
            detail = f"this hub does not answer to the name {(host or '(none)')[:100]!r}"
            hint = "set HUB_PUBLIC_URL to the address people use, or add the name to HUB_WEB_HOSTS"
            return problem(request, 421, "wrong-host", detail, hint=hint)
        if request.method not in SAFE_METHODS and not self._same_site(request):
            hint = "send it from the hub's own pages, or from a program (without Origin and Sec-Fetch-Site)"
            return problem(request, 403, "cross-site", "a page of another site sent this request", hint=hint)
        return None

    def _same_site(self, request: Request) -> bool:
        fetch_site = request.headers.get("sec-fetch-site")
        if fetch_site is not None and fetch_site not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is None:
            return True
        return _origin(origin) in (
            self.public_origin,
            _origin(f"{request.url.scheme}://{request.headers['host']}"),
        )

    def _with_headers(self, send: Send) -> Send:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        return sender


def address_of(settings: Settings, request: Request) -> str:
    """How people reach this hub, without a slash at the end: for links that are sent to them.

    The public URL; else the address that was asked for, which a command of this machine does not say.
    """
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if request.scope.get("hub.inprocess") is True or request.scope.get(SCOPE_KEY) is True:
        return f"{'https' if settings.web_tls_cert else 'http'}://{settings.web_host}:{settings.web_port}"
    return str(request.base_url).rstrip("/")


def is_open(path: str) -> bool:
    """Whether the path is one that strangers and machines may reach under any Host."""
    return path.startswith(OPEN_PATHS) or path in HEALTH_PATHS


def host_of(headers: Headers) -> str | None:
    """The name in the Host header without its port; None unless there is exactly one, well formed."""
    values = headers.getlist("host")
    if len(values) != 1:
        return None
    try:
        return urlsplit(f"//{values[0]}").hostname
    except ValueError:
        return None


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return None  # "null" and browser extensions
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)
