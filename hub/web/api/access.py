"""Who may ask: sessions, the owner, API tokens."""

from __future__ import annotations

from pydantic import Field, SecretStr
from starlette.responses import Response

from hub.errors import AuthenticationError, NotFoundError, PermissionError_, RateLimitedError
from hub.runtime.commands import Command, apply
from hub.store import identity
from hub.web.api.fields import NO_NUL, In, Moment, NoBody, NoQuery, Out, Page, PageQuery
from hub.web.api.op import Api, Call
from hub.web.auth import SIGNED_IN

api = Api()


class LoginIn(In):
    """A name and its password."""

    name: str = Field(min_length=1, max_length=100, pattern=NO_NUL)
    password: SecretStr = Field(max_length=1000)


class PasswordIn(In):
    """The password as it is, and as it shall be."""

    current: SecretStr = Field(max_length=1000)
    new: SecretStr = Field(max_length=1000)


class OwnerOut(Out):
    """The owner's account; `created` false: it was there and has a new password now."""

    id: str
    name: str
    created: bool


class MeOut(Out):
    """Who asks and what they may do. `name` is that of the account, also of one that a token belongs to."""

    kind: str
    id: str
    name: str
    workspace_id: str
    scopes: list[str]


class TokenIn(In):
    """A token to be. Without `scopes` it may do everything; without `expires_in` (seconds) it lasts.

    `account` names a service that it is for: it can then never do more than the service's role allows.
    """

    name: str = Field(min_length=1, max_length=100, pattern=NO_NUL)
    scopes: list[str] = Field(default_factory=lambda: ["*"], min_length=1, max_length=50)
    expires_in: float | None = Field(default=None, gt=0, le=315_360_000, allow_inf_nan=False)
    account: str | None = Field(default=None, min_length=1, max_length=100, pattern=NO_NUL)


class TokenOut(Out):
    """A token, by what it begins with."""

    id: str
    name: str
    kind: str
    user_id: str | None
    prefix: str
    scopes: list[str]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Moment | None = None
    revoked_at: Moment | None = None


class TokenMade(TokenOut):
    """A new token. `token` is shown this once; null when the request was a repeat."""

    token: str | None = None


@api.op("GET", "/api/v1/me", out=MeOut, scope=SIGNED_IN)
def get_me(call: Call[NoBody, NoQuery]) -> MeOut:
    """Say who asks and what they may do."""
    actor = call.scope.actor
    with call.store.read() as tx:
        name = identity.name_of(tx, actor)
    return MeOut(
        kind=actor.kind, id=actor.id, name=name, workspace_id=call.scope.workspace_id, scopes=sorted(actor.scopes)
    )


@api.op(
    "POST", "/api/v1/login", body=LoginIn, scope=None, errors=[AuthenticationError, RateLimitedError], max_body=65_536,
    trusts="name and password",
)  # fmt: skip
def log_in(call: Call[LoginIn, NoQuery]) -> Response:
    """Begin a session: the answer sets its cookie."""
    auth = call.services.auth
    user = auth.log_in(call.request, call.body.name, call.body.password.get_secret_value())
    response = Response(status_code=204)
    auth.begin_session(response, user)
    return response


@api.op(
    "PUT", "/api/v1/me/password", body=PasswordIn, scope=SIGNED_IN, errors=[AuthenticationError, RateLimitedError],
    max_body=65_536,
)  # fmt: skip
def change_password(call: Call[PasswordIn, NoQuery]) -> Response:
    """Give oneself a new password. Every session ends but this one."""
    response = Response(status_code=204)
    current, new = call.body.current.get_secret_value(), call.body.new.get_secret_value()
    call.services.auth.change_password(call.request, response, call.scope, current, new)
    return response


@api.op("POST", "/api/v1/logout", scope=SIGNED_IN)
def log_out(call: Call[NoBody, NoQuery]) -> Response:
    """End every session of the user who asks."""
    response = Response(status_code=204)
    call.services.auth.end_session(response, call.scope)
    return response


@api.op("POST", "/api/v1/owner", body=LoginIn, out=OwnerOut, status=201, scope="owner:write", errors=[PermissionError_])
def put_owner(call: Call[LoginIn, NoQuery]) -> OwnerOut:
    """Make the owner's account, or give it a new password; only from the machine of the hub."""
    hashed = call.services.auth.passwords.hash(call.body.password.get_secret_value())
    args = {"name": call.body.name, "password_hash": hashed}
    outcome = apply(call.store, Command("user.owner", call.scope, call.body.name, args, id=call.command_id))
    return OwnerOut.model_validate(outcome.result)


@api.op("GET", "/api/v1/tokens", query=PageQuery, out=Page[TokenOut], scope="tokens:read")
def list_tokens(call: Call[NoBody, PageQuery]) -> Page[TokenOut]:
    """List API tokens; never the tokens themselves."""
    with call.store.read() as tx:
        found = identity.tokens(tx, call.scope, limit=call.query.limit, cursor=call.query.cursor)
    return Page[TokenOut].of(found)


@api.op(
    "POST", "/api/v1/tokens", body=TokenIn, out=TokenMade, status=201, scope="tokens:write", errors=[PermissionError_]
)
def create_token(call: Call[TokenIn, NoQuery]) -> TokenMade:
    """Make an API token. Nobody can give a token more than they may do themselves."""
    args = call.body.model_dump()
    outcome = apply(call.store, Command("token.create", call.scope, "", args, id=call.command_id))
    return TokenMade.model_validate(outcome.result)


@api.op("DELETE", "/api/v1/tokens/{token_id}", scope="tokens:write", errors=[NotFoundError])
def revoke_token(call: Call[NoBody, NoQuery]) -> None:
    """Revoke an API token: it is worthless at once."""
    apply(call.store, Command("token.revoke", call.scope, call.path["token_id"], id=call.command_id))
