"""Who may do what, what they did, and what is kept secret."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from hub.store.tables.columns import Row, blob, document, id_key, maybe_moment, maybe_ref, moment, ref, text


class Workspace(Row, table=True):
    """A tenant. Everything else belongs to exactly one."""

    __tablename__: ClassVar[str] = "workspaces"
    id: str = id_key()
    name: str = text()
    created_at: int = moment()


class User(Row, table=True):
    """A person. `role` is viewer, operator, developer, admin or owner; the password is an argon2 hash."""

    __tablename__: ClassVar[str] = "users"
    __table_args__: ClassVar[Any] = (UniqueConstraint("workspace_id", "name"),)
    id: str = id_key()
    workspace_id: str = ref()
    name: str = text()
    role: str = text("viewer")
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
    """One row for every mutation and every reveal of a secret. `detail` never holds a secret."""

    __tablename__: ClassVar[str] = "audit"
    __table_args__: ClassVar[Any] = (Index("ix_audit_ws", "workspace_id", "id"),)
    id: str = id_key()
    workspace_id: str = ref()
    at: int = moment()
    actor: str = text()
    op: str = text()
    target: str = text()
    detail: dict[str, Any] = document({})


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
