"""Requests that came in over the API: search, exact bytes, replay."""

from __future__ import annotations

import base64
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from starlette.responses import Response

from hub.errors import NotFoundError, RefusedError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.signing import signed_for_others
from hub.runtime.foreseeing import foresee
from hub.runtime.replaying import replay_all
from hub.runtime.suggested import suggested
from hub.store import inbox, receipts, sources
from hub.types import Id, new_id
from hub.web.api.fields import NO_NUL, IdText, In, Moment, MomentIn, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "sources:read", "sources:write"
SHOWN_BODY = 65_536
MAX_REPLAYED = 100
Short = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=NO_NUL)]


class ReceiptQuery(PageQuery):
    """Which requests. A page may hold fewer than there are, even none, while `next_cursor` leads on.

    `type` is the provider's own word and may end with `*`; `text` is looked for in the bytes, case and all.
    """

    source: str | None = Field(default=None, max_length=100, pattern=NO_NUL, description="name or id")
    verdict: Literal["accepted", "observed", "handshake", "rejected"] | None = None
    type: Short | None = None
    delivery: Short | None = Field(default=None, description="the provider's id of the delivery")
    since: MomentIn | None = None
    until: MomentIn | None = Field(default=None, description="RFC 3339 with an offset; the moment itself is left out")
    text: Short | None = None
    replays: bool | None = Field(default=None, description="only replays, or only what was sent")
    replay_of: IdText | None = None
    failed: bool = Field(default=False, description="only dead letters: those that could not become events")
    mended: bool = Field(default=False, description="only those that were dead letters until a replay succeeded")
    order: Literal["newest", "oldest"] = Field(default="newest", description="which come first")


class ReceiptOut(Out):
    """A request that came in. `duplicates` counts how often it came again."""

    id: str
    source_id: str
    received_at: Moment
    method: str
    query: str
    body_size: int
    remote: str
    verdict: str
    reason: str
    secret_id: str | None
    event_type: str | None
    delivery_id: str | None
    replay_of: str | None
    answer_status: int
    duplicates: int
    processed_at: Moment | None
    events: int
    error: str | None
    replayed_by: str | None = Field(
        description="of a dead letter: the receipt of the replay that became its events; it is listed as failed no more"
    )
    replayed_at: Moment | None
    redacted: list[str] | None = Field(
        description="places whose values were not stored, body for all of it; null: the exact bytes are kept"
    )


class ReplayOut(Out):
    """How a request happened again: as which receipt, by whom (`reason`), and what came of it so far."""

    id: str
    received_at: Moment
    reason: str
    outcome: Literal["waiting", "events", "failed"]
    events: int
    error: str | None


class ReceiptWhole(ReceiptOut):
    """A receipt with what it carried: `body` where it is text, else `body_base64`, at most 64 KiB of it.

    `replays`: how it happened again, the last 20 times.
    """

    headers: list[tuple[str, str]]
    body: str | None
    body_base64: str | None
    body_shown: int
    replays: list[ReplayOut]
    suggested_preset: str | None = Field(
        description="of a request that was not verified: the preset that its headers point to, if it is another one"
    )


class ReplayIn(In):
    """`unverified` must be said to replay a request that was refused."""

    unverified: bool = False


class Replayed(Out):
    """The new receipt and the one it repeats."""

    id: str
    replay_of: str


class Foreseen(Out):
    """An automation that means one of the events: its outcome, and what its actions would do. Of one that starts a run
    `flow_control` is what that would make of it now."""

    id: str
    name: str
    outcome: str
    reason: str
    error: str | None
    actions: list[dict[str, Any]]


class Foresight(Out):
    """What a replay would start now. `events`: types of the first 20, `more` how many others; `problem`: why none.
    `held`: the source is paused, so it would wait."""

    events: list[str]
    more: int
    problem: str
    held: bool
    automations: list[Foreseen]


class ReplayManyIn(In):
    """Receipts in the order in which they are to happen. Each is replayed once for a `request` id of your choice.

    Repeat the call with the same `request` until it has succeeded: nothing happens twice.
    """

    receipts: list[IdText] = Field(min_length=1, max_length=MAX_REPLAYED)
    request: IdText
    unverified: bool = False


class ReplayedOne(Out):
    """What became of one: `id` is the new receipt, null with a `problem`. `repeated`: it was there already."""

    replay_of: str
    id: str | None = None
    repeated: bool = False
    problem: str | None = None


class ReplayedMany(Out):
    """What became of each, in the order asked for."""

    request: str
    items: list[ReplayedOne]


class SignIn(In):
    """The whole address that the request goes to: some providers sign it."""

    url: str = Field(min_length=1, max_length=2_000, pattern=r"^https?://[^\x00-\x20]+$")


class Signed(Out):
    """The request as its provider would send it now. Some providers put the signature into the body or the query."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body_base64: str


_WANTED = ("verdict", "type", "delivery", "since", "until", "text", "replays", "replay_of", "failed", "mended")


@api.op("GET", "/api/v1/receipts", query=ReceiptQuery, out=Page[ReceiptOut], scope=READ, errors=[NotFoundError])
def list_receipts(call: Call[NoBody, ReceiptQuery]) -> Page[ReceiptOut]:
    """Search the requests that came in."""
    query = call.query
    with call.store.read() as tx:
        source_id = sources.row(tx, call.scope, query.source)["id"] if query.source else None
        given = {name: value for name in _WANTED if (value := getattr(query, name)) is not None}
        wanted = inbox.Wanted(source_id, **given)
        found = inbox.search(tx, call.scope, wanted, limit=query.limit, cursor=query.cursor, order=query.order)
    return Page[ReceiptOut].of(found)


@api.op("GET", "/api/v1/receipts/{receipt_id}", out=ReceiptWhole, scope=READ, errors=[NotFoundError])
def get_receipt(call: Call[NoBody, NoQuery]) -> ReceiptWhole:
    """Show one request with its headers and body."""
    with call.store.read() as tx:
        row = receipts.row(tx, call.scope, call.path["receipt_id"])
        source = sources.by_id(tx, call.scope, row["source_id"])
        hint = suggested(tx, row, source) if source else None
        again = [
            ReplayOut.model_validate(one | {"outcome": receipts.outcome(one)})
            for one in receipts.replays_of(tx, call.scope, row["id"])
        ]
    raw: bytes = row["body"] or b""
    shown = raw[:SHOWN_BODY]
    text = _text(shown)
    row |= {"body": text, "body_base64": base64.b64encode(shown).decode() if text is None else None}
    more = {"body_shown": len(shown), "suggested_preset": hint and hint.preset, "replays": again}
    return ReceiptWhole.model_validate(row | more)


@api.op("GET", "/api/v1/receipts/{receipt_id}/body", out=Response, scope=READ, errors=[NotFoundError])
def get_receipt_body(call: Call[NoBody, NoQuery]) -> Response:
    """Download the exact bytes of a request."""
    row = _receipt(call)
    headers = {"content-disposition": f'attachment; filename="receipt-{row["id"]}.bin"'}
    return Response(row["body"] or b"", media_type="application/octet-stream", headers=headers)


@api.op(
    "POST", "/api/v1/receipts/{receipt_id}/replay", body=ReplayIn, out=Replayed, status=201, scope=WRITE,
    errors=[NotFoundError, RefusedError],
)  # fmt: skip
def replay_receipt(call: Call[ReplayIn, NoQuery]) -> Replayed:
    """Let a kept request happen again, as a receipt of its own."""
    args = call.body.model_dump()
    command = Command("receipt.replay", call.scope, call.path["receipt_id"], args, id=call.command_id)
    return Replayed.model_validate(apply(call.store, command).result)


@api.op("GET", "/api/v1/receipts/{receipt_id}/replay", out=Foresight, scope=WRITE, errors=[NotFoundError])
def foresee_replay(call: Call[NoBody, NoQuery]) -> Foresight:
    """Say what a replay of a request would start now; nothing is changed."""
    row = _receipt(call)
    with call.store.read() as tx:
        source = sources.by_id(tx, call.scope, row["source_id"])
    found = foresee(call.store, call.scope, row)
    return Foresight(
        events=found.events, more=found.more, problem=found.problem, held=bool(source and source["paused_at"]),
        automations=[
            Foreseen.model_validate({**trial.document(), "id": id_, "name": name}) for id_, name, trial in found.trials
        ],
    )  # fmt: skip


@api.op(
    "POST", "/api/v1/receipts/{receipt_id}/sign", body=SignIn, out=Signed, scope=WRITE,
    errors=[NotFoundError, RefusedError],
)  # fmt: skip
def sign_receipt(call: Call[SignIn, NoQuery]) -> Signed:
    """Sign a verified request anew with the source's secret, at this moment, for a program that verifies it."""
    args = {"receipt": call.path["receipt_id"], "url": call.body.url}
    command = Command("source.sign", call.scope, _receipt(call)["source_id"], args, id=call.command_id)
    outcome = apply(call.store, command)
    if outcome.repeated:  # what was signed then is kept nowhere
        outcome = apply(call.store, replace(command, id=new_id()))
    made = signed_for_others(outcome.result)
    body = base64.b64encode(made.body).decode()
    return Signed(method=made.method, url=made.url, headers=list(made.headers), body_base64=body)


@api.op("POST", "/api/v1/replays", body=ReplayManyIn, out=ReplayedMany, scope=WRITE)
def replay_receipts(call: Call[ReplayManyIn, NoQuery]) -> ReplayedMany:
    """Let kept requests happen again, each as a receipt of its own, in the order given."""
    body = call.body
    done = replay_all(call.store, call.scope, body.receipts, body.request, unverified=body.unverified)
    return ReplayedMany(request=body.request, items=[ReplayedOne.model_validate(asdict(one)) for one in done])


def _receipt(call: Call[Any, Any]) -> dict[str, Any]:
    receipt_id: Id = call.path["receipt_id"]
    with call.store.read() as tx:
        return receipts.row(tx, call.scope, receipt_id)


def _text(raw: bytes) -> str | None:
    """The bytes as text, or None when they are none; what was cut within a character loses that character."""
    cut = len(raw) == SHOWN_BODY
    for end in range(len(raw), len(raw) - (4 if cut else 1), -1):
        try:
            return raw[:end].decode()
        except UnicodeDecodeError:
            continue
    return None
