"""A typed-enough, synchronous client of the hub's API: what every command of `hub` talks through.

    with Client("http://127.0.0.1:4300", token="hub_api_...") as client:
        run = client.post("/deployments/nightly/runs", {"parameters": {"day": "2026-01-31"}})
        for line in client.items(f"/runs/{run['id']}/logs"):
            print(line["message"])

Answers are plain JSON values. A problem comes back as the class of `hub.errors` it was raised as. What is
safe to repeat is repeated when the hub is away for a moment; a POST carries an Idempotency-Key, so it is
safe too.
"""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import quote

import httpx2
from pydantic_core import to_json

from hub.client.problems import error_of
from hub.client.stream import Message, messages
from hub.errors import HubError, UnavailableError, UsageError
from hub.types import Json, JsonObject, new_id
from hub.version import __version__

PREFIX = "/api/v1"
TRIES = 4
FIRST_WAIT = 0.2
LONGEST_WAIT = 5.0
_AGAIN = frozenset({429, 502, 503, 504})
TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
Query = Mapping[str, Any]


class Client:
    """Talks to one hub. `transport` replaces the network (see `hub.client.inprocess`); times in seconds.

    `ca` is the certificate (PEM) of who signed the hub's, where the system does not know it.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        transport: httpx2.BaseTransport | None = None,
        timeout: httpx2.Timeout | float = TIMEOUT,
        tries: int = TRIES,
        ca: Path | None = None,
    ) -> None:
        headers = {"user-agent": f"hub/{__version__}", "accept": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self.url = url.rstrip("/")
        self.tries = tries
        self._http = httpx2.Client(
            base_url=self.url, headers=headers, transport=transport, timeout=timeout, follow_redirects=False,
            verify=trusting(ca),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def close(self) -> None:
        """Give back connections."""
        self._http.close()

    def get(self, path: str, query: Query | None = None) -> Any:
        """Read one thing."""
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, *, key: str | None = None, query: Query | None = None) -> Any:
        """Make or do something. `key` is the Idempotency-Key; one is made when it is not given."""
        return self.request("POST", path, body=body, query=query, key=key or new_id())

    def put(self, path: str, body: Any) -> Any:
        """Make a thing be as given."""
        return self.request("PUT", path, body=body)

    def patch(self, path: str, body: Any) -> Any:
        """Change some fields of a thing. Not repeated by itself."""
        return self.request("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        """Remove a thing."""
        self.request("DELETE", path)

    def page(self, path: str, query: Query | None = None) -> tuple[list[JsonObject], str | None]:
        """Read one page of a list: its items and the cursor of the next one, None at the end."""
        answer = self.get(path, query)
        return answer["items"], answer["next_cursor"]

    def items(self, path: str, query: Query | None = None, *, limit: int | None = None) -> Iterator[JsonObject]:
        """Read a list to its end, or to `limit` items, page by page."""
        asked = dict(query or {})
        left = limit
        while left is None or left > 0:
            asked["limit"] = min(left or 200, 200)
            found, cursor = self.page(path, asked)
            yield from found[:left]
            if left is not None:
                left -= len(found)
            if cursor is None:
                return
            asked["cursor"] = cursor

    def stream(
        self,
        path: str = "/stream",
        query: Query | None = None,
        *,
        last_id: str = "",
        lost: Callable[[UnavailableError], None] | None = None,
    ) -> Iterator[Message]:
        """Follow a stream of server-sent events; reconnects and goes on after the last one seen.

        Raises UnavailableError when the hub stays away. With `lost` it goes on trying, and tells it of each break.
        """
        plain = _plain(query)
        return messages(self._http, self._path(path), plain, last_id=last_id, tries=self.tries, lost=lost)

    def request(
        self, method: str, path: str, *, query: Query | None = None, body: Any = None, key: str | None = None
    ) -> Any:
        """Send one request, again if that is safe and may help; the answer's JSON, or None."""
        response = self.raw(method, path, query=query, body=body, key=key)
        if not response.content:
            return None
        if "json" not in response.headers.get("content-type", ""):
            return response.text
        return cast(Json, response.json())

    def raw(
        self, method: str, path: str, *, query: Query | None = None, body: Any = None, key: str | None = None
    ) -> httpx2.Response:
        """As `request`, but gives the whole answer (already checked for problems)."""
        headers = {"idempotency-key": key} if key else {}
        content = None
        if body is not None:
            content, headers["content-type"] = to_json(body, inf_nan_mode="constants"), "application/json"
        request = self._http.build_request(
            method, self._path(path), params=_plain(query), content=content, headers=headers
        )
        tries = self.tries if key or method in ("GET", "HEAD", "PUT", "DELETE") else 1
        return self._send(request, tries)

    def _send(self, request: httpx2.Request, tries: int) -> httpx2.Response:
        for number in range(1, tries + 1):
            answer = self._try(request)
            if isinstance(answer, httpx2.Response) and answer.status_code not in _AGAIN:
                break
            if number < tries:
                time.sleep(_wait(number, answer))
        if isinstance(answer, HubError):
            raise answer
        if answer.status_code >= 300:
            raise error_of(answer)
        return answer

    def _try(self, request: httpx2.Request) -> httpx2.Response | UnavailableError:
        try:
            return self._http.send(request)
        except httpx2.TransportError as error:
            return unreachable(self.url, error)

    def _path(self, path: str) -> str:
        return path if path.startswith(("/api/", "/sync/", "/in/")) else PREFIX + path


def trusting(ca: Path | None) -> ssl.SSLContext | bool:
    """Whom to trust: whom the system trusts, and who has that certificate. Raises UsageError for none."""
    if ca is None:
        return True
    try:
        context = ssl.create_default_context()
        context.load_verify_locations(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{ca} is no certificate that can be read: {error}", hint="See HUB_API_CA.") from None
    return context


def segment(name: str) -> str:
    """Quote a name for use in a path."""
    return quote(name, safe="")


def unreachable(url: str, error: Exception) -> UnavailableError:
    """The error for a hub that does not answer."""
    what = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
    hint = "is `hub up` running there? HUB_API_URL names the address; unset it to use the local store"
    return UnavailableError(f"the hub at {url} {what} ({error or type(error).__name__})", hint=hint)


def _wait(number: int, answer: httpx2.Response | HubError) -> float:
    told = answer.headers.get("retry-after", "") if isinstance(answer, httpx2.Response) else ""
    if told.isdigit():
        return min(float(told), LONGEST_WAIT)
    longest: float = min(FIRST_WAIT * 2.0 ** (number - 1), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load


def _plain(query: Query | None) -> dict[str, Any]:
    """Drop what was not given; write booleans as JSON does."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
