"""The store: one protocol, SQLite (file and memory) and PostgreSQL behind it, one suite for all.

`open_store` gives the store of a database URL; the noun modules beside it hold the queries.
"""

from __future__ import annotations

from hub.store.base import Listener, Store, Tx
from hub.store.opening import open_hub, open_ready, open_store

__all__ = ["Listener", "Store", "Tx", "open_hub", "open_ready", "open_store"]
