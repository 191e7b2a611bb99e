"""Loading a connection by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub import redacting
from hub.connections import ConnectionKind
from hub.errors import UnavailableError, UsageError
from hub.runtime import brought, contributed
from hub.runtime.secrets import revealed
from hub.store import connections
from hub.store.base import Store
from hub.types import Scope


@dataclass(frozen=True, slots=True)
class Loaded:
    """A connection, its secret settings open. Its text shows none of them."""

    name: str
    kind: str
    settings: Any


def kinds() -> Mapping[str, ConnectionKind]:
    """All kinds of this process by name."""
    return contributed.installed().connections


def kind_named(name: str) -> ConnectionKind:
    """The kind of that name. Raises UsageError."""
    known = kinds()
    if name not in known:
        raise UsageError(
            f"there is no kind of connection {name!r}", hint=f"Known: {', '.join(sorted(known)) or 'none'}."
        )
    return known[name]


def load(store: Store, scope: Scope, name: str) -> Loaded:
    """The connection of that name.

    Raises NotFoundError, or UnavailableError where its kind's plugin or a secret that it refers to is missing.
    """
    with store.read() as tx:
        row = connections.get(tx, scope, name)
        secrets = connections.secrets_of(tx, row)
    kind = kinds().get(row["kind"])
    if kind is None:
        raise UnavailableError(
            f"connection {name!r} {brought.needs(tx, 'connection', row['kind'])}",
            hint="`hub plugins ls` shows what is loaded; a plugin that brings kinds must run in `worker` too.",
            code="kind-unknown",
        )
    opened = {field: revealed(value) for field, value in secrets.items()}
    redacting.register(opened.values())
    return Loaded(name, kind.name, kind.parse({**row["fields"], **opened}))
