"""Requests to an API with a connection's credential, to addresses that the hub may call, and what answers mean."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from hub.errorclasses import ErrorClass
from hub.errors import PermanentError, TransientError, UsageError
from hub.outbound.again import retry_after
from hub.outbound.call import Answer, Caller, Limits
from hub.outbound.rule import allowing
from hub.secretfields import scrubbed
from hub.settings import load_settings

from hub_plugins.openapi.document import LARGEST, Document
from hub_plugins.openapi.requests import Request
from hub_plugins.openapi.settings import OpenApi

_SAFE = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
_KEEP_S = 300.0
_EARLY_S = 30.0
_MOST = 50
_SHOWN = 500


class OpenApiError(Exception):
    """The API refused or did not answer. `status` of its answer, `body` its beginning.

    `is_uncertain`: it may have been done all the same, and doing it again could do it twice.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, body: str = "",
        error_class: ErrorClass | None = None, is_uncertain: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.body = body
        self.error_class = error_class
        self.is_uncertain = is_uncertain


class Client:
    """One connection's API."""

    def __init__(self, settings: OpenApi) -> None:
        self.settings = settings
        rule = allowing(load_settings().outbound_networks)
        self._caller = Caller(rule, Limits(total_s=settings.timeout, body=LARGEST))

    @property
    def document(self) -> Document:
        """The API's document, read at most every five minutes. Raises OpenApiError."""
        known = _documents.get(self.settings)
        if known is not None:
            return known  # type: ignore[no-any-return]
        if self.settings.document.startswith("/"):
            data = _file(self.settings.document)
        else:
            is_own = bool(self.settings.url) and _origin(self.settings.document) == _origin(self.settings.url)
            headers = self._credential()[0] if is_own else {}
            answer = self._ask("GET", self.settings.document, headers, b"", safe=True)
            data = answer.body
        try:
            return _documents.keep(self.settings, Document(data), _KEEP_S)  # type: ignore[no-any-return]
        except PermanentError as error:
            raise OpenApiError(f"{_bare(self.settings.document)}: {error}") from None

    @property
    def url(self) -> str:
        """The API's address, without a slash at its end. Raises OpenApiError."""
        if self.settings.url:
            return self.settings.url.rstrip("/")
        place, server = self.settings.document, self.document.server
        found = server if place.startswith("/") else urljoin(place, server or "/")
        if not found.startswith(("http://", "https://")):
            raise OpenApiError("the document does not say where the API is: give the connection a `url`")
        if not place.startswith("/") and _origin(found) != _origin(place):
            # Whoever writes the document must not choose who gets the credential.
            told = f"the document of {_origin(place)} names {_origin(found)} as the API"
            raise OpenApiError(f"{told}: say in the connection's `url` that this is so")
        return found.rstrip("/")

    def send(self, asked: Request, *, is_once: bool) -> Answer:
        """Send a request; gives an answer of 2xx. `is_once`: a second one does nothing more. Raises OpenApiError."""
        return self.follow(self.url + asked.path, asked, is_once=is_once)

    def follow(self, url: str, asked: Request, *, is_once: bool = True) -> Answer:
        """Send it to this address, which must be the API's own. Raises OpenApiError."""
        if _origin(url) != _origin(self.url):
            raise OpenApiError(f"the next page is said to be at {_origin(url)}, which is not the API's own address")
        safe = is_once or asked.method in _SAFE
        for _ in range(2):
            headers, more = self._credential()
            full = url + (f"{'&' if '?' in url else '?'}{more}" if more else "")
            answer = self._ask(asked.method, full, _joined(asked.headers, headers), asked.body, safe=safe, raises=False)
            if answer.status != 401 or not _tokens.drop(self.settings):
                break  # else the token was withdrawn before its time
        return self._fine(asked.method, url, answer, safe=safe)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, safe: bool, raises: bool = True
    ) -> Answer:  # fmt: skip
        try:
            answer = self._caller.call(method, url, headers=headers, body=body)
        except TransientError as error:
            told = scrubbed(f"{method} {_bare(url)}: {error}", self.settings)
            late = ErrorClass.TIMEOUT if "within" in str(error) else ErrorClass.INFRASTRUCTURE
            sent = "no whole answer" in str(error)
            raise OpenApiError(told, error_class=late, is_uncertain=sent and not safe) from None
        except PermanentError as error:
            raise OpenApiError(scrubbed(f"{method} {_bare(url)}: {error}", self.settings)) from None
        except (ValueError, UnicodeEncodeError):
            raise OpenApiError("no request can be made: a header is not ASCII, or has a line break") from None
        return self._fine(method, url, answer, safe=safe) if raises else answer

    def _fine(self, method: str, url: str, answer: Answer, *, safe: bool) -> Answer:
        told = f"{method} {_bare(url)}"
        if answer.cut:
            raise OpenApiError(f"{told}: the answer is larger than {LARGEST // 1024**2} MiB", status=answer.status)
        if 200 <= answer.status < 300:
            return answer
        text = scrubbed(answer.body.decode("utf-8", "replace").replace("\0", "\ufffd"), self.settings)
        wait = retry_after(answer.headers.get("retry-after"))
        hint = f" (to {_bare(answer.headers.get('location', ''))})" if 300 <= answer.status < 400 else ""
        # 429 and 503 say that nothing was done; what else is 5xx may have been.
        uncertain = not safe and answer.status >= 500 and answer.status != 503
        raise OpenApiError(
            f"{told} was answered {answer.status}{hint}: {text[:_SHOWN]}".rstrip(": "), status=answer.status,
            retry_after=wait, body=text[:8_000], is_uncertain=uncertain,
        )  # fmt: skip

    def _credential(self) -> tuple[dict[str, str], str]:
        """Headers, and what is added to the query."""
        given, secret = self.settings, _reveal
        if given.auth == "bearer":
            return {"authorization": f"Bearer {secret(given.token)}"}, ""
        if given.auth == "basic":
            pair = base64.b64encode(f"{given.user}:{secret(given.password)}".encode()).decode()
            return {"authorization": f"Basic {pair}"}, ""
        if given.auth == "oauth2":
            return {"authorization": f"Bearer {self._token()}"}, ""
        if given.auth == "api-key" and given.key_in == "query":
            return {}, urlencode({given.key_name: secret(given.key)})
        if given.auth == "api-key":
            value = secret(given.key)
            return {"cookie": f"{given.key_name}={value}"} if given.key_in == "cookie" else {given.key_name: value}, ""
        return {}, ""

    def _token(self) -> str:
        """A token of the client's own (RFC 6749, 4.4), kept until shortly before it expires."""
        known = _tokens.get(self.settings)
        if known is not None:
            return str(known)
        pair = base64.b64encode(f"{self.settings.client_id}:{_reveal(self.settings.client_secret)}".encode()).decode()
        form = {"grant_type": "client_credentials"} | ({"scope": self.settings.scope} if self.settings.scope else {})
        headers = {
            "authorization": f"Basic {pair}", "content-type": "application/x-www-form-urlencoded",
            "accept": "application/json",
        }  # fmt: skip
        answer = self._ask("POST", self.settings.token_url, headers, urlencode(form).encode(), safe=True)
        try:
            found = json.loads(answer.body)
            token, lasts = str(found["access_token"]), float(found.get("expires_in") or 300)
        except (ValueError, KeyError, TypeError):
            raise OpenApiError("what answers at token_url gives no access_token") from None
        _tokens.keep(self.settings, token, max(1.0, lasts - _EARLY_S))
        return token


class _Kept:
    """A few things for a while, in this process, by the whole of a connection's settings."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[OpenApi, tuple[float, Any]] = {}

    def get(self, name: OpenApi) -> Any:
        until, found = self._items.get(name, (0.0, None))
        return found if time.monotonic() < until else None

    def keep(self, name: OpenApi, item: Any, seconds: float) -> Any:
        with self._lock:
            self._items.pop(name, None)
            self._items[name] = (time.monotonic() + seconds, item)
            while len(self._items) > _MOST:
                del self._items[next(iter(self._items))]
        return item

    def drop(self, name: OpenApi) -> bool:
        return self._items.pop(name, None) is not None


_documents, _tokens = _Kept(), _Kept()


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise OpenApiError(f"{path} cannot be read: {error.strerror}") from None


def _joined(asked: Mapping[str, str], credential: Mapping[str, str]) -> dict[str, str]:
    cookie = "; ".join(one["cookie"] for one in (asked, credential) if "cookie" in one)
    return {**asked, **credential, **({"cookie": cookie} if cookie else {})}


def _reveal(secret: Any) -> str:
    if secret is None:
        raise UsageError("the connection has not what its `auth` needs")
    return str(secret.get_secret_value())


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _bare(url: str) -> str:
    """An address without its query, which may hold secrets."""
    return url.partition("?")[0][:300]
