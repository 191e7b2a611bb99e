"""Operations on endpoints, and sending to one."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hub.errors import ConflictError, RefusedError, UsageError
from hub.outbound.rule import Blocked, Rule
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import endpoints, events, outgoing
from hub.store.base import Tx
from hub.types import ID_PATTERN, SECOND, Id, dated_id, rfc3339
from hub.webhooks import standard
from hub.webhooks.secrets import decode_standard

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
TYPE = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
MAX_BODY = 262_144
Schemes = Literal["v1", "v1a", "both"]
_SCHEMES: dict[str, tuple[str, ...]] = {"v1": ("v1",), "v1a": ("v1a",), "both": ("v1", "v1a")}
ADDRESSES = Rule(schemes=frozenset({"https", "http"}), private=True)
"""How an address must be written; what it may lead to is judged at every attempt."""

_EXPECTED = "whsec_ and the base64 of 24 to 64 bytes."


class CreateEndpoint(BaseModel):
    """A new endpoint. A `secret` of the receiver's own (whsec_) takes the place of one that is made."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100, pattern=NAME)
    url: SecretStr = Field(min_length=1, max_length=2_048)
    sign: Schemes = "v1"
    secret: SecretStr | None = Field(None, max_length=200)


class UpdateEndpoint(BaseModel):
    """What is to change. Switched on again, it sends at once what waits."""

    model_config = ConfigDict(extra="forbid")
    url: SecretStr | None = Field(None, min_length=1, max_length=2_048)
    enabled: bool | None = None


class RotateEndpoint(BaseModel):
    """New keys; for `overlap_s` seconds more what is sent is signed with the old ones as well."""

    model_config = ConfigDict(extra="forbid")
    sign: Schemes | None = None
    secret: SecretStr | None = Field(None, max_length=200)
    overlap_s: int = Field(86_400, ge=0, le=2_592_000)


class SendWebhook(BaseModel):
    """A message to an endpoint, the command's target. The same `id` is sent once."""

    model_config = ConfigDict(extra="forbid")
    type: str = Field(pattern=TYPE)
    data: Any = None
    id: str | None = Field(None, pattern=ID_PATTERN)
    origin: str = Field("", max_length=200)


class ResendWebhooks(BaseModel):
    """Which messages of an endpoint are sent again: one by its `id`, or those of a `status` made since `since` (µs)."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = Field(None, pattern=ID_PATTERN)
    status: Literal["failed", "delivered", "pending"] = "failed"
    since: int | None = Field(None, ge=0)


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def create(tx: Tx, command: Command, args: CreateEndpoint) -> dict[str, Any]:
    """Make an endpoint. Its keys are in the answer, once."""
    url, label = _address(args.url)
    endpoint_id = endpoints.insert(tx, command.scope, args.name, url, label)
    if endpoint_id is None:
        raise ConflictError(f"there is an endpoint named {args.name!r}", hint="Take another name, or `update` it.")
    keys = _new_keys(tx, command, endpoint_id, _SCHEMES[args.sign], args.secret)
    _event(tx, command, "created", endpoint_id, args.name)
    return {"id": endpoint_id, "name": args.name, "keys": keys}


def update(tx: Tx, command: Command, args: UpdateEndpoint) -> dict[str, Any]:
    """Change an endpoint."""
    row = endpoints.get(tx, command.scope, command.target)
    if args.url is not None:
        endpoints.readdress(tx, row["id"], *_address(args.url))
    if args.enabled is not None:
        reason = "" if args.enabled else "switched off"
        values = {"enabled": args.enabled, "disabled_reason": reason, "failing_since": None}
        endpoints.change(tx, row["id"], values)
        (outgoing.release if args.enabled else outgoing.hold)(tx, row["id"])
    _event(tx, command, "updated", row["id"], row["name"])
    return {"id": row["id"], "name": row["name"]}


def rotate(tx: Tx, command: Command, args: RotateEndpoint) -> dict[str, Any]:
    """Give an endpoint new keys; they are in the answer, once."""
    row = endpoints.get(tx, command.scope, command.target)
    had = {key["scheme"] for key in endpoints.key_rows(tx, row["id"]) if key["expires_at"] is None}
    schemes = _SCHEMES[args.sign] if args.sign else tuple(sorted(had)) or ("v1",)
    endpoints.retire_keys(tx, row["id"], tx.now + args.overlap_s * SECOND)
    keys = _new_keys(tx, command, row["id"], schemes, args.secret)
    _event(tx, command, "rotated", row["id"], row["name"])
    return {"id": row["id"], "name": row["name"], "keys": keys}


def remove(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Delete an endpoint; what waits for it has failed, what was sent stays until its retention ends."""
    row = endpoints.get(tx, command.scope, command.target)
    outgoing.drop(tx, row["id"])
    endpoints.remove(tx, row["id"])
    _event(tx, command, "deleted", row["id"], row["name"])
    return {"id": row["id"], "name": row["name"]}


def send(tx: Tx, command: Command, args: SendWebhook) -> dict[str, Any]:
    """Plan a message; it is sent after the commit, again and again until it is taken."""
    row = endpoints.get(tx, command.scope, command.target)
    webhook_id = args.id or dated_id(tx.now, command.id, "webhook")
    body = _body(args.type, args.data, rfc3339(tx.now))
    if len(body) > MAX_BODY:
        raise UsageError(f"the message has {len(body)} bytes, at most {MAX_BODY} are sent", hint="Send a link instead.")
    planned = outgoing.add(tx, command.scope, webhook_id, row, args.type, body, args.origin)
    if not planned and outgoing.get(tx, command.scope, webhook_id)["endpoint_id"] != row["id"]:
        raise ConflictError("a message of this id was sent to another endpoint", hint="Take another id.")
    return {"id": webhook_id, "endpoint": row["name"], "repeated": not planned}


def resend(tx: Tx, command: Command, args: ResendWebhooks) -> dict[str, Any]:
    """Send messages again, under the ids that they had; at most 1,000 at once, the oldest first."""
    row = endpoints.get(tx, command.scope, command.target)
    if not row["enabled"]:
        raise RefusedError(
            f"the endpoint {row['name']} is disabled: {row['disabled_reason']}",
            hint=f"`hub endpoints enable {row['name']}` first.",
        )
    table = outgoing.TABLE
    where = [table.c.endpoint_id == row["id"]]
    if args.id is not None:
        outgoing.get(tx, command.scope, args.id)
        where.append(table.c.id == args.id)
    else:
        where += outgoing.with_status(args.status)
    if args.since is not None:
        where.append(table.c.created_at >= args.since)
    return {"id": row["id"], "name": row["name"], "count": outgoing.again(tx, command.scope, *where)}


def _address(given: SecretStr) -> tuple[str, str]:
    """An address and what may be shown of it. Raises UsageError that does not repeat it."""
    url = given.get_secret_value()
    try:
        target = ADDRESSES.target(url)
    except Blocked as problem:
        raise UsageError(
            f"the address cannot be called: {problem}", hint="Write https://HOST/PATH.", field="url"
        ) from None
    return url, f"{target.scheme}://{target.authority}/..."


def _new_keys(
    tx: Tx, command: Command, endpoint_id: Id, schemes: tuple[str, ...], given: SecretStr | None
) -> list[dict[str, str]]:
    """Make keys; of each what the receiver needs: the secret of v1, the public key of v1a."""
    made = []
    for scheme in schemes:
        if scheme == "v1":
            secret = _checked(given) if given is not None else standard.new_secret()
            endpoints.add_key(tx, command.scope, endpoint_id, "v1", secret)
            made.append({"scheme": "v1", "key": secret})
        else:
            private = standard.new_key()
            public = standard.public_of(private)
            endpoints.add_key(tx, command.scope, endpoint_id, "v1a", private, public)
            made.append({"scheme": "v1a", "key": public})
    return made


def _checked(given: SecretStr) -> str:
    text = given.get_secret_value()
    try:
        raw, public = decode_standard(text)
    except ValueError as error:
        raise UsageError(f"the secret is malformed: {error}", hint=_EXPECTED, field="secret") from None
    if public or not 24 <= len(raw) <= 64:
        raise UsageError("the secret is none for v1", hint=_EXPECTED, field="secret")
    return text


def _body(type_: str, data: Any, at: str) -> bytes:
    """The message as Standard Webhooks writes it."""
    try:
        return json.dumps(
            {"type": type_, "timestamp": at, "data": data}, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise UsageError(f"the data is not JSON: {error}", field="data") from None


def _event(tx: Tx, command: Command, verb: str, endpoint_id: Id, name: str) -> None:
    events.append(tx, command.scope, f"hub.endpoint.{verb}", subject=endpoint_id, name=name)


_SECRET = frozenset({"url", "secret", "keys"})
OPS = (
    Op("endpoint.create", CreateEndpoint, create, "endpoints:write", _SECRET),
    Op("endpoint.update", UpdateEndpoint, update, "endpoints:write", _SECRET, watches=endpoints.TABLE),
    Op("endpoint.rotate", RotateEndpoint, rotate, "endpoints:write", _SECRET),
    Op("endpoint.delete", Nothing, remove, "endpoints:write", watches=endpoints.TABLE),
    Op("endpoint.send", SendWebhook, send, "endpoints:write", frozenset({"data"})),
    Op("endpoint.resend", ResendWebhooks, resend, "endpoints:write"),
)
