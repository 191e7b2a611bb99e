"""From a database URL to a store."""

from __future__ import annotations

import base64
from pathlib import Path

from hub.crypto import Keyring, load_keyring, new_key
from hub.errors import SettingError
from hub.settings import Settings
from hub.store.base import Store
from hub.store.sqlite import SqliteStore
from hub.store.transfer import refuse_moved


def open_hub(settings: Settings) -> Store:
    """Open the store that the settings name, with this installation's keys. Does not migrate."""
    return open_store(settings.resolved_database_url, load_keyring(settings), home=settings.home)


def open_ready(settings: Settings) -> Store:
    """The same, migrated. Raises ConflictError when the hub of this database is in another one now."""
    store = open_hub(settings)
    try:
        store.migrate()
        refuse_moved(store)
    except BaseException:
        store.close()
        raise
    return store


def open_store(url: str, keyring: Keyring | None = None, *, home: Path | None = None) -> Store:
    """Open the store of `url`: `sqlite:///path`, `sqlite://` (memory) or `postgresql://...`. Does not migrate.

    Without a keyring the store has one of its own that is gone with it: what it seals, nobody else can open. `home` is
    where processes of this machine on one PostgreSQL say that they go first.
    """
    keyring = keyring or Keyring((base64.urlsafe_b64decode(new_key()),))
    if url.startswith("sqlite"):
        return SqliteStore(url, keyring)
    if url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        try:
            from hub.store.postgresql import PostgresStore  # noqa: PLC0415 - psycopg is an extra
        except ModuleNotFoundError:
            raise SettingError(
                "PostgreSQL needs the package psycopg, which is not installed",
                hint="Install it with `pip install hubspoke[postgres]`.",
            ) from None
        return PostgresStore(url, keyring, home=home)
    raise SettingError(
        f"HUB_DATABASE_URL begins with {url.split(':', 1)[0]!r}, which is not a database the hub knows",
        hint="Use sqlite:///path/to/hub.db or postgresql://user@host/name.",
    )
