"""Plane side: how sites prove who they are: join tokens, public keys, what was said with them, access tokens."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field

from hub.store.tables.columns import Row, document, id_key, integer, maybe_moment, maybe_ref, moment, ref, text


class PlaneJoin(Row, table=True):
    """A token with which a hub joins, kept as SHA-256: that of `site_row`, or a new one. Good for `uses` hubs."""

    __tablename__: ClassVar[str] = "plane_joins"
    id: str = id_key()
    workspace_id: str = ref(index=True)
    site_row: str | None = maybe_ref()
    prefix: str = text()
    digest: str = Field(unique=True, nullable=False)
    uses: int = integer(1)
    used: int = integer()
    created_at: int = moment()
    created_by: str = text()
    expires_at: int = moment()
    revoked_at: int | None = maybe_moment()


class PlaneKey(Row, table=True):
    """The public key of a site (Ed25519), by its thumbprint."""

    __tablename__: ClassVar[str] = "plane_keys"
    id: str = Field(primary_key=True)
    workspace_id: str = ref()
    site_row: str = ref(index=True)
    join_id: str | None = maybe_ref()
    jwk: dict[str, Any] = document({})
    created_at: int = moment()
    expires_at: int = moment()
    used_at: int | None = maybe_moment()
    revoked_at: int | None = maybe_moment()


class PlaneAssertion(Row, table=True):
    """What was proved once and must not be proved with again: key and `jti`."""

    __tablename__: ClassVar[str] = "plane_assertions"
    id: str = Field(primary_key=True)
    workspace_id: str = ref()
    expires_at: int = Field(nullable=False, index=True, sa_type=BigInteger)


class PlaneAccess(Row, table=True):
    """A short token of a site, kept as SHA-256."""

    __tablename__: ClassVar[str] = "plane_access"
    digest: str = Field(primary_key=True)
    workspace_id: str = ref()
    site_row: str = ref(index=True)
    key_id: str = text()
    expires_at: int = Field(nullable=False, index=True, sa_type=BigInteger)
