"""Bookmarks over the API: requests that are kept under a name."""

from __future__ import annotations

from hub.errors import NotFoundError
from hub.runtime.commands import Command, apply
from hub.store import bookmarks
from hub.web.api.fields import IdText, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "sources:read", "sources:write"


class BookmarkIn(In):
    """The receipt that is to have the name."""

    receipt: IdText


class BookmarkOut(Out):
    """A name and the request it stands for, which retention passes over."""

    id: str
    name: str
    receipt_id: str
    source_id: str
    event_type: str | None
    body_size: int
    received_at: Moment
    created_at: Moment


@api.op("GET", "/api/v1/bookmarks", query=PageQuery, out=Page[BookmarkOut], scope=READ)
def list_bookmarks(call: Call[NoBody, PageQuery]) -> Page[BookmarkOut]:
    """List bookmarked requests, the last named first."""
    with call.store.read() as tx:
        return Page[BookmarkOut].of(bookmarks.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor))


@api.op("GET", "/api/v1/bookmarks/{name}", out=BookmarkOut, scope=READ, errors=[NotFoundError])
def get_bookmark(call: Call[NoBody, NoQuery]) -> BookmarkOut:
    """Show a bookmark."""
    with call.store.read() as tx:
        return BookmarkOut.model_validate(bookmarks.get(tx, call.scope, call.path["name"]))


@api.op(
    "PUT", "/api/v1/bookmarks/{name}", body=BookmarkIn, out=BookmarkOut, scope=WRITE, errors=[NotFoundError]
)  # fmt: skip
def put_bookmark(call: Call[BookmarkIn, NoQuery]) -> BookmarkOut:
    """Keep a request under a name; a request that had the name loses it."""
    args = {"receipt": call.body.receipt}
    apply(call.store, Command("bookmark.set", call.scope, call.path["name"], args, id=call.command_id))
    with call.store.read() as tx:
        return BookmarkOut.model_validate(bookmarks.get(tx, call.scope, call.path["name"]))


@api.op("DELETE", "/api/v1/bookmarks/{name}", scope=WRITE, errors=[NotFoundError])
def delete_bookmark(call: Call[NoBody, NoQuery]) -> None:
    """Take a name away; the request stays as long as others do."""
    apply(call.store, Command("bookmark.delete", call.scope, call.path["name"], id=call.command_id))
