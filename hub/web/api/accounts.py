"""Accounts, invitations and the audit trail over the API."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from hub.errors import ConflictError, NotFoundError, PermissionError_, UsageError
from hub.runtime.commands import Command, apply
from hub.store import identity
from hub.types import from_rfc3339
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from hub.web.hosts import address_of

api = Api()
READ, WRITE = "users:read", "users:write"
Role = Literal["viewer", "operator", "developer", "admin", "owner"]


class UserIn(In):
    """An account to be. A person has a password; a service has none, it gets tokens or signs with its `public_key`
    (a JWK)."""

    name: str = Field(min_length=1, max_length=100, pattern=NO_NUL)
    role: Role = "viewer"
    kind: Literal["person", "service"] = "person"
    password: SecretStr | None = Field(default=None, max_length=1000)
    public_key: dict[str, str] | None = None


class UserPatch(In):
    """What is otherwise from now on."""

    role: Role | None = None
    disabled: bool | None = None
    public_key: dict[str, str] | None = None


class UserPasswordIn(In):
    """The new password."""

    password: SecretStr = Field(max_length=1000)


class UserOut(Out):
    """An account. `subject`: who this is at the identity provider."""

    id: str
    name: str
    kind: str
    role: str
    subject: str | None
    created_at: Moment
    disabled_at: Moment | None


class InvitationIn(In):
    """Whom to invite. `user`: an account that shall get a new password instead. `expires_in`: seconds, else 7 days."""

    name: str | None = Field(default=None, min_length=1, max_length=100, pattern=NO_NUL)
    role: Role = "viewer"
    user: str | None = Field(default=None, min_length=1, max_length=100, pattern=NO_NUL)
    expires_in: float = Field(default=604_800, gt=0, le=2_592_000, allow_inf_nan=False)


class InvitationOut(Out):
    """An invitation that is open. `user_id`: the account that gets a new password by it."""

    id: str
    name: str
    role: str
    user_id: str | None
    created_by: str
    created_at: Moment
    expires_at: Moment


class InvitationMade(InvitationOut):
    """A new invitation. `link` is shown this once; null when the request was a repeat."""

    link: str | None = None


class AuditQuery(PageQuery):
    """Which entries. `op` may be a beginning that ends with a dot, such as `user.`."""

    actor: str | None = Field(default=None, max_length=200, pattern=NO_NUL)
    op: str | None = Field(default=None, max_length=100, pattern=NO_NUL)
    target: str | None = Field(default=None, max_length=200, pattern=NO_NUL)
    since: str | None = Field(default=None, max_length=40, pattern=r"^[0-9T:.+Z-]+$")


class AuditOut(Out):
    """One thing that somebody did. `via`: api, cli, ui, link ...; `address`: from where; `changes`: by field the value
    before and the one after."""

    id: str
    at: Moment
    actor: str
    op: str
    target: str
    via: str
    address: str
    detail: dict[str, Any]
    changes: dict[str, Any]


@api.op("GET", "/api/v1/users", query=PageQuery, out=Page[UserOut], scope=READ)
def list_users(call: Call[NoBody, PageQuery]) -> Page[UserOut]:
    """List the accounts of people and services, newest first."""
    with call.store.read() as tx:
        return Page[UserOut].of(identity.users(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor))


@api.op("POST", "/api/v1/users", body=UserIn, out=UserOut, status=201, scope=WRITE, errors=[ConflictError])
def create_user(call: Call[UserIn, NoQuery]) -> UserOut:
    """Make an account. Nobody can make one that may do more than they may themselves."""
    body = call.body
    args: dict[str, Any] = {"name": body.name, "role": body.role, "kind": body.kind, "public_key": body.public_key}
    if body.password is not None:
        args["password_hash"] = call.services.auth.passwords.hash(body.password.get_secret_value())
    made = apply(call.store, Command("user.create", call.scope, body.name, args, id=call.command_id))
    return _user(call, str(made.result["id"]))


@api.op(
    "PATCH", "/api/v1/users/{name}", body=UserPatch, out=UserOut, scope=WRITE, errors=[NotFoundError, ConflictError]
)
def update_user(call: Call[UserPatch, NoQuery]) -> UserOut:
    """Change an account's role, switch it off or on, or give a service another key. It holds from the next request."""
    args = call.body.model_dump(exclude_none=True)
    made = apply(call.store, Command("user.update", call.scope, call.path["name"], args, id=call.command_id))
    return _user(call, str(made.result["id"]))


@api.op("PUT", "/api/v1/users/{name}/password", body=UserPasswordIn, scope=WRITE, errors=[NotFoundError])
def set_password(call: Call[UserPasswordIn, NoQuery]) -> None:
    """Give a person a new password, which ends their sessions."""
    args = {"password_hash": call.services.auth.passwords.hash(call.body.password.get_secret_value())}
    apply(call.store, Command("user.password", call.scope, call.path["name"], args, id=call.command_id))


@api.op("GET", "/api/v1/invitations", query=PageQuery, out=Page[InvitationOut], scope=READ)
def list_invitations(call: Call[NoBody, PageQuery]) -> Page[InvitationOut]:
    """List the invitations that are open, newest first; never their links."""
    with call.store.read() as tx:
        found = identity.invitations(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return Page[InvitationOut].of(found)


@api.op(
    "POST", "/api/v1/invitations", body=InvitationIn, out=InvitationMade, status=201, scope=WRITE,
    errors=[ConflictError, NotFoundError, PermissionError_],
)  # fmt: skip
def create_invitation(call: Call[InvitationIn, NoQuery]) -> InvitationMade:
    """Make a link that makes an account once, or gives one a new password."""
    command = Command("invitation.create", call.scope, "", call.body.model_dump(), id=call.command_id)
    made = apply(call.store, command).result
    token, base = made.get("token"), address_of(call.services.settings, call.request)
    return InvitationMade.model_validate({**made, "link": f"{base}/ui/invitations/{token}" if token else None})


@api.op("DELETE", "/api/v1/invitations/{invitation_id}", scope=WRITE, errors=[NotFoundError])
def revoke_invitation(call: Call[NoBody, NoQuery]) -> None:
    """Make an invitation worthless."""
    apply(call.store, Command("invitation.revoke", call.scope, call.path["invitation_id"], id=call.command_id))


@api.op("GET", "/api/v1/audit", query=AuditQuery, out=Page[AuditOut], scope="audit:read")
def list_audit(call: Call[NoBody, AuditQuery]) -> Page[AuditOut]:
    """List who did what, when and from where, newest first."""
    query = call.query
    where = {name: getattr(query, name) for name in ("actor", "op", "target") if getattr(query, name) is not None}
    since = _moment(query.since)
    with call.store.read() as tx:
        found = identity.audit(tx, call.scope, limit=query.limit, cursor=query.cursor, since=since, where=where)
    return Page[AuditOut].of(found)


def _moment(text: str | None) -> int | None:
    try:
        return None if text is None else from_rfc3339(text)
    except ValueError:
        raise UsageError(f"since: {text!r} is no time", hint="Write it as 2026-01-31T08:00:00Z.") from None


def _user(call: Call[Any, Any], user_id: str) -> UserOut:
    with call.store.read() as tx:
        return UserOut.model_validate(identity.user(tx, user_id))
