"""The static files: known by name, read once, kept by browsers for ever under their digest."""

from __future__ import annotations

from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from hub.errors import NotFoundError
from hub.web.ui.templating import STATIC, digest

TYPES = {"hub.css": "text/css", "hub.js": "text/javascript", "steps.js": "text/javascript", "hub.svg": "image/svg+xml"}


async def asset(request: Request) -> Response:
    """GET /ui/static/{name}"""
    name = request.path_params["name"]
    if name not in TYPES:
        raise NotFoundError(f"there is no static file {name[:80]!r}")
    tag = f'"{digest(name)}"'
    fixed = request.query_params.get("v") == digest(name)
    headers = {"etag": tag, "cache-control": "public, max-age=31536000, immutable" if fixed else "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(_content(name), headers=headers, media_type=TYPES[name])


@lru_cache(maxsize=16)
def _content(name: str) -> bytes:
    return (STATIC / name).read_bytes()
