"""Webhook sources and the presets over the API."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, Field, SecretStr

from hub.errors import ConflictError, NotFoundError, RefusedError
from hub.runtime import brought
from hub.runtime.commands import Command, Outcome, apply
from hub.runtime.commands.signing import signed
from hub.runtime.commands.sources import LARGEST_KEPT, MAX_ORDER_BY, Answer
from hub.runtime.presets import installed
from hub.settings import Settings
from hub.store import consumers, holding, receipts, sources
from hub.store.base import Tx
from hub.types import Scope, rfc3339
from hub.web.api.fields import NO_NUL, In, Moment, Name, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from hub.web.door.inside import Admitted
from hub.web.services import Services
from hub.webhooks.allowing import MAX_NETWORK, MAX_NETWORKS
from hub.webhooks.dedupe import protects_from_replay
from hub.webhooks.preset import Preset
from hub.webhooks.redaction import MAX_PLACE, MAX_PLACES
from hub.webhooks.scheme import is_keyless

api = Api()
READ, WRITE = "sources:read", "sources:write"
NetworkText = Annotated[str, Field(min_length=1, max_length=MAX_NETWORK, pattern=NO_NUL)]
Place = Annotated[str, Field(min_length=1, max_length=MAX_PLACE, pattern=NO_NUL)]
KEEP_BYTES = "bytes of bodies that are kept, the newest; of refused requests a tenth of that; 0: no limit"
FROM = "addresses and networks that requests may come from; none: from anywhere"
ANSWER = "what is answered in place of what the preset says; preset: that again"
SCHEMAS = "where payloads depart from the schema of their type: pay no heed, note it, or refuse violations with 400"
ORDER = "CEL of a key: runs that requests of one key start are made one after the other, as they came; '': at once"
HANDSHAKE = "open, or closed since its provider has confirmed it: then handshakes that happen but once are refused"
SILENCE = "seconds without an accepted request after which an alert is raised: 60 or more; 0: none"
REDACT = "places whose values are not stored: json:PATH, field:NAME, header:NAME, query:NAME, or body for all of it"


_CONNECTION = "the connection by which messages come, of a preset with a consumer"


class SourceIn(In):
    """A new source. Without a secret one is made where the provider takes one of our choice."""

    name: Name
    preset: str = Field(min_length=1, max_length=40, pattern=NO_NUL)
    secret: SecretStr | None = Field(default=None, max_length=4096)
    connection: Name | None = Field(default=None, description=_CONNECTION)
    options: dict[str, str] = Field(default_factory=dict, max_length=50)
    mode: Literal["enforce", "observe"] = "enforce"
    verify: Literal["preset", "none"] = Field(default="preset", description="none: anybody may send; say it in writing")
    max_body: int | None = Field(default=None, ge=1, le=26_214_400, description="bytes")
    rate_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    keep_s: int | None = Field(default=None, ge=3600, le=315_360_000, description="how long receipts are kept")
    redact: list[Place] | None = Field(default=None, max_length=MAX_PLACES, description=REDACT)
    alert_after_s: int | None = Field(default=None, ge=0, le=31_536_000, description=SILENCE)
    order_by: str | None = Field(default=None, max_length=MAX_ORDER_BY, pattern=NO_NUL, description=ORDER)
    schema_mode: Literal["off", "observe", "enforce"] | None = Field(default=None, description=SCHEMAS)
    keep_bytes: int | None = Field(default=None, ge=0, le=LARGEST_KEPT, description=KEEP_BYTES)
    allow_from: list[NetworkText] | None = Field(default=None, max_length=MAX_NETWORKS, description=FROM)
    answer: Answer | Literal["preset"] | None = Field(default=None, description=ANSWER)


class SourcePatch(In):
    """What is to change; what is left out stays."""

    connection: Name | None = Field(default=None, description=_CONNECTION)
    options: dict[str, str] | None = Field(default=None, max_length=50)
    mode: Literal["enforce", "observe"] | None = None
    verify: Literal["preset", "none"] | None = None
    enabled: bool | None = None
    max_body: int | None = Field(default=None, ge=1, le=26_214_400)
    rate_per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    keep_s: int | None = Field(default=None, ge=3600, le=315_360_000)
    redact: list[Place] | None = Field(default=None, max_length=MAX_PLACES, description=REDACT)
    alert_after_s: int | None = Field(default=None, ge=0, le=31_536_000, description=SILENCE)
    order_by: str | None = Field(default=None, max_length=MAX_ORDER_BY, pattern=NO_NUL, description=ORDER)
    schema_mode: Literal["off", "observe", "enforce"] | None = Field(default=None, description=SCHEMAS)
    keep_bytes: int | None = Field(default=None, ge=0, le=LARGEST_KEPT, description=KEEP_BYTES)
    allow_from: list[NetworkText] | None = Field(default=None, max_length=MAX_NETWORKS, description=FROM)
    answer: Answer | Literal["preset"] | None = Field(default=None, description=ANSWER)
    handshake: Literal["open", "closed"] | None = Field(default=None, description=HANDSHAKE)


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


class ConsumerOut(Out):
    """How it stands with the consumer of a source: connecting, running, waiting (until `retry_at`) or stopped."""

    state: str
    reason: str
    since: Moment
    retry_at: Moment | None


class SourceOut(Out):
    """A source. `ready` false: it has no secret, so its address answers 404. `warnings` say what is not safe."""

    id: str
    name: str
    preset: str
    connection: str | None
    consumer: ConsumerOut | None = Field(description="null before its first connection, and of what comes by HTTP")
    options: dict[str, str]
    mode: str
    verify: str
    enabled: bool
    ready: bool
    max_body: int
    rate_per_minute: int
    keep_s: int
    redact: list[str]
    alert_after_s: int = Field(description=SILENCE)
    order_by: str = Field(description=ORDER)
    schema_mode: str = Field(description=SCHEMAS)
    keep_bytes: int = Field(description=KEEP_BYTES)
    allow_from: list[str] = Field(description=FROM)
    answer: Answer | None = Field(description="what is answered in place of what the preset says")
    handshake: str = Field(description=HANDSHAKE)
    confirmed_at: Moment | None = Field(description="when its provider confirmed it: a handshake, a subscription")
    confirm_error: str | None = Field(description="why that did not work the last time")
    silent_at: Moment | None = Field(description="since when the alarm of its silence is on")
    paused_at: Moment | None
    held: int = Field(description="requests whose events wait until it is resumed; counted up to 10,000")
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


class TriggerIn(In):
    """What to send: a sample or an event type (none: the first sample), with another body (text or base64), headers;
    or a bookmarked request."""

    event: str | None = Field(default=None, min_length=1, max_length=200, pattern=NO_NUL)
    body: str | None = None
    body_base64: Base64Bytes | None = None
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    bookmark: Name | None = None


class Triggered(Out):
    """What the door answered. `duplicate`: the receipt is that of the first such request, and nothing happens again."""

    status: int
    receipt: str
    duplicate: bool
    verdict: str
    reason: str
    event_type: str | None
    delivery_id: str | None


@api.op("GET", "/api/v1/sources", query=PageQuery, out=Page[SourceOut], scope=READ)
def list_sources(call: Call[NoBody, PageQuery]) -> Page[SourceOut]:
    """List webhook sources."""
    with call.store.read() as tx:
        found = sources.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        return Page[SourceOut](items=_shown(tx, call.scope, found.items), next_cursor=found.next_cursor)


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
        return _shown(tx, call.scope, [sources.row(tx, call.scope, call.path["name"])])[0]


@api.op(
    "PATCH", "/api/v1/sources/{name}", body=SourcePatch, out=SourceOut, scope=WRITE, errors=[NotFoundError]
)  # fmt: skip
def update_source(call: Call[SourcePatch, NoQuery]) -> SourceOut:
    """Change a webhook source."""
    args = call.body.model_dump(exclude_none=True)
    found = apply(call.store, Command("source.update", call.scope, call.path["name"], args, id=call.command_id)).result
    with call.store.read() as tx:
        return _shown(tx, call.scope, [sources.row(tx, call.scope, found["id"])])[0]


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
        shown = _shown(tx, call.scope, [sources.row(tx, call.scope, made["id"])])[0]
    return _made(call, made, installed().get(shown.preset), ready=shown.ready)


@api.op("POST", "/api/v1/sources/{name}/pause", out=SourceOut, scope=WRITE, errors=[NotFoundError])
def pause_source(call: Call[NoBody, NoQuery]) -> SourceOut:
    """Hold what a webhook source takes: requests are kept and answered as before, their events wait."""
    apply(call.store, Command("source.pause", call.scope, call.path["name"], id=call.command_id))
    return get_source(call)


@api.op("POST", "/api/v1/sources/{name}/resume", out=SourceOut, scope=WRITE, errors=[NotFoundError])
def resume_source(call: Call[NoBody, NoQuery]) -> SourceOut:
    """Let what was held happen, in the order in which it came, and go on."""
    apply(call.store, Command("source.resume", call.scope, call.path["name"], id=call.command_id))
    return get_source(call)


@api.op("DELETE", "/api/v1/sources/{name}", scope=WRITE, errors=[NotFoundError])
def delete_source(call: Call[NoBody, NoQuery]) -> None:
    """Remove a webhook source; its address answers 404 from now on, its receipts stay until their retention ends."""
    apply(call.store, Command("source.delete", call.scope, call.path["name"], id=call.command_id))


@api.op(
    "POST", "/api/v1/sources/{name}/trigger", body=TriggerIn, out=Triggered, scope=WRITE,
    errors=[NotFoundError, RefusedError, ConflictError],
)  # fmt: skip
def trigger_source(call: Call[TriggerIn, NoQuery]) -> Triggered:
    """Sign a request as the provider would, with the source's own secret, and let it come in."""
    body, raw = call.body, call.body.body_base64
    if body.body is not None:
        raw = body.body.encode("utf-8", "surrogatepass")
    args = {
        "event": body.event, "headers": body.headers, "body": None if raw is None else base64.b64encode(raw),
        "url": address(call.services.settings, "trigger"), "bookmark": body.bookmark,
    }  # fmt: skip
    outcome = apply(call.store, Command("source.sign", call.scope, call.path["name"], args, id=call.command_id))
    came = let_in(call.services, call.scope, outcome)
    return Triggered.model_validate(asdict(came) | {"receipt": came.receipt_id})


def let_in(services: Services, scope: Scope, outcome: Outcome) -> Admitted:
    """Sign what `source.sign` made and let it come in. Raises UsageError, RefusedError; ConflictError: it has come."""
    if outcome.repeated:
        raise ConflictError("this request was signed before", hint="Its receipt is among those of the source.")
    return services.door.admit(scope, outcome.result["source_id"], signed(outcome.result))


def address(settings: Settings, token: str) -> str:
    """The address of a source. Without HUB_PUBLIC_URL it is this machine's own, which no provider can reach."""
    base = settings.public_url.rstrip("/") or f"http://{settings.web_host}:{settings.web_port}"
    return f"{base}/in/{token}"


def is_ready(row: dict[str, Any], preset: Preset | None, secrets: list[dict[str, Any]]) -> bool:
    """Whether requests can be verified: with a secret, by keys that are fetched, or not at all if that was written."""
    return bool(row["verify_none"] or secrets or (preset and is_keyless(preset.rules(row["options"]).verify)))


def warnings_of(
    tx: Tx,
    row: dict[str, Any],
    preset: Preset | None,
    *,
    ready: bool,
    held: int = 0,
    consumer: dict[str, Any] | None = None,
) -> list[str]:
    """What about a source is not safe or not finished, each a sentence."""
    if preset is None:
        return [f"It {brought.needs(tx, 'preset', row['preset'])}; until then every request is answered 404."]
    found = []
    if row["paused_at"] is not None:
        found.append(
            f"It is paused since {rfc3339(row['paused_at'])[:19]}Z: what comes in waits, {held} requests so far."
        )
    if not ready:
        found.append("It has no secret yet: every request is answered 404.")
    if row["silent_at"] is not None:
        found.append(f"No request has been accepted since {rfc3339(row['heard_at'])[:19]}Z: it should not be so quiet.")
    if row["verify_none"]:
        found.append("Nothing is verified: anybody who learns the address can send.")
    if row["mode"] == "observe":
        found.append("It only observes: requests that are not verified start what they start.")
    if consumer is not None and consumer["state"] == "waiting":
        found.append(f"No messages come: {consumer['reason']}.")
    if not preset.consumer and not protects_from_replay(preset, row["options"]):
        found.append("The sender signs neither a time nor an id: a captured request can be sent again.")
    return found


def _shown(tx: Tx, scope: Scope, rows: list[dict[str, Any]]) -> list[SourceOut]:
    last = receipts.last_at(tx, scope, [row["id"] for row in rows])
    said = consumers.states(tx, [row["id"] for row in rows if row["connection"]])
    held = {row["id"]: holding.count(tx, row["id"]) for row in rows if row["paused_at"] is not None}
    return [
        _source(
            tx,
            row | {"held": held.get(row["id"], 0), "consumer": said.get(row["id"])},
            sources.secret_rows(tx, row["id"]),
            last.get(row["id"]),
        )
        for row in rows
    ]


def _source(tx: Tx, row: dict[str, Any], secrets: list[dict[str, Any]], last: int | None) -> SourceOut:
    preset = installed().find(row["preset"])
    ready = is_ready(row, preset, secrets)
    warnings = warnings_of(tx, row, preset, ready=ready, held=row["held"], consumer=row["consumer"])
    more = {
        "verify": "none" if row["verify_none"] else "preset", "ready": ready, "secrets": secrets,
        "warnings": warnings, "last_received_at": last,
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


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
