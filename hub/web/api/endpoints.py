"""Endpoints over the API: where webhooks of our own go, what was sent, and sending it again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from hub.errors import ConflictError, NotFoundError, RefusedError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.endpoints import Schemes
from hub.store import endpoints, outgoing
from hub.web.api.fields import NO_NUL, IdText, In, Moment, MomentIn, Name, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call

api = Api()
READ, WRITE = "endpoints:read", "endpoints:write"
Status = Literal["pending", "sending", "delivered", "failed"]


class EndpointIn(In):
    """A receiver. `sign`: v1 (a shared secret), v1a (a public key), both; a `secret` of the receiver's is for v1."""

    name: Name
    url: SecretStr = Field(min_length=1, max_length=2_048)
    sign: Schemes = "v1"
    secret: SecretStr | None = Field(default=None, max_length=200)


class EndpointPatch(In):
    """What is to change; what is left out stays."""

    url: SecretStr | None = Field(default=None, min_length=1, max_length=2_048)
    enabled: bool | None = None


class KeysIn(In):
    """New keys, of the same kinds unless `sign` says otherwise. The old ones sign as well for `overlap_s` seconds."""

    sign: Schemes | None = None
    secret: SecretStr | None = Field(default=None, max_length=200)
    overlap_s: int = Field(default=86_400, ge=0, le=2_592_000)


class SendIn(In):
    """A message. The same `id` is sent once."""

    type: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$")
    data: Any = None
    id: IdText | None = None


class ResendIn(In):
    """Which messages are sent again: those of a status, made since then."""

    status: Literal["failed", "delivered", "pending"] = "failed"
    since: MomentIn | None = None


class KeyMade(Out):
    """What the receiver verifies with: the secret of v1, the public key of v1a. A secret is shown this once."""

    scheme: str
    key: str


class EndpointMade(Out):
    """What was made."""

    id: str
    name: str
    keys: list[KeyMade]


class KeyOut(Out):
    """A key that holds; `public` is that of v1a."""

    id: str
    scheme: str
    public: str
    created_at: Moment
    expires_at: Moment | None


class EndpointOut(Out):
    """A receiver, without its address. `failing_since`: no attempt went well since."""

    id: str
    name: str
    label: str
    enabled: bool
    disabled_reason: str
    failing_since: Moment | None
    keys: list[KeyOut]
    created_at: Moment
    updated_at: Moment


class OutgoingOut(Out):
    """A message; its id is the `webhook-id`. `due_at` is when it is tried next; null when it is not."""

    id: str
    endpoint_id: str
    endpoint: str | None
    type: str
    origin: str
    status: str
    attempts: int
    due_at: Moment | None
    created_at: Moment
    ended_at: Moment | None
    error: str | None


class AttemptOut(Out):
    """One attempt: what the receiver answered (the first 2,000 characters), or why there was no answer."""

    number: int
    started_at: Moment
    duration_us: int
    status_code: int | None
    response: str
    error: str | None


class OutgoingDetail(OutgoingOut):
    """The same with its body and every attempt."""

    body: str
    tried: list[AttemptOut]


class Sent(Out):
    """The message that was planned; `repeated`: it was before."""

    id: str
    endpoint: str
    repeated: bool


class Resent(Out):
    """How many messages are sent again."""

    count: int


class OutgoingQuery(PageQuery):
    """Which messages."""

    endpoint: str | None = Field(default=None, max_length=100, pattern=NO_NUL)
    status: Status | None = None


@api.op("GET", "/api/v1/endpoints", query=PageQuery, out=Page[EndpointOut], scope=READ)
def list_endpoints(call: Call[NoBody, PageQuery]) -> Page[EndpointOut]:
    """List endpoints, never their addresses."""
    with call.store.read() as tx:
        found = endpoints.listing(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
        keys = endpoints.keys_of(tx, [row["id"] for row in found.items])
    shown = [EndpointOut.model_validate(row | {"keys": keys[row["id"]]}) for row in found.items]
    return Page[EndpointOut](items=shown, next_cursor=found.next_cursor)


@api.op("POST", "/api/v1/endpoints", body=EndpointIn, out=EndpointMade, status=201, scope=WRITE, errors=[ConflictError])
def create_endpoint(call: Call[EndpointIn, NoQuery]) -> EndpointMade:
    """Make an endpoint. A secret that is made is shown this once."""
    body = call.body
    args = {"name": body.name, "url": _clear(body.url), "sign": body.sign, "secret": _clear(body.secret)}
    made = apply(call.store, Command("endpoint.create", call.scope, "", args, id=call.command_id)).result
    return EndpointMade.model_validate({"keys": [], **made})


@api.op("GET", "/api/v1/endpoints/{name}", out=EndpointOut, scope=READ, errors=[NotFoundError])
def get_endpoint(call: Call[NoBody, NoQuery]) -> EndpointOut:
    """Show an endpoint without its address."""
    return _one(call, call.path["name"])


@api.op(
    "PATCH", "/api/v1/endpoints/{name}", body=EndpointPatch, out=EndpointOut, scope=WRITE, errors=[NotFoundError]
)  # fmt: skip
def update_endpoint(call: Call[EndpointPatch, NoQuery]) -> EndpointOut:
    """Change an endpoint; switched on, it gets at once what waits for it."""
    asked = {"url": _clear(call.body.url), "enabled": call.body.enabled}
    args = {name: value for name, value in asked.items() if value is not None}
    made = apply(call.store, Command("endpoint.update", call.scope, call.path["name"], args, id=call.command_id))
    return _one(call, made.result["id"])


@api.op("DELETE", "/api/v1/endpoints/{name}", scope=WRITE, errors=[NotFoundError])
def delete_endpoint(call: Call[NoBody, NoQuery]) -> None:
    """Remove an endpoint; what waits for it is not sent any more."""
    apply(call.store, Command("endpoint.delete", call.scope, call.path["name"], id=call.command_id))


@api.op(
    "POST", "/api/v1/endpoints/{name}/rotate", body=KeysIn, out=EndpointMade, scope=WRITE, errors=[NotFoundError]
)  # fmt: skip
def rotate_endpoint(call: Call[KeysIn, NoQuery]) -> EndpointMade:
    """Give an endpoint new keys; for a while the old ones sign as well."""
    body = call.body
    args = {"sign": body.sign, "secret": _clear(body.secret), "overlap_s": body.overlap_s}
    made = apply(call.store, Command("endpoint.rotate", call.scope, call.path["name"], args, id=call.command_id)).result
    return EndpointMade.model_validate({"keys": [], **made})


@api.op(
    "POST", "/api/v1/endpoints/{name}/send", body=SendIn, out=Sent, status=202, scope=WRITE,
    errors=[NotFoundError, ConflictError],
)  # fmt: skip
def send_webhook(call: Call[SendIn, NoQuery]) -> Sent:
    """Send a message to an endpoint: now, and again until it is taken."""
    body = call.body
    args = {"type": body.type, "data": body.data, "id": body.id, "origin": str(call.scope.actor)[:200]}
    made = apply(call.store, Command("endpoint.send", call.scope, call.path["name"], args, id=call.command_id)).result
    return Sent.model_validate(made)


@api.op(
    "POST", "/api/v1/endpoints/{name}/resend", body=ResendIn, out=Resent, status=202, scope=WRITE,
    errors=[NotFoundError, RefusedError],
)  # fmt: skip
def resend_webhooks(call: Call[ResendIn, NoQuery]) -> Resent:
    """Send messages of an endpoint again, under their ids; at most 1,000 at once, the oldest first."""
    args = {"status": call.body.status, "since": call.body.since}
    made = apply(call.store, Command("endpoint.resend", call.scope, call.path["name"], args, id=call.command_id)).result
    return Resent.model_validate(made)


@api.op("GET", "/api/v1/outgoing", query=OutgoingQuery, out=Page[OutgoingOut], scope=READ, errors=[NotFoundError])
def list_outgoing(call: Call[NoBody, OutgoingQuery]) -> Page[OutgoingOut]:
    """List what was sent and what waits, newest first."""
    query = call.query
    with call.store.read() as tx:
        of = endpoints.get(tx, call.scope, query.endpoint)["id"] if query.endpoint else None
        found = outgoing.listing(
            tx, call.scope, endpoint_id=of, status=query.status or "", limit=query.limit, cursor=query.cursor
        )
    return Page[OutgoingOut].of(found)


@api.op("GET", "/api/v1/outgoing/{webhook_id}", out=OutgoingDetail, scope=READ, errors=[NotFoundError])
def get_outgoing(call: Call[NoBody, NoQuery]) -> OutgoingDetail:
    """Show a message with its body and every attempt to deliver it."""
    with call.store.read() as tx:
        row = outgoing.get(tx, call.scope, call.path["webhook_id"])
        tried = outgoing.attempts(tx, row["id"])
        name = endpoints.name_of(tx, call.scope, row["endpoint_id"])
    body = (row["body"] or b"").decode("utf-8", "replace")
    return OutgoingDetail.model_validate(outgoing.told(row) | {"tried": tried, "endpoint": name, "body": body})


@api.op(
    "POST", "/api/v1/outgoing/{webhook_id}/resend", out=Resent, status=202, scope=WRITE,
    errors=[NotFoundError, RefusedError],
)  # fmt: skip
def resend_webhook(call: Call[NoBody, NoQuery]) -> Resent:
    """Send one message again, under its id."""
    with call.store.read() as tx:
        row = outgoing.get(tx, call.scope, call.path["webhook_id"])
    command = Command("endpoint.resend", call.scope, row["endpoint_id"], {"id": row["id"]}, id=call.command_id)
    return Resent.model_validate(apply(call.store, command).result)


def _one(call: Call[Any, Any], name: str) -> EndpointOut:
    with call.store.read() as tx:
        row = endpoints.get(tx, call.scope, name)
        return EndpointOut.model_validate(row | {"keys": endpoints.key_rows(tx, row["id"])})


def _clear(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
