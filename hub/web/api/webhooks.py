"""Webhook sources, their receipts and the presets over the API."""

from __future__ import annotations

import base64
from typing import Any, Literal

from pydantic import Field, SecretStr
from starlette.responses import Response

from hub.errors import ConflictError, NotFoundError, RefusedError
from hub.runtime.commands import Command, apply
from hub.runtime.presets import installed
from hub.settings import Settings
from hub.store import receipts, sources
from hub.store.base import Tx
from hub.types import Id
from hub.web.api.fields import NO_NUL, In, Moment, Name, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from hub.webhooks.dedupe import protects_from_replay
from hub.webhooks.preset import Preset

api = Api()
READ, WRITE = "sources:read", "sources:write"
SHOWN_BODY = 65_536


class SourceIn(In):
    """A new source. Without a secret one is made where the provider takes one of our choice."""

    name: Name
    preset: str = Field(min_length=1, max_length=40, pattern=NO_NUL)
    secret: SecretStr | None = Field(default=None, max_length=4096)
    options: dict[str, str] = Field(default_factory=dict, max_length=50)
    mode: Literal["enforce", "observe"] = "enforce"
    verify: Literal["preset", "none"] = Field(default="preset", description="none: anybody may send; say it in writing")
    max_body: int | None = Field(default=None, ge=1, le=26_214_400, description="bytes")
    rate_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    keep_s: int | None = Field(default=None, ge=3600, le=315_360_000, description="how long receipts are kept")


class SourcePatch(In):
    """What is to change; what is left out stays."""

    options: dict[str, str] | None = Field(default=None, max_length=50)
    mode: Literal["enforce", "observe"] | None = None
    verify: Literal["preset", "none"] | None = None
    enabled: bool | None = None
    max_body: int | None = Field(default=None, ge=1, le=26_214_400)
    rate_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    keep_s: int | None = Field(default=None, ge=3600, le=315_360_000)


class RotateIn(In):
    """What is to be new. The old ones hold for `overlap_s` seconds more."""

    secret: SecretStr | None = Field(default=None, max_length=4096, description="the provider's new secret")
    new_secret: bool = Field(default=False, description="make a secret of our choice")
    new_url: bool = Field(default=False, description="make a new address")
    overlap_s: int = Field(default=86_400, ge=0, le=2_592_000)


class SecretOut(Out):
    """A secret without its value."""

    id: str
    name: str
    created_at: Moment
    expires_at: Moment | None


class SourceOut(Out):
    """A source. `ready` false: it has no secret, so its address answers 404. `warnings` say what is not safe."""

    id: str
    name: str
    preset: str
    options: dict[str, str]
    mode: str
    verify: str
    enabled: bool
    ready: bool
    max_body: int
    rate_per_minute: int
    keep_s: int
    secrets: list[SecretOut]
    warnings: list[str]
    docs: str
    where: str
    last_received_at: Moment | None
    created_at: Moment
    updated_at: Moment


class SourceMade(Out):
    """What was made. `url` and `secret` are shown this once; null when they are not new."""

    id: str
    name: str
    url: str | None
    secret: str | None
    ready: bool
    where: str
    docs: str


class ReceiptQuery(PageQuery):
    """Which receipts: of a source (name or id), with a verdict."""

    source: str | None = Field(default=None, max_length=100, pattern=NO_NUL)
    verdict: Literal["accepted", "observed", "handshake", "rejected"] | None = None


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


class ReceiptWhole(ReceiptOut):
    """A receipt with what it carried: `body` where it is text, else `body_base64`, at most 64 KiB of it."""

    headers: list[tuple[str, str]]
    body: str | None
    body_base64: str | None
    body_shown: int


class ReplayIn(In):
    """`unverified` must be said to replay a request that was refused."""

    unverified: bool = False


class Replayed(Out):
    """The new receipt and the one it repeats."""

    id: str
    replay_of: str


class PresetOption(Out):
    """A choice of a preset; `default` null: it must be given."""

    description: str
    default: str | None
    choices: list[str]


class PresetOut(Out):
    """A provider. `secret`: issued by the provider or chosen by you."""

    id: str
    name: str
    summary: str
    docs: str
    where: str
    maturity: str
    secret: str
    events: list[str]
    samples: list[str]
    options: dict[str, PresetOption]


@api.op("GET", "/api/v1/sources", query=PageQuery, out=Page[SourceOut], scope=READ)
def list_sources(call: Call[NoBody, PageQuery]) -> Page[SourceOut]:
    """List webhook sources."""
    with call.store.read() as tx:
        found = sources.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        return Page[SourceOut](items=_shown(tx, found.items), next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/sources", body=SourceIn, out=SourceMade, status=201, scope=WRITE, errors=[ConflictError])
def create_source(call: Call[SourceIn, NoQuery]) -> SourceMade:
    """Make a webhook source. Its address and a secret made here are shown this once."""
    body = call.body
    args = body.model_dump(exclude={"secret"}) | {"secret": _clear(body.secret)}
    made = apply(call.store, Command("source.create", call.scope, "", args, id=call.command_id)).result
    return _made(call, made, installed().get(body.preset), ready=bool(made["ready"]))


@api.op("GET", "/api/v1/sources/{name}", out=SourceOut, scope=READ, errors=[NotFoundError])
def get_source(call: Call[NoBody, NoQuery]) -> SourceOut:
    """Show a webhook source, by name or id."""
    with call.store.read() as tx:
        return _shown(tx, [sources.row(tx, call.scope, call.path["name"])])[0]


@api.op(
    "PATCH", "/api/v1/sources/{name}", body=SourcePatch, out=SourceOut, scope=WRITE, errors=[NotFoundError]
)  # fmt: skip
def update_source(call: Call[SourcePatch, NoQuery]) -> SourceOut:
    """Change a webhook source."""
    args = call.body.model_dump(exclude_none=True)
    found = apply(call.store, Command("source.update", call.scope, call.path["name"], args, id=call.command_id)).result
    with call.store.read() as tx:
        return _shown(tx, [sources.row(tx, call.scope, found["id"])])[0]


@api.op(
    "POST", "/api/v1/sources/{name}/rotate", body=RotateIn, out=SourceMade, scope=WRITE, errors=[NotFoundError]
)  # fmt: skip
def rotate_source(call: Call[RotateIn, NoQuery]) -> SourceMade:
    """Give a webhook source a new secret, a new address, or both."""
    body = call.body
    args = {
        "secret": _clear(body.secret), "new_secret": body.new_secret, "new_token": body.new_url,
        "overlap_s": body.overlap_s,
    }  # fmt: skip
    made = apply(call.store, Command("source.rotate", call.scope, call.path["name"], args, id=call.command_id)).result
    with call.store.read() as tx:
        shown = _shown(tx, [sources.row(tx, call.scope, made["id"])])[0]
    return _made(call, made, installed().get(shown.preset), ready=shown.ready)


@api.op("DELETE", "/api/v1/sources/{name}", scope=WRITE, errors=[NotFoundError])
def delete_source(call: Call[NoBody, NoQuery]) -> None:
    """Remove a webhook source; its address answers 404 from now on, its receipts stay until their retention ends."""
    apply(call.store, Command("source.delete", call.scope, call.path["name"], id=call.command_id))


@api.op("GET", "/api/v1/receipts", query=ReceiptQuery, out=Page[ReceiptOut], scope=READ, errors=[NotFoundError])
def list_receipts(call: Call[NoBody, ReceiptQuery]) -> Page[ReceiptOut]:
    """List requests that came in, newest first."""
    query = call.query
    with call.store.read() as tx:
        source_id = sources.row(tx, call.scope, query.source)["id"] if query.source else None
        found = receipts.listing(
            tx, call.scope, source_id=source_id, verdict=query.verdict or "", limit=query.limit, cursor=query.cursor
        )
    return Page[ReceiptOut].of(found)


@api.op("GET", "/api/v1/receipts/{receipt_id}", out=ReceiptWhole, scope=READ, errors=[NotFoundError])
def get_receipt(call: Call[NoBody, NoQuery]) -> ReceiptWhole:
    """Show one request with its headers and body."""
    row = _receipt(call)
    raw: bytes = row["body"] or b""
    shown = raw[:SHOWN_BODY]
    text = _text(shown)
    row |= {"body": text, "body_base64": base64.b64encode(shown).decode() if text is None else None}
    return ReceiptWhole.model_validate(row | {"body_shown": len(shown)})


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


@api.op("GET", "/api/v1/presets", out=list[PresetOut], scope=READ)
def list_presets(_call: Call[NoBody, NoQuery]) -> list[PresetOut]:
    """List the providers that this hub knows."""
    return [_preset(preset) for preset in installed()]


@api.op("GET", "/api/v1/presets/{name}", out=PresetOut, scope=READ, errors=[NotFoundError])
def get_preset(call: Call[NoBody, NoQuery]) -> PresetOut:
    """Show one provider."""
    return _preset(installed().get(call.path["name"]))


def address(settings: Settings, token: str) -> str:
    """The address of a source. Without HUB_PUBLIC_URL it is this machine's own, which no provider can reach."""
    base = settings.public_url.rstrip("/") or f"http://{settings.web_host}:{settings.web_port}"
    return f"{base}/in/{token}"


def warnings_of(row: dict[str, Any], preset: Preset | None, *, ready: bool) -> list[str]:
    """What about a source is not safe or not finished, each a sentence."""
    if preset is None:
        return [f"No plugin brings the preset {row['preset']}: every request is answered 404."]
    found = []
    if not ready:
        found.append("It has no secret yet: every request is answered 404.")
    if row["verify_none"]:
        found.append("Nothing is verified: anybody who learns the address can send.")
    if row["mode"] == "observe":
        found.append("It only observes: requests that are not verified start what they start.")
    if not protects_from_replay(preset, row["options"]):
        found.append("The sender signs neither a time nor an id: a captured request can be sent again.")
    return found


def _shown(tx: Tx, rows: list[dict[str, Any]]) -> list[SourceOut]:
    last = receipts.last_at(tx, [row["id"] for row in rows])
    return [_source(row, sources.secret_rows(tx, row["id"]), last.get(row["id"])) for row in rows]


def _source(row: dict[str, Any], secrets: list[dict[str, Any]], last: int | None) -> SourceOut:
    preset = installed().find(row["preset"])
    ready = bool(row["verify_none"] or secrets)
    more = {
        "verify": "none" if row["verify_none"] else "preset", "ready": ready, "secrets": secrets,
        "warnings": warnings_of(row, preset, ready=ready), "last_received_at": last,
        "docs": preset.docs if preset else "", "where": preset.where if preset else "",
    }  # fmt: skip
    return SourceOut.model_validate(row | more)


def _made(call: Call[Any, Any], made: dict[str, Any], preset: Preset, *, ready: bool) -> SourceMade:
    token = made.get("token")
    url = address(call.services.settings, token) if token else None
    return SourceMade(
        id=made["id"], name=made["name"], url=url, secret=made.get("secret"), ready=ready, where=preset.where,
        docs=preset.docs,
    )  # fmt: skip


def _preset(preset: Preset) -> PresetOut:
    options = {name: option.model_dump() for name, option in preset.options.items()}
    plain = preset.model_dump(include={"id", "name", "summary", "docs", "where", "maturity", "secret", "events"})
    return PresetOut.model_validate(plain | {"options": options, "samples": [one.name for one in preset.samples]})


def _receipt(call: Call[Any, Any]) -> dict[str, Any]:
    receipt_id: Id = call.path["receipt_id"]
    with call.store.read() as tx:
        return receipts.row(tx, call.scope, receipt_id)


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _text(raw: bytes) -> str | None:
    """The bytes as text, or None when they are none; what was cut within a character loses that character."""
    cut = len(raw) == SHOWN_BODY
    for end in range(len(raw), len(raw) - (4 if cut else 1), -1):
        try:
            return raw[:end].decode()
        except UnicodeDecodeError:
            continue
    return None
