"""The cache of task results over the API."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hub.runtime.commands import Command, apply
from hub.store import cache
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "cache:read", "cache:write"


class CacheQuery(PageQuery):
    """Which entries: of a task, by its name or key."""

    task: str | None = Field(default=None, min_length=1, max_length=400, pattern=NO_NUL)


class CacheOut(Out):
    """An entry. `parts` are digests of what its key is made of; `state` held: somebody computes it just now."""

    id: str
    key: str
    task_key: str
    task_name: str
    parts: dict[str, Any]
    state: str
    run_id: str | None
    task_run_id: str | None
    holder_task_run_id: str | None
    result_format: str | None
    size: int
    hits: int
    created_at: Moment
    expires_at: Moment | None
    last_hit_at: Moment | None


class ClearIn(In):
    """Which entries go. `dry_run`: none, it is only counted."""

    task: str | None = Field(default=None, min_length=1, max_length=400, pattern=NO_NUL)
    key: str | None = Field(default=None, min_length=1, max_length=80, pattern=NO_NUL)
    expired: bool = False
    dry_run: bool = False


class Cleared(Out):
    """How many entries went (or would), and how many bytes; `more`: there are others, ask again."""

    entries: int
    bytes: int
    more: bool


@api.op("GET", "/api/v1/cache", query=CacheQuery, out=Page[CacheOut], scope=READ)
def list_cache(call: Call[NoBody, CacheQuery]) -> Page[CacheOut]:
    """List what is cached, newest first."""
    query = call.query
    with call.store.read() as tx:
        found = cache.listing(tx, call.scope, task=query.task, limit=query.limit, cursor=query.cursor)
    return Page[CacheOut].of(found)


@api.op("POST", "/api/v1/cache/clear", body=ClearIn, out=Cleared, scope=WRITE)
def clear_cache(call: Call[ClearIn, NoQuery]) -> Cleared:
    """Remove cached results, a thousand at a time; what is being computed stays."""
    args = call.body.model_dump(exclude={"dry_run"})
    if call.body.dry_run:
        with call.store.read() as tx:
            entries, size = cache.chosen(tx, call.scope, **args)
        return Cleared(entries=entries, bytes=size, more=False)
    outcome = apply(call.store, Command("cache.clear", call.scope, "", args, id=call.command_id))
    return Cleared.model_validate(outcome.result)
