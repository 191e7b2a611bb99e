"""Operations on accounts: people and services, what they may do, and whether they may come in at all.

Nobody makes or changes an account that may do more than they may themselves, and the last owner stays one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select, update

from hub.errors import ConflictError, ContentionError, NotFoundError, PermissionError_, UsageError
from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.runtime.scopes import ROLES, may_grant
from hub.store.base import Tx
from hub.store.identity import USERS, user_named
from hub.types import Actor, Id, Scope, derived_id, new_id

Role = Literal["viewer", "operator", "developer", "admin", "owner"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f/]*$")]
Hash = Annotated[str, StringConstraints(min_length=20, max_length=300)]


class SetOwner(BaseModel):
    """The owner's name and the argon2 hash of the password, made before the transaction."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    password_hash: Hash


class CreateUser(BaseModel):
    """A new account. A person has a password; a service has tokens or a key, and cannot sign in."""

    model_config = ConfigDict(extra="forbid")
    name: Name
    role: Role
    kind: Literal["person", "service"] = "person"
    password_hash: Hash | None = None
    public_key: dict[str, str] | None = None


class UpdateUser(BaseModel):
    """What is otherwise from now on; null leaves it as it is."""

    model_config = ConfigDict(extra="forbid")
    role: Role | None = None
    disabled: bool | None = None
    public_key: dict[str, str] | None = None


class SetPassword(BaseModel):
    """The argon2 hash of the new password, made before the transaction."""

    model_config = ConfigDict(extra="forbid")
    password_hash: Hash


class SignOn(BaseModel):
    """Who the identity provider says it is, and the role of their groups."""

    model_config = ConfigDict(extra="forbid")
    subject: str = Field(min_length=3, max_length=600)
    name: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f/]*$")]
    role: Role


class Nothing(BaseModel):
    """No arguments."""

    model_config = ConfigDict(extra="forbid")


def set_owner(tx: Tx, command: Command, args: SetOwner) -> dict[str, Any]:
    """Make the owner's account, or give it a new password, which ends its sessions. Only from this machine."""
    if command.scope.actor.kind != "local":
        hint = "Run `hub owner create NAME` there."
        raise PermissionError_("the owner's account is made on the machine of the hub", hint=hint)
    known = user_named(tx, command.scope.workspace_id, args.name)
    if known is None:
        made = add(tx, command.scope.workspace_id, args.name, "owner", password_hash=args.password_hash)
        return {"id": made, "name": args.name, "role": "owner", "created": True}
    values = {"password_hash": args.password_hash, "role": "owner", "kind": "person", "disabled_at": None}
    _set(tx, known["id"], session_epoch=USERS.c.session_epoch + 1, **values)
    return {"id": known["id"], "name": args.name, "role": "owner", "created": False}


def create(tx: Tx, command: Command, args: CreateUser) -> dict[str, Any]:
    """Make an account."""
    check_role(command.scope.actor, args.role)
    if (args.password_hash is None) != (args.kind == "service"):
        raise UsageError("a person has a password, and a service has none", hint="People may also be invited.")
    check_key(args.public_key)
    key = args.public_key if args.kind == "service" else None
    scope = command.scope
    made = add(tx, scope.workspace_id, args.name, args.role, args.kind, args.password_hash, public_key=key)
    return {"id": made, "name": args.name, "role": args.role, "kind": args.kind}


def update_(tx: Tx, command: Command, args: UpdateUser) -> dict[str, Any]:
    """Change what an account may do, or whether it may come in; either way holds from the next request on."""
    user = find(tx, command.scope, command.target)
    check_role(command.scope.actor, user["role"])
    values: dict[str, Any] = {}
    if args.role is not None:
        check_role(command.scope.actor, args.role)
        values["role"] = args.role
    if args.disabled is not None:
        values["disabled_at"] = (user["disabled_at"] or tx.now) if args.disabled else None
    if args.public_key is not None:
        check_key(args.public_key)
        if user["kind"] != "service":
            raise UsageError(f"{user['name']!r} is a person's account; only services have keys")
        values["public_key"] = args.public_key
    if args.disabled or args.role not in (None, "owner"):
        _refuse_to_lose_the_last_owner(tx, user)
    if values:
        _set(tx, user["id"], **values)
    return {"id": user["id"], "name": user["name"]}


def set_password(tx: Tx, command: Command, args: SetPassword) -> dict[str, Any]:
    """Give a person a new password, which ends their sessions. One's own, or of an account one may manage."""
    user = find(tx, command.scope, command.target)
    if not (command.scope.actor.kind == "user" and command.scope.actor.id == user["id"]):
        check_role(command.scope.actor, user["role"])
    if user["kind"] != "person":
        raise UsageError(f"{user['name']!r} is the account of a service: it has no password", hint="Make it a token.")
    _set(tx, user["id"], password_hash=args.password_hash, session_epoch=USERS.c.session_epoch + 1)
    return {"id": user["id"], "name": user["name"]}


def sign_on(tx: Tx, command: Command, args: SignOn) -> dict[str, Any]:
    """Somebody has signed in at the identity provider: their account is made, or has the role of their groups."""
    scope = command.scope
    if scope.actor.kind != "oidc":
        raise PermissionError_("only the identity provider says who has signed in there")
    query = select(USERS).where(USERS.c.workspace_id == scope.workspace_id, USERS.c.subject == args.subject)
    user = tx.conn.execute(query).mappings().first()
    if user is None:
        # An account of that name that somebody else made is another one: a provider's name proves nothing here.
        names = (args.name, *(f"{args.name} {number}" for number in range(2, 100)))
        free = next((name for name in names if user_named(tx, scope.workspace_id, name) is None), "")
        if not free:
            raise ConflictError(f"there are too many accounts called {args.name!r}")
        # One person may come by two ways at once: their account has one id, so the second finds the first one's.
        made = derived_id(scope.workspace_id, "oidc", args.subject)
        try:
            add(tx, scope.workspace_id, free, args.role, id=made, subject=args.subject)
        except ConflictError as error:
            raise ContentionError(error.detail) from None
        return {"id": made, "name": free}
    if user["disabled_at"] is not None:
        raise PermissionError_(f"the account of {user['name']} is switched off", code="disabled")
    if user["role"] != args.role and not _is_last_owner(tx, dict(user)):
        _set(tx, user["id"], role=args.role)
    return {"id": user["id"], "name": user["name"]}


def sign_in(_tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """Somebody has signed in with a password: it changes nothing, and is a line of the audit trail."""
    return {"id": command.scope.actor.id}


def end_sessions(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
    """End every session of the user who asks."""
    if command.scope.actor.kind != "user":
        raise UsageError("only a signed-in user has sessions to end")
    where = (USERS.c.id == command.scope.actor.id, USERS.c.workspace_id == command.scope.workspace_id)
    tx.conn.execute(update(USERS).where(*where).values(session_epoch=USERS.c.session_epoch + 1))
    return {"id": command.scope.actor.id}


def find(tx: Tx, scope: Scope, target: str) -> dict[str, Any]:
    """An account of the workspace by its name or id. Raises NotFoundError."""
    for column in (USERS.c.name, USERS.c.id):
        query = select(USERS).where(column == target, USERS.c.workspace_id == scope.workspace_id)
        row = tx.conn.execute(query).mappings().first()
        if row is not None:
            return dict(row)
    raise NotFoundError(f"there is no account {target[:100]!r}", hint="`hub users ls` lists them.")


def add(
    tx: Tx, workspace: Id, name: str, role: str, kind: str = "person", password_hash: str | None = None, **more: Any
) -> Id:
    """Write an account's row; its id. Raises ConflictError when there is one of that name."""
    row = {
        "id": new_id(), "workspace_id": workspace, "name": name, "kind": kind, "role": role,
        "password_hash": password_hash, "session_epoch": 0, "created_at": tx.now, **more,
    }  # fmt: skip
    if not tx.insert_ignore(USERS, row):
        raise ConflictError(f"there is an account {name!r} already", hint="Choose another name.")
    return str(row["id"])


def check_role(actor: Actor, role: str) -> None:
    """Raise PermissionError_ unless the actor may do whatever the role may: else they could make themselves more."""
    if not all(may_grant(actor, scope) for scope in ROLES.get(role, {"*"})):
        raise PermissionError_(f"the role {role!r} may do more than you may yourself", hint="An owner can do this.")


def check_key(key: dict[str, str] | None) -> None:
    """Raise UsageError unless that is the public half of a key that can sign, as a JWK."""
    if key is None:
        return
    if key.get("kty") not in ("EC", "OKP", "RSA") or {"d", "k", "p", "q"} & key.keys():
        raise UsageError("this is no public key", hint="Give a JWK of kind EC, OKP or RSA, without its private part.")


def _set(tx: Tx, user_id: Id, **values: Any) -> None:
    tx.conn.execute(update(USERS).where(USERS.c.id == user_id).values(**values))


def _refuse_to_lose_the_last_owner(tx: Tx, user: dict[str, Any]) -> None:
    if _is_last_owner(tx, user):
        raise ConflictError("this is the last owner", hint="Make another one first.", code="last-owner")


def _is_last_owner(tx: Tx, user: dict[str, Any]) -> bool:
    if user["role"] != "owner" or user["kind"] != "person" or user["disabled_at"] is not None:
        return False
    owners = select(USERS.c.id).where(
        USERS.c.workspace_id == user["workspace_id"], USERS.c.role == "owner", USERS.c.kind == "person",
        USERS.c.disabled_at.is_(None),
    )  # fmt: skip
    # Locked, all of them: of two owners that stop being one at the same moment, the second is then seen to be the last.
    return {row.id for row in tx.conn.execute(owners.order_by(USERS.c.id).with_for_update())} <= {user["id"]}


OPS = (
    Op("user.owner", SetOwner, set_owner, "owner:write", frozenset({"password_hash"}), watches=USERS),
    Op("user.create", CreateUser, create, "users:write", frozenset({"password_hash"})),
    Op("user.update", UpdateUser, update_, "users:write", watches=USERS),
    Op("user.password", SetPassword, set_password, "users:write", frozenset({"password_hash"}), watches=USERS),
    Op("user.sign_in", Nothing, sign_in, ""),
    Op("user.sign_on", SignOn, sign_on, "", watches=USERS),
    Op("user.end_sessions", Nothing, end_sessions, ""),
)
