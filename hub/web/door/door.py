"""The door as an ASGI application: one request in, one answer out, and nothing answered before it is committed.

Order of work: headers, route, method, size, rate, body, handshake and verification, time window, dedupe, commit,
answer. Unknown, disabled and deleted sources get the same answer after the same work.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hub.errors import HubError
from hub.runtime.receipts import Answer, Incoming, Kept, Outdated, ReceiptWriter
from hub.settings import Settings
from hub.store import Store
from hub.types import now_us
from hub.web.door.judge import Arrived, Judged, judge
from hub.web.door.keeping import sender
from hub.web.door.known import Known, Sources, stranger
from hub.web.door.limits import (
    BodyReader,
    Headers,
    Rates,
    Refused,
    SenderLeft,
    check_headers,
    check_length,
    values,
)
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.verify import Verifier

log = logging.getLogger("hub.door")
INLINE_BYTES = 65_536
"""Bodies up to this size are judged in the event loop; larger ones in a thread, so that others need not wait."""
_RETRY_AFTER = 5
_TRIES = 4
_BEFORE_THE_BODY = frozenset({400, 405, 413, 415, 429, 503})
"""Refusals that may come before the body was read."""
_TITLES = {
    400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 503: "Service Unavailable",
}  # fmt: skip


class Door:
    """The webhook door of a web process. `close` when the process ends: it commits what it has promised to."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        presets: Presets,
        *,
        verifiers: Mapping[str, Verifier] | None = None,
    ) -> None:
        self._public_url = settings.public_url.rstrip("/")
        self._proxies = settings.web_trusted_proxies
        self._largest = settings.door_max_body
        self._rejected_rate = settings.door_rejected_per_minute
        self._sources = Sources(store, presets)
        self._bodies = BodyReader(seconds=settings.door_read_timeout)
        self._rates = Rates()
        self._verifiers = verifiers or {}
        self._writer = ReceiptWriter(store, _reply, limit=settings.door_queue)
        self._started = False
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """The door's route."""
        return [Route("/in/{token}", endpoint=self, name="door")]

    def close(self) -> None:
        """Commit what is queued and stop the writer."""
        with self._lock:
            if self._started:
                self._writer.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            status, body, headers = await self._serve(scope, receive)
        except Refused as refusal:
            status, body, headers = _refusal(refusal.status, refusal.code, refusal.retry_after, allow=refusal.allow)
            if refusal.status in _BEFORE_THE_BODY and not await self._bodies.drain(receive):
                headers.append((b"connection", b"close"))
        except SenderLeft:
            return
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [length, *_ALWAYS, *headers]})
        await send({"type": "http.response.body", "body": body})

    async def _serve(self, scope: Scope, receive: Receive) -> Response:
        headers: Headers = scope["headers"]
        check_headers(headers)
        token = scope["path_params"]["token"]
        source = self._sources.cached(token) or await self._load(token) or stranger()
        if source.methods and scope["method"] not in source.methods:
            raise Refused(405, "method-not-allowed", allow=source.methods)
        limit = min(source.max_body, self._largest)
        check_length(headers, limit)
        self._check_rate(source)
        body = await self._bodies.read(receive, limit)
        try:
            return await self._decide(token, source, self._arrived(scope, headers, body))
        except Refused as refusal:
            return _refusal(refusal.status, refusal.code, refusal.retry_after)  # the body has been read
        finally:
            self._bodies.release(len(body))

    async def _decide(self, token: str, source: Known, arrived: Arrived) -> Response:
        """Judge and keep; again with a fresh look at the source if it was changed meanwhile."""
        for _ in range(_TRIES):
            judged = await self._judge(source, arrived)
            if source is stranger():
                return _refusal(404, "not-found")
            if judged.refusal and source.loaded_at < arrived.at:
                # A refusal must not rest on a memory older than the request: a secret may have been added.
                source = await self._load(token) or stranger()
                continue
            answer = await self._keep(source, judged)
            if isinstance(answer, Outdated):
                source = await self._load(token) or stranger()
                continue
            return _answer(judged, answer)
        raise Refused(503, "source-changes", retry_after=1)

    async def _load(self, token: str) -> Known | None:
        try:
            return await run_in_threadpool(self._sources.load, token)
        except HubError as error:
            log.warning("the door cannot look up its sources: %s", error.detail)
            raise Refused(503, error.code, retry_after=_RETRY_AFTER) from None

    async def _judge(self, source: Known, arrived: Arrived) -> Judged:
        if len(arrived.request.body) <= INLINE_BYTES and not source.plugged:
            return judge(source, arrived, self._verifiers)
        return await run_in_threadpool(judge, source, arrived, self._verifiers)

    async def _keep(self, source: Known, judged: Judged) -> Answer:
        """Commit the receipt and wait for it. Beside the accepted ones only so many a minute are kept."""
        incoming = judged.incoming
        if not incoming.starts:
            if judged.refusal:
                log.info("a request for source %s was refused: %s", source.name, incoming.receipt["reason"])
            if self._rates.take(f"kept {source.id}", self._rejected_rate):
                return Kept("")
        return await self._submit(incoming)

    async def _submit(self, incoming: Incoming) -> Answer:
        with self._lock:
            if not self._started:
                self._writer.start()
                self._started = True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        try:
            self._writer.submit((loop, future), incoming)
        except HubError as error:
            return error
        return await future

    def _check_rate(self, source: Known) -> None:
        wait = self._rates.take(source.id, source.rate_per_minute)
        if wait:
            raise Refused(429, "rate-limited", retry_after=max(1, round(wait + 0.5)))

    def _arrived(self, scope: Scope, headers: Headers, body: bytes) -> Arrived:
        query = scope["query_string"].decode("latin-1")
        pairs = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
        url = f"{self._public_url}{scope['path']}{'?' if query else ''}{query}"
        forwarded = [value.decode("latin-1") for value in values(headers, b"x-forwarded-for")] if self._proxies else ()
        remote = sender(scope.get("client"), forwarded, self._proxies)
        return Arrived(WebhookRequest(scope["method"], url, pairs, body), query, remote, now_us())


Response = tuple[int, bytes, list[tuple[bytes, bytes]]]
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")


def _answer(judged: Judged, answer: Answer) -> Response:
    if isinstance(answer, HubError) and not judged.refusal:
        log.warning("a webhook could not be kept: %s", answer.detail)
        retry_after = answer.fields.get("retry_after")
        return _refusal(503, answer.code, retry_after if isinstance(retry_after, int) else _RETRY_AFTER)
    if judged.refusal:
        return _refusal(judged.refusal, "unauthorized" if judged.refusal == 401 else "invalid-body")
    if judged.handshake is not None:
        said = judged.handshake
        extra = [pair for name, value in said.headers if (pair := (name.encode(), value.encode())) not in _ALWAYS]
        return said.status, said.body, [(b"content-type", said.content_type.encode()), *extra]
    assert isinstance(answer, Kept)
    return judged.status, b'{"receipt": "%s"}' % answer.receipt_id.encode("ascii"), [_JSON]


def _refusal(
    status: int, code: str, retry_after: int | None = None, *, allow: frozenset[str] = frozenset()
) -> Response:
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


def _reply(answers: list[tuple[Any, Answer]]) -> None:
    """Hand the answers of a batch to the event loops that wait for them; one wake-up a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer]]] = {}
    for (loop, future), answer in answers:
        by_loop.setdefault(loop, []).append((future, answer))
    for loop, found in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve, found)
        except RuntimeError:
            log.warning("%d webhooks were kept, but their senders had gone", len(found))


def _resolve(found: list[tuple[asyncio.Future[Answer], Answer]]) -> None:
    for future, answer in found:
        if not future.done():
            future.set_result(answer)
