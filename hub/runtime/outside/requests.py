"""HTTP requests: a template and its parameters as a request, its answer as a value or an error."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from hub.errorclasses import retry_after
from hub.errors import ParameterError, RequestFailed, UsageError
from hub.runtime.outside.setting import INFO, Setting
from hub.runtime.outside.texts import filled, text_of, tree_of
from hub.sdk.connections import connection
from hub.sdk.outside.https import Http
from hub.sdk.outside.templates import Piece
from hub.secretfields import scrubbed

if TYPE_CHECKING:
    import httpx2

_TIMEOUT_S = 30.0
_SHOWN = 500
_KEPT_OF_ERROR = 8_000
_REDIRECTS = 5
_HIDDEN = frozenset({"set-cookie", "authorization", "proxy-authorization"})


def run(spec: Http, values: Mapping[str, Any], setting: Setting) -> Any:
    """Make the request; gives what its option `output` says. Raises RequestFailed, ParameterError."""
    import httpx2  # noqa: PLC0415 - a quarter of a second that other flows should not pay

    asked = _request(spec, values, setting)
    url, shown, timeout = asked.url, f"{spec.method} {_bare(asked.url)}", asked.timeout
    try:
        client = httpx2.Client(
            follow_redirects=spec.follow_redirects, max_redirects=_REDIRECTS, timeout=setting.wait_s(timeout)
        )
        with client, client.stream(spec.method, url, **asked.given) as response:
            return _answer(spec, shown, response, setting, asked.service)
    except httpx2.TimeoutException as error:
        setting.go_on()  # the task's own time limit, if it is that
        raise RequestFailed(f"{shown}: no answer within {timeout:g} s", error_class="timeout") from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
        raise RequestFailed(f"{shown}: {_why(error, url)}", error_class="user_error") from None
    except httpx2.HTTPError as error:
        raise RequestFailed(f"{shown}: {_why(error, url)}", error_class="infrastructure") from None


@dataclass(slots=True)
class _Asked:
    """A request; `service` are the settings of its connection, whose secrets appear nowhere."""

    url: str
    given: dict[str, Any]
    timeout: float
    service: Any = None


def _request(spec: Http, values: Mapping[str, Any], setting: Setting) -> _Asked:
    url = filled(spec.url, values, _encoded)
    if any(part in (".", "..") for part in urlsplit(url).path.split("/")):
        raise ParameterError("a parameter would make a path of '.' or '..'", hint="Such a path leads elsewhere.")
    headers = {name: _header(name, filled(value, values)) for name, value in spec.headers}
    if spec.idempotency_key:
        headers["Idempotency-Key"] = setting.idempotency_key
    given: dict[str, Any] = {"headers": headers}
    if spec.params:
        named = tree_of(spec.params, values)
        given["params"] = {key: _param(value) for key, value in named.items() if value is not None}
    if spec.json is not None:
        given["content"] = _written(tree_of(spec.json, values))
        headers.setdefault("Content-Type", "application/json")
    elif spec.data is not None:
        body = tree_of(spec.data, values)
        given["data" if isinstance(body, dict) else "content"] = body
    asked = _Asked(url, given, spec.timeout or _TIMEOUT_S)
    if spec.connection is not None:
        _go_through(spec, asked)
    return asked


def _go_through(spec: Http, asked: _Asked) -> None:
    """Send the request to a connection's service, with its credential."""
    found = connection(str(spec.connection))
    if found.kind != "http":
        raise UsageError(f"connection {spec.connection!r} is of the kind {found.kind}, not http")
    service = asked.service = found.settings
    if service.token is not None:
        asked.given["headers"]["Authorization"] = f"Bearer {service.token.get_secret_value()}"
    elif service.user:
        asked.given["auth"] = (service.user, service.password.get_secret_value() if service.password else "")
    asked.url = service.url.rstrip("/") + asked.url
    asked.timeout = spec.timeout or service.timeout


def _answer(spec: Http, shown: str, response: httpx2.Response, setting: Setting, service: Any) -> Any:
    status = response.status_code
    fine = status in spec.expected if spec.expected else 200 <= status < 300
    began = time.monotonic()
    body = _body(response, spec.max_body if fine else _KEPT_OF_ERROR, setting)
    setting.log(INFO, f"{shown}: {status}, {'more than ' if body is None else ''}{len(body or b'')} bytes")
    if not fine:
        raise _failure(spec, shown, response, body or b"", service)
    if body is None:
        raise RequestFailed(f"{shown}: its body is larger than {spec.max_body} bytes", hint="Raise max_body.")
    text = (
        body.decode(response.encoding or "utf-8", "replace").replace("\0", "\ufffd") if spec.output != "bytes" else ""
    )
    if spec.output == "response":
        headers = {key.lower(): value for key, value in response.headers.items() if key.lower() not in _HIDDEN}
        return {"status": status, "headers": headers, "text": text, "seconds": round(time.monotonic() - began, 6)}
    if spec.output == "json":
        return _parsed(shown, response, body)
    return body if spec.output == "bytes" else text


def _body(response: httpx2.Response, limit: int, setting: Setting) -> bytes | None:
    """The body, within the time that is left; None when it is larger than `limit`."""
    parts, size = list[bytes](), 0
    for part in response.iter_bytes():
        setting.go_on()
        size += len(part)
        if size > limit:
            return b"".join(parts)[:limit] if limit == _KEPT_OF_ERROR else None
        parts.append(part)
    return b"".join(parts)


def _failure(spec: Http, shown: str, response: httpx2.Response, body: bytes, service: Any) -> RequestFailed:
    status, text = response.status_code, body.decode("utf-8", "replace").replace("\0", "\ufffd")
    if service is not None:  # some services say back what they were sent
        text = scrubbed(text, service)
    hint = ""
    if 300 <= status < 400:
        hint = f"It redirects to {_bare(response.headers.get('location', ''))}; follow_redirects=True follows."
    kinds = {429: "rate_limited", 408: "timeout", 504: "timeout"}
    known = {**kinds, **dict(spec.status_classes)}
    what = f"{shown} was answered {status} {response.reason_phrase}".rstrip()
    return RequestFailed(
        f"{what}: {text[:_SHOWN]}" if text.strip() else what,
        hint=hint, status_code=status, body=text, retry_after=retry_after(_Answer(response.headers), now=time.time()),
        error_class=known.get(status, "infrastructure" if status >= 500 else "user_error"),
    )  # fmt: skip


class _Answer(Exception):
    """An error with headers, as `hub.errorclasses` reads them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.headers = headers


def _parsed(shown: str, response: httpx2.Response, body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = response.headers.get("content-type", "no type")[:100]
        raise RequestFailed(
            f"{shown}: the body ({kind}) is not JSON: {error}", hint="output='text' takes it as it is.",
            status_code=response.status_code, body=body[:_KEPT_OF_ERROR].decode("utf-8", "replace"),
        ) from None  # fmt: skip


def _encoded(piece: Piece, value: Any) -> str:
    return quote(text_of(piece, value), safe="")


def _header(name: str, value: str) -> str:
    if "\r" in value or "\n" in value:
        raise ParameterError(f"header {name} would have a line break")
    return value


def _param(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [text_of(Piece(name="params"), item) for item in value]
    return text_of(Piece(name="params"), value)


def _written(tree: Any) -> bytes:
    try:
        return json.dumps(tree, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError, UnicodeError) as error:
        raise ParameterError(f"the parameters cannot be sent as JSON: {type(error).__name__}") from None


def _bare(url: str) -> str:
    """An address without what may be a secret in it: user, password, query, fragment."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        where = f"{parts.scheme}://{parts.hostname or ''}{port}" if parts.scheme else ""
    except ValueError:
        return "(a wrong address)"
    return f"{where}{parts.path}"[:300]


def _why(error: Exception, url: str) -> str:
    # Some of the library's messages quote the address.
    text = str(error).replace(url, _bare(url))
    return f"{type(error).__name__}: {text}"[:_SHOWN] if text else type(error).__name__
