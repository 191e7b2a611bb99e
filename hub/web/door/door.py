"""The door as an ASGI application: one request in, one answer out, and nothing answered before it is committed.

Order of work: headers, route, method, size, rate, body, handshake and verification, time window, dedupe, commit,
answer. Unknown, disabled and deleted sources get the same answer after the same work.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from hub.errors import HubError
from hub.runtime.receipts import Answer, Incoming, Kept, Outdated, ReceiptWriter
from hub.settings import Settings
from hub.store import Store
from hub.types import Id, now_us
from hub.types import Scope as Whose
from hub.web.door.beyond import Beyond
from hub.web.door.inside import Admitted, admit
from hub.web.door.judge import Arrived, Judged, judge
from hub.web.door.known import Known, Sources, stranger
from hub.web.door.lane import Lane, reply
from hub.web.door.limits import (
    BodyReader,
    Headers,
    Rates,
    Refused,
    SenderLeft,
    check_headers,
    check_length,
    decoded,
    values,
)
from hub.web.door.plugged import Beside
from hub.web.door.refusals import refusal
from hub.web.door.short import ALWAYS, JSON, Response, Whole
from hub.web.matrix import Access, Declared
from hub.webhooks.allowing import networks
from hub.webhooks.elsewhere import Address, Forwarder
from hub.webhooks.keeping import sender
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.signers import Signature
from hub.webhooks.verify import Verifier

log = logging.getLogger("hub.door")
INLINE_BYTES = 65_536
"""Bodies up to this size are judged in the event loop; larger ones, and those that are compared with a schema, in a
thread, so that others need not wait."""
_RETRY_AFTER = 5
_TRIES = 4
_BEFORE_THE_BODY = frozenset({400, 405, 413, 415, 429, 503})
"""Refusals that may come before the body was read."""


class Door:
    """The webhook door of a web process. `close` when the process ends: it commits what it has promised to."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        presets: Presets,
        *,
        verifiers: Mapping[str, Verifier] | None = None,
        forwarders: Sequence[Forwarder] = (),
    ) -> None:
        self._public_url = settings.public_url.rstrip("/")
        self._proxies = settings.web_trusted_proxies
        self._peers = networks(settings.web_proxy_networks)
        self._largest = settings.door_max_body
        self._rejected_rate = settings.door_rejected_per_minute
        self._store = store
        self._presets = presets
        self._sources = Sources(store, presets)
        self._bodies = BodyReader(seconds=settings.door_read_timeout)
        self._rates = Rates()
        self._beyond = Beyond(forwarders, self._bodies)
        self._verifiers = {} if verifiers is None else verifiers
        self._plugged = Beside(self._verifiers)
        self._writer = ReceiptWriter(store, reply, limit=settings.door_queue)
        self._lanes: dict[asyncio.AbstractEventLoop, Lane] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._started = False
        self._lock = threading.Lock()

    def routes(self) -> list[BaseRoute]:
        """The door's route."""
        return [Declared("/in/{token}", self, Access(None, "the signature that the source demands"), name="door")]

    def close(self) -> None:
        """Commit what is queued and stop the writer."""
        with self._lock:
            if self._started:
                self._writer.close()

    def admit(self, actor: Whose, source_id: Id, signed: Signature) -> Admitted:
        """Take a request that this hub has signed itself; blocks until it is committed."""
        return admit(self._store, self._presets, self._verifiers, actor, source_id, signed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            status, body, headers = await self._serve(scope, receive)
        except Refused as refused:
            status, body, headers = refusal(refused.status, refused.code, refused.retry_after, allow=refused.allow)
            if refused.status in _BEFORE_THE_BODY and not await self._drained(scope, receive):
                headers.append((b"connection", b"close"))
        except SenderLeft:
            return
        length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": [*length, *ALWAYS, *headers]})
        await send({"type": "http.response.body", "body": body})

    def take(self, whole: Whole, done: Callable[[Response], None]) -> bool:
        """The short way, for most requests: nothing but the commit has to be waited for, then `done` gets the answer.

        False, and nothing has happened, where it may be otherwise: that one goes the long way. Needs a running loop.
        """
        token = whole.path.rpartition("/")[2]
        source, size = self._sources.cached(token), len(whole.body)
        if source is None or not source.quick or size > INLINE_BYTES or size > source.max_body or size > self._largest:
            return False
        if source.methods and whole.method not in source.methods:
            return False
        try:
            check_headers(whole.headers)
            self._check_rate(source)
            self._bodies.hold(size)
        except Refused:
            return False  # and the long way says so
        _Taken(self, token, source, self._arrived(whole), done).judge()
        return True

    async def _drained(self, scope: Scope, receive: Receive) -> bool:
        """Read away the rest of a refused request. Who asks whether to send a body must not be told to go on."""
        asks = any(value.lower() == b"100-continue" for value in values(scope["headers"], b"expect"))
        return not asks and await self._bodies.drain(receive)

    async def _serve(self, scope: Scope, receive: Receive) -> Response:
        headers: Headers = scope["headers"]
        check_headers(headers)
        token = scope["path_params"]["token"]
        source: Known | Address | None = self._sources.cached(token) or await self._load(token)
        source = source or await self._beyond.find(token) or stranger()
        if source.methods and scope["method"] not in source.methods:
            raise Refused(405, "method-not-allowed", allow=source.methods)
        limit = min(source.max_body, self._largest)
        check_length(headers, limit)
        self._check_rate(source)
        body = await self._bodies.read(receive, limit)
        whole = Whole(scope["method"], scope["path"], scope["query_string"], headers, body, scope.get("client"))
        if isinstance(source, Address):
            return await self._beyond.take(source, self._arrived(whole))
        return await self._decided(token, source, self._arrived(whole))

    async def _decided(self, token: str, source: Known, arrived: Arrived) -> Response:
        try:
            return await self._decide(token, source, arrived)
        except Refused as refused:
            return refusal(refused.status, refused.code, refused.retry_after)  # the body has been read
        finally:
            self._bodies.release(len(arrived.request.body))

    async def _decide(self, token: str, source: Known, arrived: Arrived) -> Response:
        """Judge and keep; again with a fresh look at the source if it was changed meanwhile."""
        for _ in range(_TRIES):
            if source.plugged:
                judged = await self._plugged.judge(source, arrived)
            elif len(arrived.request.body) <= INLINE_BYTES and not source.schemas:
                judged = judge(source, arrived, self._verifiers)
            else:
                judged = await run_in_threadpool(judge, source, arrived, self._verifiers)
            if source is stranger():
                return refusal(404, "not-found")
            if judged.refusal and source.loaded_at < arrived.at:
                # A refusal must not rest on a memory older than the request: a secret may have been added.
                source = await self._load(token) or stranger()
                continue
            answer = await self._submit(judged.incoming) if self._is_kept(source, judged) else Kept("")
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

    def _is_kept(self, source: Known, judged: Judged) -> bool:
        """Beside the accepted ones only so many a minute are kept."""
        if judged.incoming.starts:
            return True
        if judged.refusal:
            log.info("a request for source %s was refused: %s", source.name, judged.incoming.receipt["reason"])
        return not self._rates.take(f"kept {source.id}", self._rejected_rate)

    def _submit(self, incoming: Incoming) -> asyncio.Future[Answer]:
        """Have a receipt committed."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._lane().add(partial(_settle, future), incoming)
        return future

    def _lane(self) -> Lane:
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None:
            with self._lock:
                if not self._started:
                    self._writer.start()
                    self._started = True
            lane = self._lanes[loop] = Lane(loop, self._store, self._writer)
        return lane

    def _check_rate(self, source: Known | Address) -> None:
        wait = self._rates.take(source.id, source.rate_per_minute)
        if wait:
            raise Refused(429, "rate-limited", retry_after=max(1, round(wait + 0.5)))

    def _arrived(self, whole: Whole) -> Arrived:
        query = whole.query.decode("latin-1")
        pairs = decoded(whole.headers)
        url = f"{self._public_url}{whole.path}{'?' if query else ''}{query}"
        said = values(whole.headers, b"x-forwarded-for") if self._proxies else ()
        forwarded = [value.decode("latin-1") for value in said]
        remote = sender(whole.client, forwarded, self._proxies, self._peers)
        return Arrived(WebhookRequest(whole.method, url, pairs, whole.body), query, remote, now_us())


class _Taken:
    """A request on the short way: judged at once, answered when its receipt is committed."""

    __slots__ = ("arrived", "done", "door", "judged", "source", "token")

    def __init__(
        self, door: Door, token: str, source: Known, arrived: Arrived, done: Callable[[Response], None]
    ) -> None:
        self.door, self.token, self.source, self.arrived, self.done = door, token, source, arrived, done

    def judge(self) -> None:
        """Judge it and have it kept."""
        try:
            self.judged = judge(self.source, self.arrived, self.door._verifiers)
        except Exception:
            log.debug("a request for source %s is judged again, the long way", self.source.name, exc_info=True)
            self._decide()
            return
        if self.judged.incoming.starts:
            self.door._lane().add(self.answered, self.judged.incoming)
        else:
            self._decide()

    def answered(self, answer: Answer) -> None:
        """Answer it, unless it has to be judged anew because its source was changed."""
        if isinstance(answer, Outdated):
            self._decide()
        else:
            self.door._bodies.release(len(self.arrived.request.body))
            self.done(_answer(self.judged, answer))

    def _decide(self) -> None:
        finishing = self.door._finishing
        task = asyncio.get_running_loop().create_task(self._decided())
        finishing.add(task)
        task.add_done_callback(finishing.discard)

    async def _decided(self) -> None:
        try:
            response = await self.door._decided(self.token, self.source, self.arrived)
        except Exception:
            log.exception("a request for source %s could not be answered", self.source.name)
            response = refusal(500, "internal")
        self.done(response)


_WHY = {400: "invalid-body", 401: "unauthorized", 403: "address-not-allowed", 503: "keys-unavailable"}
_SANDBOX = (b"content-security-policy", b"sandbox; default-src 'none'")
"""What somebody wrote must do nothing in a browser, on the dashboard's own origin."""


def _answer(judged: Judged, answer: Answer) -> Response:
    if isinstance(answer, HubError) and not judged.refusal:
        log.warning("a webhook could not be kept: %s", answer.detail)
        retry_after = answer.fields.get("retry_after")
        return refusal(503, answer.code, retry_after if isinstance(retry_after, int) else _RETRY_AFTER)
    if judged.refusal:
        return refusal(judged.refusal, _WHY[judged.refusal], judged.retry_after or None)
    if judged.handshake is not None:
        said = judged.handshake
        extra = [pair for name, value in said.headers if (pair := (name.encode(), value.encode())) not in ALWAYS]
        return said.status, said.body, [(b"content-type", said.content_type.encode()), *extra]
    assert isinstance(answer, Kept)
    if judged.said is not None:
        text, content_type = judged.said
        if judged.own:
            # Of what the sender wrote only its type, in letters that mean nothing anywhere.
            kind = judged.incoming.receipt["event_type"]
            text = text.replace("{receipt}", answer.receipt_id).replace("{type}", kind)
            return judged.status, text.encode(), [(b"content-type", content_type.encode()), _SANDBOX] if text else []
        return judged.status, text.encode(), [(b"content-type", content_type.encode())] if text else []
    return judged.status, b'{"receipt": "%s"}' % answer.receipt_id.encode("ascii"), JSON


def _settle(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
