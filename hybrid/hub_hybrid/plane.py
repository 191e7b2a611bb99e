"""The plane's endpoints under /sync/v1. The token says which site of which workspace speaks; the path never does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeVar

from hub.errors import AuthenticationError, UsageError
from hub.store.base import Store, Tx
from hub.store.tables import ApiToken
from hub.types import Id
from hub.web.matrix import SITE, Access, Declared
from pydantic import BaseModel, ValidationError
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from hub_hybrid import bodies, digests, forwarding, joining, orders, packing, replica
from hub_hybrid.bell import Bell
from hub_hybrid.gate import Gate
from hub_hybrid.protocol import (
    MAX_BYTES,
    MAX_WAIT,
    Addresses,
    Batch,
    Grant,
    Heartbeat,
    Hello,
    KeyAdded,
    LogBatch,
    NewKey,
    Register,
    Session,
    SnapshotPart,
    WebhooksDone,
)

TOKENS = ApiToken.__table__
SITES_ONLY = Access(SITE)
MAX_BODY = MAX_BYTES + 65_536
"""A batch of the largest size with its envelope."""
MAX_WORD = 16_384
"""What a site says of itself."""
MAX_SNAPSHOT = 4 * MAX_BYTES
READ_S = 20.0
LOOK_S = 1.0
"""Seconds after which a poll looks whether it should end; the database is asked when the bell has rung only."""
M = TypeVar("M", bound=BaseModel)


class Plane:
    """The endpoints on one store. `rate`: how many sessions may begin in a second."""

    def __init__(self, store: Store, rate: float = 20.0) -> None:
        self.store = store
        self.bell = Bell(store)
        self.gate = Gate(rate)

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        session = "/sync/v1/sessions/{fence:int}"
        return [
            Declared("/sync/v1/register", self._register, Access(None, "its join token"), methods=["POST"]),
            Declared("/sync/v1/token", self._token, Access(None, "what its key signs"), methods=["POST"]),
            Declared("/sync/v1/keys", self._posted(NewKey, _add_key, MAX_WORD), SITES_ONLY, methods=["POST"]),
            Declared("/sync/v1/keys", self._end_keys, SITES_ONLY, methods=["DELETE"]),
            Declared("/sync/v1/sessions", self._posted(Hello, self._open, MAX_WORD), SITES_ONLY, methods=["POST"]),
            Declared(f"{session}/events", self._posted(Batch, replica.ingest), SITES_ONLY, methods=["POST"]),
            Declared(
                f"{session}/snapshot",
                self._posted(SnapshotPart, replica.snapshot, MAX_SNAPSHOT),
                SITES_ONLY,
                methods=["PUT"],
            ),
            Declared(f"{session}/logs", self._posted(LogBatch, replica.take_lines), SITES_ONLY, methods=["POST"]),
            Declared(f"{session}/heartbeat", self._posted(Heartbeat, replica.heartbeat), SITES_ONLY, methods=["POST"]),
            Declared(f"{session}/commands", self._commands, SITES_ONLY, methods=["GET"]),
            Declared(
                f"{session}/addresses", self._posted(Addresses, forwarding.take_addresses), SITES_ONLY, methods=["PUT"]
            ),
            Declared(f"{session}/webhooks", self._webhooks, SITES_ONLY, methods=["GET"]),
            Declared(f"{session}/webhooks", self._posted(WebhooksDone, forwarding.done), SITES_ONLY, methods=["POST"]),
            Declared(session, self._close, SITES_ONLY, methods=["DELETE"]),
            Declared("/sync/v1/digest", self._digest, SITES_ONLY, methods=["GET"]),
        ]

    def _posted(
        self, kind: type[M], handle: Callable[[Tx, Id, int, M], BaseModel], max_body: int = MAX_BODY
    ) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            # Who it is comes first: strangers take nobody's place.
            site_row = await run_in_threadpool(self._site, request)
            async with self.gate.place():
                raw = await bodies.read(request, max_body, READ_S)
                return await run_in_threadpool(self._handle, request, site_row, raw, kind, handle)

        return endpoint

    def _handle(
        self, request: Request, site_row: Id, raw: bytes, kind: type[M], handle: Callable[[Tx, Id, int, M], BaseModel]
    ) -> Response:
        message = _parsed(kind, raw)
        with self.store.write() as tx:
            answer = handle(tx, site_row, int(request.path_params.get("fence", 0)), message)
        return _json(request, answer)

    def _open(self, tx: Tx, site_row: Id, _fence: int, message: Hello) -> Session:
        self.gate.begin()
        return replica.open_session(tx, site_row, message)

    async def _register(self, request: Request) -> Response:
        raw = await bodies.read(request, MAX_WORD, READ_S)
        return await run_in_threadpool(self._registered, request, raw)

    def _registered(self, request: Request, raw: bytes) -> Response:
        message, token = _parsed(Register, raw), _bearer(request)
        if token.startswith(joining.PREFIX):
            with self.store.write() as tx:
                return _json(request, joining.register(tx, token, message))
        site_row = self._site(request)
        with self.store.write() as tx:
            # A site of the time before keys; a newer one brings keys with it.
            answer = replica.register(tx, site_row, message)
            return _json(request, joining.enrol(tx, site_row, token, message) if message.sign_key else answer)

    async def _token(self, request: Request) -> Response:
        raw = await bodies.read(request, MAX_WORD, READ_S)
        return await run_in_threadpool(self._access, request, raw)

    def _access(self, request: Request, raw: bytes) -> Response:
        asked = _parsed(Grant, raw)
        with self.store.write() as tx:
            return _json(request, joining.access(tx, asked.client_assertion))

    async def _commands(self, request: Request) -> Response:
        """Long poll: answers at once when there is something, else when there is or the wait is over."""
        site_row = await run_in_threadpool(self._site, request)
        fence, after = int(request.path_params["fence"]), _number(request, "after")
        await self._wait(request, lambda tx: orders.pending(tx, site_row, fence, after))
        return await run_in_threadpool(self._deliver, request, fence, after)

    def _deliver(self, request: Request, fence: int, after: int) -> Response:
        site_row = self._site(request)  # the key may have been revoked while it waited
        with self.store.write() as tx:
            return _json(request, orders.deliver(tx, site_row, fence, after))

    async def _webhooks(self, request: Request) -> Response:
        """Long poll, as for commands."""
        site_row = await run_in_threadpool(self._site, request)
        fence, after = int(request.path_params["fence"]), forwarding.position(request.query_params.get("after", ""))
        await self._wait(request, lambda tx: forwarding.waiting(tx, site_row, fence, after))
        return await run_in_threadpool(self._fetched, request, fence, after)

    def _fetched(self, request: Request, fence: int, after: str) -> Response:
        site_row = self._site(request)
        with self.store.write() as tx:
            return _json(request, forwarding.fetched(tx, replica.fenced(tx, site_row, fence), after))

    async def _wait(self, request: Request, there: Callable[[Tx], bool]) -> None:
        """Until there is something, or the time that the site gave is over."""

        def look() -> bool:
            with self.store.read() as tx:
                return there(tx)

        until = time.monotonic() + min(float(_number(request, "wait")), MAX_WAIT)
        heard = -1
        while True:
            if heard != self.bell.rings:
                heard = self.bell.rings
                if await run_in_threadpool(look):
                    break
            left = until - time.monotonic()
            if left <= 0 or _stopping(request) or await request.is_disconnected():
                break
            await self.bell.wait(min(left, LOOK_S), heard)

    def _close(self, request: Request) -> Response:
        site_row = self._site(request)
        with self.store.write() as tx:
            replica.close(tx, site_row, int(request.path_params["fence"]))
        return Response(status_code=204)

    def _end_keys(self, request: Request) -> Response:
        """A site that ends its link: nobody shall come with its keys any more. It stays, and may join anew."""
        site_row = self._site(request)
        with self.store.write() as tx:
            joining.end(tx, replica.locked(tx, site_row))
        return Response(status_code=204)

    def _digest(self, request: Request) -> Response:
        site_row = self._site(request)
        with self.store.read() as tx:
            return _json(request, digests.of_replica(tx, site_row, _number(request, "since")))

    def _site(self, request: Request) -> Id:
        """Whose token it is. Raises AuthenticationError for one that is not a site's, or no longer good."""
        text = _bearer(request)
        with self.store.read() as tx:
            found = joining.holder(tx, text) or _old_site(tx, text)
        if found is None:
            raise AuthenticationError(
                "this is not the token of a site, or it is no longer good",
                hint="`hub sites token NAME` on the plane makes a join token.",
                code="invalid-token",
            )
        return found


def _bearer(request: Request) -> str:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if kind.lower() == "bearer" else ""


def _old_site(tx: Tx, text: str) -> Id | None:
    """Whose token of the time before keys it is. None where it is not good."""
    query = select(TOKENS.c.revoked_at, TOKENS.c.expires_at, replica.SITES.c.id, replica.SITES.c.removed_at)
    query = query.join_from(TOKENS, replica.SITES, replica.SITES.c.token_id == TOKENS.c.id)
    row = tx.conn.execute(query.where(TOKENS.c.digest == joining.digest(text), TOKENS.c.kind == "site")).first()
    if row is not None and row.removed_at is not None:
        raise replica.SiteRemoved("this site was removed from the plane", hint="Connect again with a new token.")
    good = row is not None and row.revoked_at is None and (row.expires_at or tx.now + 1) > tx.now
    return str(row.id) if row is not None and good else None


def _add_key(tx: Tx, site_row: Id, _fence: int, message: NewKey) -> KeyAdded:
    return joining.add_key(tx, site_row, message)


def _parsed(kind: type[M], raw: bytes) -> M:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"not a {kind.__name__} of hub-sync/1: {place or 'the body'}: {first['msg']}") from None


def _stopping(request: Request) -> bool:
    """Whether the server wants to end: an open poll must not hold it up."""
    services = getattr(request.app.state, "services", None)
    stopping = getattr(services, "stopping", None)
    return stopping is not None and stopping.is_set()


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError(f"{name} must be a whole number from 0")
    return int(text)


def _json(request: Request, answer: BaseModel) -> Response:
    content = json.dumps(answer.model_dump(), separators=(",", ":")).encode()
    headers = {"vary": "accept-encoding"}
    if len(content) >= packing.WORTH_IT and packing.accepted(request.headers.get("accept-encoding", "")):
        content, headers["content-encoding"] = packing.packed(content), packing.GZIP
    return Response(content, media_type="application/json", headers=headers)
