"""What tells this installation from others that share a result store with it."""

from __future__ import annotations

from sqlalchemy import select

from hub.store.base import Store, Tx
from hub.store.tables import SiteValue
from hub.types import new_id

_VALUES = SiteValue.__table__
_NAME = "results_prefix"


def known_prefix(tx: Tx) -> str | None:
    """What the keys of this installation's results begin with; None when it has kept none yet."""
    found = tx.conn.execute(select(_VALUES.c.value).where(_VALUES.c.name == _NAME)).scalar()
    return None if found is None else str(found)


def results_prefix(store: Store) -> str:
    """The same, made when it is first asked for."""
    with store.read() as tx:
        found = known_prefix(tx)
    if found is None:
        with store.write() as tx:
            tx.insert_missing(_VALUES, {"name": _NAME, "value": new_id()})
            found = known_prefix(tx)
    assert found is not None
    return found
