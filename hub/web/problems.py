"""Errors as answers: RFC 9457 problems for programs, a small page for people.

Every problem has `type` (`/errors/<code>`), `title`, `status`, `code`, `detail`, and often a `hint`.
A wrong input lists `errors`, each with its `location`. What the hub did not expect answers 500 with an `id`
that stands in the log beside the traceback; nothing of its inside is shown.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.errors import HubError
from hub.types import new_id

log = logging.getLogger("hub.web")

MAX_ERRORS = 50
TEMPLATES = Path(__file__).parent / "ui" / "templates"
_STARLETTE = {
    404: ("not-found", "look at /api/v1/openapi.json for what there is"),
    405: ("method-not-allowed", "the Allow header names the methods of this path"),
    413: ("body-too-large", "send less"),
}


class BodyTimeout(HubError):
    """The request's body did not arrive in time."""

    code = "body-timeout"
    status = 408

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:g} seconds", hint="send it again, faster")


class BodyCut(HubError):
    """The sender went away before its body was whole: nobody reads this, and it is no error of ours."""

    code = "body-cut"
    status = 400

    def __init__(self) -> None:
        super().__init__("the sender went away before the whole body had come", hint="send it again")


class BodyTooLarge(HubError):
    """The request's body is over the limit of its operation."""

    code = "body-too-large"
    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is over the limit of {limit} bytes", hint="send less")


def problem(
    request: Request | None,
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Response:
    """Make the answer for a problem: JSON, or a page when a browser asks for one."""
    document = {"type": f"/errors/{code}", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    document |= {"detail": detail} | ({"hint": hint} if hint else {}) | fields
    if request is not None and wants_page(request):
        page = _template().render(problem=document)
        return Response(page, status, headers=headers, media_type="text/html")
    body = json.dumps(document, ensure_ascii=False, default=str).encode("utf-8", "replace")
    return Response(body, status, headers=headers, media_type="application/problem+json")


def problem_of(request: Request | None, error: HubError) -> Response:
    """Make the answer for one of the hub's own errors."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="hub"'
    retry_after = error.fields.get("retry_after")
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    fields = _clean(error.fields)
    return problem(request, error.status, error.code, error.detail, hint=error.hint, headers=headers, **fields)


def problem_of_input(request: Request | None, error: ValidationError) -> Response:
    """Make the answer for an input that does not fit: every fault with its place, never the values."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    faults = [_fault(item) for item in found]
    count = len(faults)
    first = f"{faults[0]['location'] or 'the body'}: {faults[0]['message']}" if faults else "invalid input"
    detail = first if count == 1 else f"{first} (and {count - 1} more)"
    return problem(request, 422, "invalid", detail, errors=faults[:MAX_ERRORS])


def wants_page(request: Request) -> bool:
    """Whether a browser's address bar asks: it names text/html, programs do not."""
    return "text/html" in request.headers.get("accept", "")


def on_hub_error(request: Request, error: Exception) -> Response:
    """Answer an error of the hub (Starlette handler)."""
    assert isinstance(error, HubError)
    return problem_of(request, error)


def on_invalid(request: Request, error: Exception) -> Response:
    """Answer a pydantic error (Starlette handler)."""
    assert isinstance(error, ValidationError)
    return problem_of_input(request, error)


def on_http(request: Request, error: Exception) -> Response:
    """Answer what Starlette itself refuses: 404, 405 (with Allow), 413."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    code, hint = _STARLETTE.get(error.status_code, (phrase.lower().replace(" ", "-"), ""))
    detail = error.detail if error.detail != phrase else f"{request.method} {request.url.path}: {phrase}"
    return problem(request, error.status_code, code, detail, hint=hint, headers=error.headers)


HANDLERS: dict[Any, Any] = {HubError: on_hub_error, ValidationError: on_invalid, HTTPException: on_http}
"""Starlette's `exception_handlers` for the whole application."""


class LastResort:
    """Outermost middleware: what nobody expected is logged with an id and answered as 500 with that id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            error_id = new_id()
            log.exception("error %s while serving %s %s", error_id, scope["method"], scope["path"])
            if started:
                raise  # the server must cut the connection: half an answer is on its way
            await _unexpected(Request(scope), error_id)(scope, receive, send)


def _unexpected(request: Request, error_id: str) -> Response:
    detail = "the hub failed in a way it did not expect; nothing more is known here"
    hint = f"look for {error_id} in the log of the web process"
    return problem(request, 500, "internal", detail, hint=hint, id=error_id)


def _fault(item: Any) -> dict[str, str]:
    place = ".".join(str(part) for part in item["loc"])
    return {"location": place, "message": item["msg"], "code": item["type"]}


def _clean(fields: Mapping[str, object]) -> dict[str, object]:
    """Further fields of an error, without those the problem itself has."""
    own = {"type", "title", "status", "code", "detail", "hint", "request", "headers"}
    return {name: value for name, value in fields.items() if name not in own}


@lru_cache(maxsize=1)
def _template() -> Any:
    # Here, because only browsers get pages; a command line that asks the API in its own process never does.
    from jinja2 import Environment, FileSystemLoader, select_autoescape  # noqa: PLC0415 - as said

    loader = FileSystemLoader(TEMPLATES)
    return Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("error.html")
