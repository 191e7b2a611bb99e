"""Events over the API: pages of them, and the live stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from hub.errors import NotFoundError, ParameterError, UnavailableError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.events import TYPE
from hub.store import Store, event_log, stream
from hub.types import ID_PATTERN, Id, Scope
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from hub.web.tail import Tail

api = Api()
READ, WRITE = "events:read", "events:write"
PING = 15.0
LIFETIME = 1800.0
_BATCH = 200
_MAX_SEQ = 2**62


class EmitIn(In):
    """An event of your own. `type` does not begin with `hub.`; `resource` and each of `related` are labels.

    `payload` is any JSON up to 64 KiB; expressions see it as `body`. With an `id` that exists nothing is written.
    """

    type: str = Field(pattern=TYPE)
    subject: str = Field(default="", max_length=1000, pattern=NO_NUL)
    resource: dict[str, str] = Field(default_factory=dict)
    related: list[dict[str, str]] = Field(default_factory=list, max_length=100)
    payload: Any = None
    id: str | None = Field(default=None, pattern=ID_PATTERN)


class EmittedOut(Out):
    """The event that was written, or had been. It is in the stream once it is stamped."""

    id: str
    type: str


class EventQuery(PageQuery):
    """Which events: `type` is the beginning of a type; `after` gives what follows that `seq`, oldest first."""

    type: str | None = Field(default=None, max_length=200, pattern=NO_NUL)
    run_id: str | None = Field(default=None, pattern=ID_PATTERN)
    after: int | None = Field(default=None, ge=0, le=_MAX_SEQ)


class StreamQuery(In):
    """What to follow: `topics` are beginnings of event types, separated by commas; none: everything."""

    topics: str = Field(default="", max_length=1000, pattern=NO_NUL)
    run_id: str | None = Field(default=None, pattern=ID_PATTERN)


class EventOut(Out):
    """Something that happened. `seq` is its place in the site's one order; null: not stamped yet.

    `body` holds what is known to everyone, `private` what does not leave the site unless its policy says so.
    """

    id: str
    seq: int | None
    hash: str | None
    type: str
    source: str
    subject: str
    run_id: str | None
    at: Moment
    actor: str
    schema_version: int
    body: dict[str, Any]
    private: dict[str, Any] | None


@api.op("GET", "/api/v1/events", query=EventQuery, out=Page[EventOut], scope=READ)
def list_events(call: Call[NoBody, EventQuery]) -> Page[EventOut]:
    """List stamped events, newest first; with `after`, oldest first."""
    query = call.query
    with call.store.read() as tx:
        found = event_log.listing(
            tx,
            call.scope,
            types=_types(query.type or ""),
            run_id=query.run_id,
            after=query.after,
            limit=query.limit,
            cursor=query.cursor,
        )
    return Page[EventOut].of(found)


@api.op("POST", "/api/v1/events", body=EmitIn, out=EmittedOut, status=201, scope=WRITE, errors=[ParameterError])
def emit_event(call: Call[EmitIn, NoQuery]) -> EmittedOut:
    """Write an event of your own. Automations and flows that wait see it like any other."""
    command = Command("event.emit", call.scope, "", call.body.model_dump(), id=call.command_id)
    return EmittedOut.model_validate(apply(call.store, command).result)


@api.op("GET", "/api/v1/events/{event_id}", out=EventOut, scope=READ, errors=[NotFoundError])
def get_event(call: Call[NoBody, NoQuery]) -> EventOut:
    """Show an event."""
    with call.store.read() as tx:
        return EventOut.model_validate(event_log.get(tx, call.scope, call.path["event_id"]))


@api.op(
    "GET", "/api/v1/stream", query=StreamQuery, out=Response, media="text/event-stream", scope=READ, tag="events",
    errors=[UnavailableError],
)  # fmt: skip
def stream_events(call: Call[NoBody, StreamQuery]) -> Response:
    """Follow events as they happen, as server-sent events.

    A message's `id` is the event's `seq`, its `event` the type, its `data` the event. Send the last `id` back as
    `Last-Event-ID` and the stream goes on right after it; without one it starts now. `bye` means: come back.
    """
    given = call.request.headers.get("last-event-id", "")
    if given and not (given.isascii() and given.isdigit() and int(given) <= _MAX_SEQ):
        raise UsageError("Last-Event-ID is not one that this hub gave out", hint="Leave it out to start now.")
    headers = {"x-accel-buffering": "no", "cache-control": "no-store"}
    if call.request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=headers)
    reader = Reader(call.store, call.scope, _types(call.query.topics), call.query.run_id, int(given or -1))
    return StreamingResponse(follow(call.services.tail, reader), media_type="text/event-stream", headers=headers)


class Reader:
    """Where one listener is, and what concerns it. `position` -1: at the end, wherever that is."""

    def __init__(self, store: Store, scope: Scope, types: tuple[str, ...], run_id: Id | None, position: int) -> None:
        self.store, self.scope, self.types, self.run_id, self.position = store, scope, types, run_id, position

    def begin(self) -> None:
        """Take the position: where the stream ends now, unless the listener named one."""
        if self.position < 0:
            with self.store.read() as tx:
                self.position = stream.read(tx).seq

    def read(self, upto: int | None) -> list[dict[str, Any]]:
        """The next events from the database, up to `upto`; empty when that is reached."""
        with self.store.read() as tx:
            found = event_log.listing(
                tx, self.scope, types=self.types, run_id=self.run_id, after=self.position, limit=_BATCH
            )
        rows = [row for row in found.items if upto is None or row["seq"] <= upto]
        if rows:
            self.position = rows[-1]["seq"]
        elif upto is not None:
            self.position = max(self.position, upto)
        return rows

    def take(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of the rows that are new to the listener and concern it."""
        fresh = [row for row in rows if row["seq"] > self.position]
        if fresh:
            self.position = fresh[-1]["seq"]
        return [row for row in fresh if self._concerns(row)]

    def _concerns(self, row: dict[str, Any]) -> bool:
        if row["workspace_id"] != self.scope.workspace_id or (self.run_id and row["run_id"] != self.run_id):
            return False
        return not self.types or row["type"].startswith(self.types)


async def follow(tail: Tail, reader: Reader) -> AsyncIterator[str]:
    """The messages of one stream: what is behind, then what comes, with a ping every 15 seconds."""
    end = asyncio.get_running_loop().time() + LIFETIME
    with tail.subscribe() as mine:
        await run_in_threadpool(reader.begin)
        # Whoever is cut off before the first event comes back to this place, and misses nothing.
        yield f"retry: 1000\nid: {reader.position}\n\n"
        async for text in _behind(reader, None):
            yield text
        while asyncio.get_running_loop().time() < end:
            try:
                batch = await asyncio.wait_for(mine.queue.get(), PING)
            except TimeoutError:
                yield f": ping\nid: {reader.position}\n\n"
                continue
            if batch is None:
                break
            if batch.since > reader.position:
                async for text in _behind(reader, batch.since):
                    yield text
            for row in reader.take(batch.rows):
                yield _message(row)
    yield "event: bye\ndata: {}\n\n"


async def _behind(reader: Reader, upto: int | None) -> AsyncIterator[str]:
    while rows := await run_in_threadpool(reader.read, upto):
        for row in rows:
            yield _message(row)


def _message(row: dict[str, Any]) -> str:
    data = EventOut.model_validate(row).model_dump_json()
    # Types of webhook events come from outside: a line break in one would forge a message.
    kind = "".join(row["type"].splitlines())
    return f"id: {row['seq']}\nevent: {kind}\ndata: {data}\n\n"


def _types(text: str) -> tuple[str, ...]:
    """The beginnings asked for; `github.*` is written like that elsewhere."""
    return tuple(part.strip().removesuffix("*") for part in text.split(",") if part.strip().removesuffix("*"))
