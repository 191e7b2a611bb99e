"""Operations on webhook sources, and replaying a receipt."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hub.errors import ConflictError, NotFoundError, RefusedError, UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.presets import installed
from hub.runtime.receipts import receipt_effect
from hub.store import effects, events, receipts, sources
from hub.store.base import Tx
from hub.types import SECOND, new_id
from hub.webhooks.preset import Preset
from hub.webhooks.scheme import BasicScheme, Scheme, StandardScheme
from hub.webhooks.secrets import decode_standard

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TOKEN_BYTES = 24
LARGEST_BODY = 26_214_400


class Limits(BaseModel):
    """What create and update share. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(extra="forbid")
    options: dict[str, str] | None = Field(None, max_length=50)
    mode: Literal["enforce", "observe"] | None = None
    verify: Literal["preset", "none"] | None = None
    enabled: bool | None = None
    max_body: int | None = Field(None, ge=1, le=LARGEST_BODY)
    rate_per_minute: int | None = Field(None, ge=1, le=1_000_000)
    keep_s: int | None = Field(None, ge=3600, le=315_360_000)


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


class ReplayReceipt(BaseModel):
    """`unverified` must be said to replay a request that was refused."""

    model_config = ConfigDict(extra="forbid")
    unverified: bool = False


def create(tx: Tx, command: Command, args: CreateSource) -> dict[str, Any]:
    """Make a source. Its token and a secret made here are in the answer, once."""
    preset = installed().get(args.preset)
    unverified = _unverified(preset, args.verify)
    options = dict(args.options or {})
    scheme = preset.rules(options).verify
    given = _given(args.secret, scheme)
    chosen = preset.secret == "chosen"  # noqa: S105 - who makes it, not a secret
    made = _fresh_secret(scheme) if chosen and not (given or unverified) else None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    source_id = new_id()
    values = {
        "id": source_id, "name": args.name, "preset": preset.id, "options": options, "verify_none": unverified,
        "token_digest": tx.keyring.digest(token, purpose=sources.PURPOSE), "mode": args.mode or "enforce",
        "enabled": args.enabled is not False, **_limits(args),
    }  # fmt: skip
    if not sources.insert(tx, command.scope, values):
        raise ConflictError(f"there is a webhook source named {args.name!r}", hint="Take another name, or `rotate` it.")
    if given or made:
        sources.add_secret(tx, command.scope, source_id, "first", str(given or made))
    _event(tx, command, "created", {"id": source_id, "name": args.name})
    ready = unverified or bool(given or made)
    return {"id": source_id, "name": args.name, "ready": ready, "token": token, "secret": made}


def update(tx: Tx, command: Command, args: UpdateSource) -> dict[str, Any]:
    """Change a source."""
    source = sources.row(tx, command.scope, command.target)
    preset = installed().get(source["preset"])
    values: dict[str, Any] = _limits(args)
    if args.options is not None:
        preset.rules(args.options)
        values["options"] = args.options
    if args.verify is not None:
        values["verify_none"] = _unverified(preset, args.verify)
    values |= {name: value for name in ("mode", "enabled") if (value := getattr(args, name)) is not None}
    sources.change(tx, source, values)
    _event(tx, command, "updated", source)
    return {"id": source["id"], "name": source["name"]}


def rotate(tx: Tx, command: Command, args: RotateSource) -> dict[str, Any]:
    """Give a source a new secret or a new address; what is new is in the answer, once."""
    source = sources.row(tx, command.scope, command.target)
    scheme = installed().get(source["preset"]).rules(source["options"]).verify
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
        values = {"token_digest": tx.keyring.digest(token, purpose=sources.PURPOSE)}
        values |= {"old_token_digest": source["token_digest"], "old_token_until": until}
    sources.change(tx, source, values)
    _event(tx, command, "rotated", source)
    return {"id": source["id"], "name": source["name"], "token": token, "secret": made}


def remove(tx: Tx, command: Command, _args: DeleteSource) -> dict[str, Any]:
    """Delete a source; its receipts stay until their retention ends, its secrets and its address are gone."""
    source = sources.row(tx, command.scope, command.target)
    sources.retire_secrets(tx, source["id"], tx.now)
    gone = {"deleted_at": tx.now, "enabled": False, "name": f"{source['name'][:80]}~{source['id'][-12:]}"}
    sources.change(tx, source, {**gone, "old_token_digest": None, "old_token_until": None})
    _event(tx, command, "deleted", source)
    return {"id": source["id"], "name": source["name"]}


def replay(tx: Tx, command: Command, args: ReplayReceipt) -> dict[str, Any]:
    """Let a kept request happen again, as a receipt of its own."""
    old = receipts.row(tx, command.scope, command.target)
    source = sources.by_id(tx, command.scope, old["source_id"])
    if source is None or source["deleted_at"] is not None:
        raise NotFoundError("the source of this receipt was deleted", hint="Its bytes can still be read.")
    if old["verdict"] in ("rejected", "handshake") and not args.unverified:
        raise RefusedError(
            f"this request was not accepted ({old['reason'] or old['verdict']})",
            hint="If you know that it is genuine, replay it with unverified.",
        )
    if len(old["body"] or b"") != old["body_size"]:
        raise RefusedError("only the first part of this request was kept, so it cannot happen again")
    row = {name: old[name] for name in _REPLAYED} | {
        "id": new_id(), "received_at": tx.now, "verdict": "accepted", "reason": f"replayed by {command.scope.actor}",
        "replay_of": old["id"], "answer_status": 202,
    }  # fmt: skip
    receipts.insert(tx, [receipts.complete(row)])
    tx.insert(effects.TABLE, receipt_effect(row, tx.now))
    tx.wake("effects")
    return {"id": row["id"], "replay_of": old["id"]}


_REPLAYED = (
    "workspace_id", "source_id", "method", "query", "headers", "body", "body_size", "remote", "event_type",
    "delivery_id",
)  # fmt: skip


def _limits(args: Limits) -> dict[str, Any]:
    return {
        name: value for name in ("max_body", "rate_per_minute", "keep_s") if (value := getattr(args, name)) is not None
    }


def _unverified(preset: Preset, verify: str | None) -> bool:
    """Whether nothing is verified; that must have been written out."""
    if preset.unverified and verify != "none":
        raise UsageError(f"preset {preset.id} verifies nothing", hint="If that is meant, say verify: none.")
    return verify == "none"


def _given(secret: SecretStr | None, scheme: Scheme) -> str | None:
    """The secret as given, refused when it could never verify anything."""
    if secret is None:
        return None
    value = secret.get_secret_value()
    if not value.strip():
        raise UsageError("the secret is empty: anybody could sign with it", hint="Leave it out, or give the real one.")
    if "\x00" in value or not value.isprintable():
        raise UsageError("the secret holds characters that cannot be typed", hint="Copy it again, without line ends.")
    if isinstance(scheme, BasicScheme) and not value.partition(":")[2]:
        raise UsageError("the secret of basic authentication is USER:PASSWORD")
    if isinstance(scheme, StandardScheme):
        try:
            decode_standard(value)
        except ValueError as error:
            raise UsageError(f"the secret is malformed: {error}", hint="It begins with whsec_ or whpk_.") from None
    return value


def _fresh_secret(scheme: Scheme) -> str:
    if isinstance(scheme, StandardScheme):
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    # 64 hex digits are a secret in every encoding: text, hex and base64.
    made = secrets.token_hex(32)
    return f"hub:{made}" if isinstance(scheme, BasicScheme) else made


def _event(tx: Tx, command: Command, verb: str, source: Mapping[str, Any]) -> None:
    events.append(tx, command.scope, f"hub.source.{verb}", subject=source["id"], name=source["name"])


_SECRET = frozenset({"secret", "token"})
OPS = (
    Op("source.create", CreateSource, create, "sources:write", _SECRET),
    Op("source.update", UpdateSource, update, "sources:write"),
    Op("source.rotate", RotateSource, rotate, "sources:write", _SECRET),
    Op("source.delete", DeleteSource, remove, "sources:write"),
    Op("receipt.replay", ReplayReceipt, replay, "sources:write"),
)
