"""The answers of the door that tell a stranger nothing."""

from __future__ import annotations

import json
from typing import Any

from hub.web.door.short import Response

_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip
_PROBLEM = (b"content-type", b"application/problem+json")


def refusal(status: int, code: str, retry_after: int | None = None, *, allow: frozenset[str] = frozenset()) -> Response:
    """An answer that tells a stranger nothing."""
    document: dict[str, Any] = {"type": f"/errors/{code}", "title": _TITLES[status], "status": status, "code": code}
    headers = [_PROBLEM]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if allow:
        headers.append((b"allow", ", ".join(sorted(allow)).encode()))
    if status in (408, 431):
        headers.append((b"connection", b"close"))
    return status, json.dumps(document).encode(), headers
