"""Operations on webhook sources."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from hub.errors import ConflictError, ExpressionError, NotFoundError, UsageError
from hub.references import check_reference, is_reference
from hub.runtime.commands import catalogs, dismissing, signing
from hub.runtime.commands import holding as pausing
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.contributed import installed as contributed
from hub.runtime.presets import installed
from hub.store import connections, consumers, dismissals, event_schemas, events, holding, sources
from hub.store.base import Tx
from hub.types import SECOND, new_id
from hub.webhooks import redaction, standard
from hub.webhooks.allowing import MAX_NETWORKS, networks
from hub.webhooks.preset import Preset
from hub.webhooks.rules import Rules
from hub.webhooks.scheme import BasicScheme, Scheme, StandardScheme, is_keyless
from hub.webhooks.secrets import decode_standard

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TOKEN_BYTES = 24
LARGEST_BODY = 26_214_400
MAX_ORDER_BY = 1_000
LARGEST_KEPT = 2**50
SHORTEST_SILENCE, LONGEST_SILENCE = 60, 31_536_000
FASTEST = 1_000_000
"""Messages a minute: what comes from a broker is held back only if its source says so."""


class Answer(BaseModel):
    """What a sender is answered. In the text `{receipt}` and `{type}` stand for its id and the event's type."""

    model_config = ConfigDict(extra="forbid")
    status: int = Field(200, ge=200, le=299)
    text: str = Field("", max_length=4_096)
    type: Literal["application/json", "text/plain", "application/xml", "text/xml"] = "application/json"

    @model_validator(mode="after")
    def _fits(self) -> Answer:
        if self.status == 204 and self.text:
            raise ValueError("an answer with status 204 cannot hold a text")
        if self.text and self.type == "application/json":
            try:
                json.loads(self.text.replace("{receipt}", "").replace("{type}", ""))
            except ValueError:
                raise ValueError("the text is not JSON, as its type says") from None
        return self


class Limits(BaseModel):
    """What create and update share. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid")
    options: dict[str, str] | None = Field(None, max_length=50)
    mode: Literal["enforce", "observe"] | None = None
    verify: Literal["preset", "none"] | None = None
    enabled: bool | None = None
    connection: str | None = Field(None, min_length=1, max_length=100)
    max_body: int | None = Field(None, ge=1, le=LARGEST_BODY)
    rate_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    keep_s: int | None = Field(None, ge=3600, le=315_360_000)
    redact: list[str] | None = Field(None, max_length=redaction.MAX_PLACES)
    alert_after_s: int | None = Field(None, ge=0, le=LONGEST_SILENCE)

    order_by: str | None = Field(None, max_length=MAX_ORDER_BY)
    keep_bytes: int | None = Field(None, ge=0, le=LARGEST_KEPT)
    allow_from: list[str] | None = Field(None, max_length=MAX_NETWORKS)
    answer: Answer | Literal["preset"] | None = None
    schema_mode: Literal["off", "observe", "enforce"] | None = None
    handshake: Literal["open", "closed"] | None = None

    @field_validator("order_by")
    @classmethod
    def _an_expression(cls, value: str | None) -> str | None:
        if value:
            from hub.runtime.expressions import compile_expression  # noqa: PLC0415 - CEL is loaded where a key needs it

            try:
                compile_expression(value)
            except ExpressionError as error:
                raise ValueError(error.detail) from None
        return value

    @field_validator("alert_after_s")
    @classmethod
    def _a_minute_or_nothing(cls, value: int | None) -> int | None:
        if value is not None and 0 < value < SHORTEST_SILENCE:
            raise ValueError(f"must be 0 (no alarm) or {SHORTEST_SILENCE} s at least")
        return value


class CreateSource(Limits):
    """A new source. Without a secret one is made where the provider takes one of our choice."""

    name: str = Field(min_length=1, max_length=100, pattern=NAME)
    preset: str = Field(min_length=1, max_length=40)
    secret: SecretStr | None = Field(None, max_length=4096)


class UpdateSource(Limits):
    """What is to change; what is left out stays."""


class RotateSource(BaseModel):
    """A new secret, a new address, or both. The old ones hold for `overlap_s` seconds more."""

    model_config = ConfigDict(extra="forbid")
    secret: SecretStr | None = Field(None, max_length=4096)
    new_secret: bool = False
    new_token: bool = False
    overlap_s: int = Field(86_400, ge=0, le=2_592_000)


class DeleteSource(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create(tx: Tx, command: Command, args: CreateSource) -> dict[str, Any]:
    """Make a source. Its token and a secret made here are in the answer, once."""
    preset = installed().get(args.preset)
    _fits_consumer(tx, command, preset, args, args.connection)
    unverified = check_unverified(preset, args.verify)
    options = dict(args.options or {})
    rules = preset.rules(options)
    check_redaction(args.redact or [], rules)
    scheme = rules.verify
    given = _given(args.secret, scheme)
    chosen = preset.secret == "chosen" and not preset.consumer  # noqa: S105 - who makes it, not a secret
    made = _fresh_secret(scheme) if chosen and not (given or unverified) else None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    source_id = new_id()
    values = {
        "id": source_id, "name": args.name, "preset": preset.id, "options": options, "verify_none": unverified,
        "token_digest": tx.keyring.digest(token, purpose=sources.PURPOSE), "mode": args.mode or "enforce",
        "enabled": args.enabled is not False, "connection": args.connection, "heard_at": tx.now, **_limits(args),
    }  # fmt: skip
    if preset.consumer:
        values.setdefault("rate_per_minute", FASTEST)
    if not sources.insert(tx, command.scope, values):
        raise ConflictError(
            f"there is a webhook source named {args.name!r}", hint="Take another name, or `rotate` it.", field="name"
        )
    if given or made:
        sources.add_secret(tx, command.scope, source_id, "first", str(given or made))
    _event(tx, command, "created", {"id": source_id, "name": args.name})
    ready = unverified or bool(given or made) or is_keyless(scheme)
    shown = None if preset.consumer else token
    return {"id": source_id, "name": args.name, "ready": ready, "token": shown, "secret": made}


def update(tx: Tx, command: Command, args: UpdateSource) -> dict[str, Any]:
    """Change a source."""
    source = sources.row(tx, command.scope, command.target)
    preset = installed().get(source["preset"])
    _fits_consumer(tx, command, preset, args, args.connection or source["connection"])
    values: dict[str, Any] = _limits(args)
    if args.options is not None:
        values["options"] = args.options
    if args.options is not None or args.redact is not None:
        places = source["redact"] if args.redact is None else args.redact
        check_redaction(places, preset.rules(values.get("options", source["options"])))
    if args.verify is not None:
        values["verify_none"] = check_unverified(preset, args.verify)
    values |= {name: value for name in ("mode", "enabled", "connection") if (value := getattr(args, name)) is not None}
    if args.alert_after_s or (args.enabled and not source["enabled"]):
        values["heard_at"] = tx.now
    sources.change(tx, source, values)
    _event(tx, command, "updated", source)
    return {"id": source["id"], "name": source["name"]}


def rotate(tx: Tx, command: Command, args: RotateSource) -> dict[str, Any]:
    """Give a source a new secret or a new address; what is new is in the answer, once."""
    source = sources.row(tx, command.scope, command.target)
    preset = installed().get(source["preset"])
    if preset.consumer:
        raise UsageError(
            f"the source {source['name']} has neither a secret nor an address: its messages come by a connection",
            hint="Change the connection: `hub connections create KIND NAME --replace`, or `hub webhooks update`.",
        )
    scheme = preset.rules(source["options"]).verify
    given = _given(args.secret, scheme)
    made = _fresh_secret(scheme) if args.new_secret and not given else None
    if not (given or made or args.new_token):
        raise UsageError("nothing to rotate", hint="Give a secret, or ask for a new secret or a new address.")
    values: dict[str, Any] = {}
    token = None
    until = tx.now + args.overlap_s * SECOND
    if given or made:
        sources.retire_secrets(tx, source["id"], until)
        sources.add_secret(tx, command.scope, source["id"], "rotated", str(given or made))
    if args.new_token:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        # The provider asks at the new address whether somebody is there.
        values = {"token_digest": tx.keyring.digest(token, purpose=sources.PURPOSE), "handshake": "open"}
        values |= {"old_token_digest": source["token_digest"], "old_token_until": until}
    sources.change(tx, source, values)
    _event(tx, command, "rotated", source)
    return {"id": source["id"], "name": source["name"], "token": token, "secret": made}


def remove(tx: Tx, command: Command, _args: DeleteSource) -> dict[str, Any]:
    """Delete a source; its receipts stay until their retention ends, its secrets and its address are gone."""
    source = sources.row(tx, command.scope, command.target)
    sources.retire_secrets(tx, source["id"], tx.now)
    holding.drop(tx, source["id"])
    event_schemas.remove_all(tx, source["id"])
    dismissals.remove_all(tx, source["id"])
    consumers.forget(tx, source["id"])
    gone = {"deleted_at": tx.now, "enabled": False, "name": f"{source['name'][:80]}~{source['id'][-12:]}"}
    sources.change(tx, source, {**gone, "old_token_digest": None, "old_token_until": None})
    _event(tx, command, "deleted", source)
    return {"id": source["id"], "name": source["name"]}


_LIMITS = (
    "max_body",
    "rate_per_minute",
    "keep_s",
    "redact",
    "alert_after_s",
    "order_by",
    "schema_mode",
    "keep_bytes",
    "allow_from",
    "handshake",
)


def _limits(args: Limits) -> dict[str, Any]:
    try:
        networks(args.allow_from or [])
    except UsageError as error:
        raise UsageError(error.detail, hint=error.hint, field="allow_from") from None
    values = {name: value for name in _LIMITS if (value := getattr(args, name)) is not None}
    if args.answer is not None:
        values["answer"] = None if args.answer == "preset" else args.answer.model_dump()
    return values


def _fits_consumer(
    tx: Tx, command: Command, preset: Preset, args: CreateSource | UpdateSource, connection: str | None
) -> None:
    """Refuse a consumer without a connection of its kind, and what only requests have."""
    if not preset.consumer:
        if connection is not None:
            raise UsageError(f"the preset {preset.id} takes no connection: its requests come by HTTP")
        return
    if getattr(args, "secret", None) is not None or args.verify == "none" or args.mode == "observe":
        raise UsageError(
            f"the preset {preset.id} is verified by the login of its connection",
            hint="Leave out secret, verify and observe.",
        )
    kind = contributed().consumers.get(preset.consumer)
    if kind is None:
        raise UsageError(f"no plugin here brings the consumer {preset.consumer}", hint="`hub plugins ls` says why.")
    if connection is None:
        made = f"hub connections create {kind.connection_kind} NAME"
        raise UsageError(f"the preset {preset.id} needs a connection", hint=f"Make one: `{made}`.", field="connection")
    try:
        found = connections.get(tx, command.scope, connection)
    except NotFoundError as error:
        raise NotFoundError(error.detail, hint=error.hint, field="connection") from None
    if found["kind"] != kind.connection_kind:
        raise UsageError(
            f"the connection {connection!r} is of the kind {found['kind']}, the preset {preset.id} needs "
            f"{kind.connection_kind}",
            field="connection",
        )


def check_redaction(places: list[str], rules: Rules) -> None:
    """Refuse places that what the preset reads is in. Raises UsageError."""
    try:
        redaction.parse(places).check(rules)
    except UsageError as error:
        raise UsageError(error.detail, hint=error.hint, field="redact") from None


def check_unverified(preset: Preset, verify: str | None) -> bool:
    """Whether nothing is verified. Raises UsageError when that was not written out."""
    if preset.unverified and verify != "none":
        hint = "If that is meant, say verify: none."
        raise UsageError(f"preset {preset.id} verifies nothing", hint=hint, field="verify")
    return verify == "none"


def _given(secret: SecretStr | None, scheme: Scheme) -> str | None:
    """The secret as given, refused when it could never verify anything."""
    if secret is None:
        return None
    value = secret.get_secret_value()
    if not value.strip():
        raise _wrong("the secret is empty: anybody could sign with it", "Leave it out, or give the real one.")
    if "\x00" in value or not value.isprintable():
        raise _wrong("the secret holds characters that cannot be typed", "Copy it again, without line ends.")
    if is_reference(value):
        return check_reference(value)  # what it stands for is known where requests are judged
    if isinstance(scheme, BasicScheme) and not value.partition(":")[2]:
        raise _wrong("the secret of basic authentication is USER:PASSWORD")
    if isinstance(scheme, StandardScheme):
        try:
            decode_standard(value)
        except ValueError as error:
            raise _wrong(f"the secret is malformed: {error}", "It begins with whsec_ or whpk_.") from None
    return value


def _wrong(detail: str, hint: str = "") -> UsageError:
    return UsageError(detail, hint=hint, field="secret")


def _fresh_secret(scheme: Scheme) -> str:
    if isinstance(scheme, StandardScheme):
        return standard.new_secret()
    # 64 hex digits are a secret in every encoding: text, hex and base64.
    made = secrets.token_hex(32)
    return f"hub:{made}" if isinstance(scheme, BasicScheme) else made


def _event(tx: Tx, command: Command, verb: str, source: Mapping[str, Any]) -> None:
    events.append(tx, command.scope, f"hub.source.{verb}", subject=source["id"], name=source["name"])


_SECRET = frozenset({"secret", "token"})
OPS = (
    Op("source.create", CreateSource, create, "sources:write", _SECRET),
    Op("source.update", UpdateSource, update, "sources:write", watches=sources.TABLE),
    Op("source.rotate", RotateSource, rotate, "sources:write", _SECRET),
    Op("source.delete", DeleteSource, remove, "sources:write", watches=sources.TABLE),
    Op("source.pause", pausing.Nothing, pausing.pause, "sources:write", watches=sources.TABLE),
    Op("source.resume", pausing.Nothing, pausing.resume, "sources:write", watches=sources.TABLE),
    Op("source.schema_set", catalogs.SetSchema, catalogs.set_schema, "sources:write", catalogs.DOCUMENT),
    Op("source.schema_remove", catalogs.OfType, catalogs.remove_schema, "sources:write"),
    Op("source.dismiss", dismissing.Proposal, dismissing.dismiss, "sources:write"),
    Op("source.reconsider", dismissing.Proposal, dismissing.reconsider, "sources:write"),
    Op("source.sign", signing.SignRequest, signing.sign_request, "sources:write", signing.SECRET),
)
