"""Work queues, workers and plugins over the API."""

from __future__ import annotations

from pydantic import Field

from hub.errors import NotFoundError
from hub.runtime.commands import Command, apply
from hub.store import catalog
from hub.web.api.fields import In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()


class QueueIn(In):
    """A queue as it should be. `slots` null: no limit beside the workers' own."""

    priority: int = Field(default=1, ge=0, le=1000, description="a lower number is served first")
    slots: int | None = Field(default=None, ge=0, le=100_000)
    paused: bool = False


class QueueSet(Out):
    """A queue's settings."""

    name: str
    priority: int
    slots: int | None
    paused: bool


class QueueOut(QueueSet):
    """A queue with what waits and what runs in it, each counted no further than 1000."""

    id: str
    waiting: int
    running: int
    created_at: Moment


class WorkerQuery(PageQuery):
    """Which workers; with `gone` also those that have left."""

    gone: bool = False


class WorkerOut(Out):
    """A worker. `canary_seen_at` is when a message last came to it through the broker."""

    id: str
    name: str
    host: str
    pid: int
    version: str
    queues: list[str]
    slots: int
    status: str
    started_at: Moment
    lease_until: Moment
    canary_seen_at: Moment | None
    ended_at: Moment | None


@api.op("GET", "/api/v1/queues", query=PageQuery, out=Page[QueueOut], scope="queues:read")
def list_queues(call: Call[NoBody, PageQuery]) -> Page[QueueOut]:
    """List work queues."""
    with call.store.read() as tx:
        found = catalog.queues(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return Page[QueueOut].of(found)


@api.op("PUT", "/api/v1/queues/{name}", body=QueueIn, out=QueueSet, scope="queues:write", errors=[NotFoundError])
def put_queue(call: Call[QueueIn, NoQuery]) -> QueueSet:
    """Make a work queue, or make the one of that name be as given."""
    args = call.body.model_dump() | {"name": call.path["name"]}
    outcome = apply(call.store, Command("queue.set", call.scope, call.path["name"], args, id=call.command_id))
    return QueueSet.model_validate(outcome.result)


@api.op("GET", "/api/v1/workers", query=WorkerQuery, out=Page[WorkerOut], scope="queues:read")
def list_workers(call: Call[NoBody, WorkerQuery]) -> Page[WorkerOut]:
    """List the workers that are alive."""
    query = call.query
    with call.store.read() as tx:
        found = catalog.workers(tx, call.scope, gone=query.gone, limit=query.limit, cursor=query.cursor)
    return Page[WorkerOut].of(found)
