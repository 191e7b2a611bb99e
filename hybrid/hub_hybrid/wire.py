"""Requests to a plane: one pool of connections, a timeout on everything, answers of bounded size."""

from __future__ import annotations

import json
from typing import Any, Protocol

import httpx2
from hub.errors import HubError, TransientError
from hub.version import __version__

from hub_hybrid import packing
from hub_hybrid.credentials import Credentials, Fixed
from hub_hybrid.exchange import Answer
from hub_hybrid.protocol import PROTOCOL

MAX_ANSWER = 4 * 1_048_576
CONNECT_S = 10.0
ANSWER_S = 30.0


class Wire(Protocol):
    """What the agent needs of the network."""

    packs: bool
    """Whether what is large is sent as gzip: the plane has said that it reads that."""

    def send(self, method: str, path: str, body: Any = None, *, wait: float = 0, limit: float = ANSWER_S) -> Answer:
        """Send one request. Raises TransientError when no answer comes.

        `wait` is how long the plane may think on purpose, `limit` the time it has beside that.
        """

    def close(self) -> None:
        """Give connections back."""


class HttpWire:
    """The network. `transport` stands in for it in tests."""

    def __init__(self, url: str, credentials: Credentials | str, transport: httpx2.BaseTransport | None = None) -> None:
        self.packs = False
        self._credentials = Fixed(credentials) if isinstance(credentials, str) else credentials
        self._http = httpx2.Client(
            base_url=url,
            headers={"user-agent": f"hub/{__version__}", "hub-sync": str(PROTOCOL), "accept-encoding": packing.GZIP},
            timeout=httpx2.Timeout(ANSWER_S, connect=CONNECT_S),
            follow_redirects=False,
            transport=transport,
        )

    def send(self, method: str, path: str, body: Any = None, *, wait: float = 0, limit: float = ANSWER_S) -> Answer:
        """See Wire.send. A token that is no longer good is replaced by another one, once."""
        token = self._credentials.bearer(self._asked)
        if isinstance(token, Answer):
            return token
        answer = self._send(method, path, body, token, wait, limit)
        if answer.status != 401 or not self._credentials.refused():
            return answer
        token = self._credentials.bearer(self._asked)
        return token if isinstance(token, Answer) else self._send(method, path, body, token, wait, limit)

    def ask(self, path: str, body: dict[str, Any]) -> Answer:
        """Post something with the token, as `rotate` does."""
        return self.send("POST", path, body)

    def _asked(self, path: str, body: dict[str, Any]) -> Answer:
        return self._send("POST", path, body, "", 0, ANSWER_S)

    def _send(self, method: str, path: str, body: Any, token: str, wait: float, limit: float) -> Answer:
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        if content is not None:
            headers["content-type"] = "application/json"
            if self.packs and len(content) >= packing.WORTH_IT:
                content, headers["content-encoding"] = packing.packed(content), packing.GZIP
        timeout = httpx2.Timeout(limit, connect=min(CONNECT_S, limit), read=limit + wait)
        try:
            with self._http.stream(
                method, f"/sync/v1{path}", content=content, headers=headers, timeout=timeout
            ) as response:
                return _answer(response)
        except httpx2.HTTPError as error:
            # The text of a transport's error may hold the address, never the token: that is a header.
            raise TransientError(f"the plane does not answer: {type(error).__name__}: {error}"[:300]) from None

    def close(self) -> None:
        """See Wire.close."""
        self._http.close()


def _answer(response: httpx2.Response) -> Answer:
    try:
        read = packing.Unpacking(response.headers.get("content-encoding", "").strip().lower(), MAX_ANSWER)
        for piece in response.iter_raw():
            read.take(piece)
        raw = read.whole()
    except packing.TooLarge:
        raise TransientError("the plane's answer is too large") from None
    except HubError as error:
        raise TransientError(f"the plane's answer cannot be read: {error.detail}") from None
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        body = {}
    told = response.headers.get("retry-after", "")
    retry_after = float(told) if told.isascii() and told.isdigit() else None
    return Answer(response.status_code, body if isinstance(body, dict) else {}, retry_after)
