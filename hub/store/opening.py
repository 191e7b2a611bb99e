"""From a database URL to a store."""

from __future__ import annotations

from hub.errors import SettingError
from hub.store.base import Store
from hub.store.sqlite import SqliteStore


def open_store(url: str) -> Store:
    """Open the store of `url`: `sqlite:///path`, `sqlite://` (memory) or `postgresql://...`. Does not migrate."""
    if url.startswith("sqlite"):
        return SqliteStore(url)
    if url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        try:
            from hub.store.postgresql import PostgresStore  # noqa: PLC0415 - psycopg is an extra
        except ModuleNotFoundError:
            raise SettingError(
                "PostgreSQL needs the package psycopg, which is not installed",
                hint="Install it with `pip install hubspoke[postgres]`.",
            ) from None
        return PostgresStore(url)
    raise SettingError(
        f"HUB_DATABASE_URL begins with {url.split(':', 1)[0]!r}, which is not a database the hub knows",
        hint="Use sqlite:///path/to/hub.db or postgresql://user@host/name.",
    )
