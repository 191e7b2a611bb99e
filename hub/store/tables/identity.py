"""Who may do what, what they did, and what is kept secret."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from hub.store.tables.columns import Row, blob, document, id_key, maybe_moment, maybe_ref, maybe_text, moment, ref, text


class Workspace(Row, table=True):
    """A tenant. Everything else belongs to exactly one."""

    __tablename__: ClassVar[str] = "workspaces"
    id: str = id_key()
    name: str = text()
    created_at: int = moment()


class User(Row, table=True):
    """An account. `role` is viewer, operator, developer, admin or owner; the password is an argon2 hash.

    `kind` is person or service: a service has no password, it has tokens, or signs with the key whose public half
    `public_key` is (a JWK). `subject` is who a person is at the identity provider: issuer and subject, a space between.
    """

    __tablename__: ClassVar[str] = "users"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    kind: str = text("person")
    role: str = text("viewer")
    subject: str | None = maybe_text()
    public_key: Any = document()
    password_hash: str | None = Field(default=None, nullable=True)
    session_epoch: int = Field(default=0)
    created_at: int = moment()
    disabled_at: int | None = maybe_moment()


class ApiToken(Row, table=True):
    """`hub_<kind>_<random>`, kept as SHA-256; shown once."""

    __tablename__: ClassVar[str] = "api_tokens"
    id: str = id_key()
    workspace_id: str = ref(index=True)
    user_id: str | None = maybe_ref()
    name: str = text()
    kind: str = text("api")
    prefix: str = text()
    digest: str = Field(unique=True, nullable=False)
    scopes: list[str] = document([])
    created_at: int = moment()
    expires_at: int | None = maybe_moment()
    last_used_at: int | None = maybe_moment()
    revoked_at: int | None = maybe_moment()


class AuditEntry(Row, table=True):
    """One row for every mutation and every reveal of a secret. `detail` and `changes` never hold a secret.

    `changes` is what was otherwise before: by field the value before and the one after.
    """

    __tablename__: ClassVar[str] = "audit"
    __table_args__: ClassVar[Any] = (Index("ix_audit_ws", "workspace_id", "id"),)
    id: str = id_key()
    workspace_id: str = ref()
    at: int = moment()
    actor: str = text()
    op: str = text()
    target: str = text()
    detail: dict[str, Any] = document({})
    via: str = text()
    address: str = text()
    changes: dict[str, Any] = document({})


class Invitation(Row, table=True):
    """A link that makes an account (or gives the account `user_id` a new password), once. Kept as SHA-256."""

    __tablename__: ClassVar[str] = "invitations"
    __table_args__: ClassVar[Any] = (Index("ix_invitations_ws", "workspace_id", "id"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    role: str = text("viewer")
    user_id: str | None = maybe_ref()
    digest: str = Field(unique=True, nullable=False)
    created_by: str = text()
    created_at: int = moment()
    expires_at: int = moment()
    used_at: int | None = maybe_moment()
    revoked_at: int | None = maybe_moment()


class DeviceLogin(Row, table=True):
    """A login that a terminal asked for (RFC 8628), until somebody allows it in a browser. The code is a SHA-256."""

    __tablename__: ClassVar[str] = "device_logins"
    id: str = id_key()
    workspace_id: str = ref()
    digest: str = Field(unique=True, nullable=False)
    user_code: str = Field(unique=True, nullable=False)
    client: str = text()
    scopes: list[str] = document([])
    address: str = text()
    status: str = text("pending")
    user_id: str | None = maybe_ref()
    created_at: int = moment()
    polled_at: int | None = maybe_moment()
    expires_at: int = moment()


class Secret(Row, table=True):
    """A named secret, AES-GCM under the key named by `key_id`."""

    __tablename__: ClassVar[str] = "secrets"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    sealed: bytes | None = blob()
    key_id: str = text()
    created_at: int = moment()
    updated_at: int = moment()


class SiteValue(Row, table=True):
    """What this installation knows of itself: site id, stream epoch, schema notes."""

    __tablename__: ClassVar[str] = "site_values"
    name: str = Field(primary_key=True)
    value: Any = document()
