"""Channels in the store: found by name, tag or id; their addresses opened only to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.crypto import Keyring
from hub.errors import NotFoundError
from hub.runtime import brought, contributed
from hub.store import raw
from hub.store.base import Tx
from hub.store.pages import Page, page
from hub.store.tables import Channel
from hub.types import SECOND, Id, Micros, Scope, new_id
from sqlalchemy import or_, select

CHANNELS = Channel.__table__
TAG = "tag:"
_MINUTE: Micros = 60 * SECOND
_PUBLIC = [column for column in CHANNELS.c if column.name != "sealed"]


def find(tx: Tx, scope: Scope, target: str) -> dict[str, Any]:
    """A channel by id or name, with its sealed address. Raises NotFoundError."""
    query = select(CHANNELS).where(CHANNELS.c.workspace_id == scope.workspace_id)
    row = tx.conn.execute(query.where(or_(CHANNELS.c.id == target, CHANNELS.c.name == target))).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no channel {target!r}", hint="`hub channels ls` lists them.")
    return dict(row)


def targeted(tx: Tx, scope: Scope, targets: Sequence[str]) -> list[Id]:
    """The channels of `meant`."""
    return meant(tx, scope, targets)[0]


def meant(tx: Tx, scope: Scope, targets: Sequence[str]) -> tuple[list[Id], bool]:
    """The enabled channels that names and `tag:NAME`s mean, and whether they do; without targets all of them.

    A message must not be lost because the only channel it was meant for is gone or switched off: all get it then.
    """
    query = select(CHANNELS.c.id, CHANNELS.c.name, CHANNELS.c.tags)
    query = query.where(CHANNELS.c.workspace_id == scope.workspace_id, CHANNELS.c.enabled).order_by(CHANNELS.c.id)
    rows = tx.conn.execute(query).all()
    found = [row.id for row in rows if row.name in targets or any(TAG + tag in targets for tag in row.tags)]
    return found or [row.id for row in rows], bool(found) or not targets


def unknown(tx: Tx, scope: Scope, targets: Sequence[str]) -> list[str]:
    """Those of some targets that mean no channel there is."""
    query = select(CHANNELS.c.name, CHANNELS.c.tags).where(CHANNELS.c.workspace_id == scope.workspace_id)
    rows = tx.conn.execute(query).all()
    known = {row.name for row in rows} | {TAG + tag for row in rows for tag in row.tags}
    return sorted(set(targets) - known)


def names(tx: Tx, scope: Scope, ids: Sequence[Id]) -> list[str]:
    """The names of some channels."""
    query = select(CHANNELS.c.name).where(CHANNELS.c.workspace_id == scope.workspace_id, CHANNELS.c.id.in_(ids))
    return list(tx.conn.execute(query.order_by(CHANNELS.c.name)).scalars())


def other(tx: Tx, workspace_id: Id, channel_id: Id) -> Id | None:
    """Another enabled channel, to tell about this one."""
    query = select(CHANNELS.c.id).where(
        CHANNELS.c.workspace_id == workspace_id, CHANNELS.c.enabled, CHANNELS.c.id != channel_id
    )
    return tx.conn.execute(query.order_by(CHANNELS.c.id).limit(1)).scalar()


def listed(tx: Tx, scope: Scope, *, limit: int, cursor: str | None) -> Page[dict[str, Any]]:
    """Channels without their addresses, newest first."""
    query = select(*_PUBLIC).where(CHANNELS.c.workspace_id == scope.workspace_id)
    return page(tx, query, CHANNELS.c.id, limit=limit, cursor=cursor, make=dict)


def needs(tx: Tx, scheme: str) -> str:
    """Which plugin a channel waits for that was made with it; empty when it waits for none."""
    if scheme in contributed.installed().channels or not brought.plugin_of(tx, "channel", scheme):
        return ""
    return brought.needs(tx, "channel", scheme)


def new_row(scope: Scope, name: str, label: str, scheme: str, now: Micros) -> dict[str, Any]:
    """A channel without its address."""
    return {
        "id": new_id(), "workspace_id": scope.workspace_id, "name": name, "label": label, "scheme": scheme,
        "enabled": True, "disabled_reason": "", "created_at": now, "updated_at": now,
    }  # fmt: skip


def open_address(keyring: Keyring, channel: Mapping[str, Any], channel_id: Id) -> str:
    """The address of a channel. Raises HubError when its key is missing."""
    return keyring.open(channel["sealed"], context=f"channels:{channel_id}", key_id=channel["key_id"])


def locked(tx: Tx, channel_id: Id) -> dict[str, Any] | None:
    """What the bucket of a channel needs, the row held until the transaction ends; None when it is gone."""
    query = select(CHANNELS.c.rate, CHANNELS.c.burst, CHANNELS.c.free_at, CHANNELS.c.enabled)
    row = tx.conn.execute(query.where(CHANNELS.c.id == channel_id).with_for_update()).mappings().first()
    return None if row is None else dict(row)


def spend(tx: Tx, channel_id: Id, free_at: Micros) -> None:
    """Note how full the bucket of a channel is."""
    raw.put(tx, CHANNELS, {"free_at": free_at}, {"id": channel_id})


def room(channel: Mapping[str, Any], now: Micros) -> tuple[int, Micros]:
    """(how many messages may go now, when the next one may go): a token bucket kept as one number (GCRA)."""
    each = _MINUTE // max(channel["rate"], 1)
    latest = now + (channel["burst"] - 1) * each
    free_at = max(channel["free_at"], now)
    count = max((latest - free_at) // each + 1, 0)
    return count, now if count else free_at - (channel["burst"] - 1) * each


def after(channel: Mapping[str, Any], now: Micros, sent: int) -> Micros:
    """When the bucket is full again once so many messages have gone."""
    return int(max(channel["free_at"], now) + sent * (_MINUTE // max(channel["rate"], 1)))
