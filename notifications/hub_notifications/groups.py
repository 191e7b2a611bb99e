"""Routes, groups and what mutes them, in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hub.errors import NotFoundError
from hub.store import raw
from hub.store.base import Tx
from hub.store.tables import Alert, AlertGroup, AlertInhibition, AlertMember, AlertRoute, AlertSilence
from hub.types import Id, Micros, Scope, derived_id, new_id, rfc3339
from sqlalchemy import delete, func, or_, select, update

from hub_notifications.firing import is_quiet
from hub_notifications.grouping import Group, Member
from hub_notifications.muting import silence_holds, silenced_by
from hub_notifications.routes import DEFAULT, DEFAULT_SPEC, Route, Spec, Taken, variables_of

ALERTS = Alert.__table__
ROUTES = AlertRoute.__table__
GROUPS = AlertGroup.__table__
MEMBERS = AlertMember.__table__
SILENCES = AlertSilence.__table__
INHIBITIONS = AlertInhibition.__table__
MAX_FIRING = 2_000
"""Alerts of a workspace that are looked at as explanations of others."""


def default_id(workspace_id: Id) -> Id:
    """The id of the default route of a workspace, whether somebody has changed it or not."""
    return derived_id(workspace_id, "alerts", "default route")


def list_routes(tx: Tx, scope: Scope) -> list[dict[str, Any]]:
    """All routes in their order, the default route last; it is there even if nobody ever wrote it."""
    query = select(ROUTES).where(ROUTES.c.workspace_id == scope.workspace_id)
    rows = [dict(row) for row in tx.conn.execute(query.order_by(ROUTES.c.position, ROUTES.c.id)).mappings()]
    own = [row for row in rows if not row["is_default"]]
    default = [row for row in rows if row["is_default"]] or [_default(scope.workspace_id)]
    return [*own, *default]


def _default(workspace_id: Id) -> dict[str, Any]:
    return {
        "id": default_id(workspace_id), "workspace_id": workspace_id, "name": DEFAULT, "position": 0,
        "is_default": True, "enabled": True, "spec": DEFAULT_SPEC.model_dump(mode="json", by_alias=True),
        "created_at": 0, "updated_at": 0,
    }  # fmt: skip


def routes_of(tx: Tx, workspace_id: Id) -> list[Route]:
    """The enabled routes of a workspace, in their order."""
    return [as_route(row) for row in list_routes(tx, Scope(workspace_id)) if row["enabled"]]


def as_route(row: Mapping[str, Any]) -> Route:
    """A route as it was kept."""
    return Route(row["id"], row["name"], Spec.model_validate(row["spec"]), row["is_default"])


def find_route(tx: Tx, scope: Scope, target: str) -> dict[str, Any]:
    """A route by id or name. Raises NotFoundError."""
    for row in list_routes(tx, scope):
        if target in (row["id"], row["name"]):
            return row
    raise NotFoundError(f"there is no route {target!r}", hint="`hub routes ls` lists them.")


def route_anew(tx: Tx, workspace_id: Id) -> None:
    """Give all that fires to the routes once more: they have changed. How it was told stays known."""
    firing = (ALERTS.c.workspace_id == workspace_id, ALERTS.c.status == "firing")
    tx.conn.execute(update(ALERTS).where(*firing).values(routed_at=None))
    tx.wake("alerts")


def unrouted(tx: Tx, *, limit: int) -> list[dict[str, Any]]:
    """Alerts that no group has yet, oldest first."""
    query = select(ALERTS).where(ALERTS.c.routed_at.is_(None)).order_by(ALERTS.c.id).limit(limit)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def put(tx: Tx, alert: Mapping[str, Any], chosen: Iterable[Taken]) -> None:
    """Put an alert into the groups of its routes, and take it out of all others; how it was told goes with it."""
    raw.put(tx, ALERTS, {"routed_at": tx.now}, {"id": alert["id"]})
    if alert["status"] != "firing":
        return  # an end is told where the beginning was
    mine = {_group_of(tx, alert["workspace_id"], taken): taken.route.id for taken in chosen}
    told = {"told": "", "told_count": 0}
    before: dict[Id, dict[str, Any]] = {}
    query = select(MEMBERS, GROUPS.c.route_id).join(GROUPS, GROUPS.c.id == MEMBERS.c.group_id)
    for row in tx.conn.execute(query.where(MEMBERS.c.alert_id == alert["id"])).mappings().all():
        if row["group_id"] not in mine:
            before[row["route_id"]] = {name: row[name] for name in told}
            where = (MEMBERS.c.alert_id == alert["id"], MEMBERS.c.group_id == row["group_id"])
            tx.conn.execute(delete(MEMBERS).where(*where))
    for group_id, route_id in mine.items():
        tx.insert_missing(MEMBERS, {"group_id": group_id, "alert_id": alert["id"], **before.get(route_id, told)})


def _group_of(tx: Tx, workspace_id: Id, taken: Taken) -> Id:
    where = {"workspace_id": workspace_id, "route_id": taken.route.id, "key": taken.key}
    row = {
        **where, "id": new_id(), "labels": dict(taken.labels), "due_at": tx.now + taken.route.spec.timing().group_wait,
        "muted": "", "created_at": tx.now,
    }  # fmt: skip
    if tx.insert_ignore(GROUPS, row):
        return str(row["id"])
    found = raw.select_one(tx, GROUPS, ("id",), where)
    assert found is not None  # one process routes at a time
    return str(found["id"])


def due(tx: Tx, *, limit: int) -> list[dict[str, Any]]:
    """Groups that are to be looked at."""
    query = select(GROUPS).where(or_(GROUPS.c.due_at <= tx.now, GROUPS.c.escalate_at <= tx.now))
    return [dict(row) for row in tx.conn.execute(query.order_by(GROUPS.c.due_at).limit(limit)).mappings()]


_LIGHT = [column for column in ALERTS.c if column.name not in ("body", "context")]


def members_of(tx: Tx, groups: Collection[Id], *, with_texts: bool) -> dict[Id, list[dict[str, Any]]]:
    """The alerts of each group, with how they were told; their texts may take a hundred times as much memory."""
    query = select(MEMBERS, *(ALERTS.c if with_texts else _LIGHT)).join(ALERTS, ALERTS.c.id == MEMBERS.c.alert_id)
    found: dict[Id, list[dict[str, Any]]] = {group_id: [] for group_id in groups}
    for row in tx.conn.execute(query.where(MEMBERS.c.group_id.in_(groups)).order_by(MEMBERS.c.alert_id)).mappings():
        found[row["group_id"]].append({"body": "", "context": {}, **row})
    return found


def details(tx: Tx, ids: list[Id]) -> list[dict[str, Any]]:
    """Some alerts as they are now, in this order."""
    rows = {row["id"]: dict(row) for row in tx.conn.execute(select(ALERTS).where(ALERTS.c.id.in_(ids))).mappings()}
    return [rows[one] for one in ids if one in rows]


def as_group(row: Mapping[str, Any], members: Iterable[Mapping[str, Any]], now: Micros) -> Group:
    """A group as the rules take it."""
    own = [
        Member(
            one["alert_id"], one["status"] == "firing", one["count"], one["told"] == "firing", one["told_count"],
            is_quiet(one, now),
        )
        for one in members
    ]  # fmt: skip
    return Group(row["due_at"], row["told_at"], {member.alert_id: member for member in own})


def keep(tx: Tx, row: Mapping[str, Any], before: Group, after: Group | None, more: Mapping[str, Any]) -> bool:
    """Write down how a group goes on; False when another process has looked at it in between."""
    mine = {"id": row["id"], "version": row["version"]}
    values = {"version": row["version"] + 1}
    values |= {"due_at": after.due_at, "told_at": after.told_at, **more} if after else {}
    if not raw.change(tx, GROUPS, values, mine):
        return False
    kept = after.members if after else {}
    gone = [alert_id for alert_id in before.members if alert_id not in kept]
    for at in range(0, len(gone), 500):
        own = (MEMBERS.c.group_id == row["id"], MEMBERS.c.alert_id.in_(gone[at : at + 500]))
        tx.conn.execute(delete(MEMBERS).where(*own))
    for alert_id, member in kept.items():
        if member != before.members[alert_id]:
            told = {"told": "firing" if member.is_told else "", "told_count": member.told_count}
            raw.put(tx, MEMBERS, told, {"group_id": row["id"], "alert_id": alert_id})
    if after is None:
        tx.conn.execute(delete(GROUPS).where(GROUPS.c.id == row["id"]))
    return True


def groups_of(tx: Tx, scope: Scope, alert_id: Id) -> list[dict[str, Any]]:
    """The groups that an alert is in, each with the name of its route (None: it names its channels itself)."""
    query = select(GROUPS, ROUTES.c.name.label("route")).join(MEMBERS, MEMBERS.c.group_id == GROUPS.c.id)
    query = query.join(ROUTES, ROUTES.c.id == GROUPS.c.route_id, isouter=True)
    mine = (MEMBERS.c.alert_id == alert_id, GROUPS.c.workspace_id == scope.workspace_id)
    rows = [dict(row) for row in tx.conn.execute(query.where(*mine).order_by(GROUPS.c.id)).mappings()]
    default = default_id(scope.workspace_id)
    return [{**row, "route": row["route"] or (DEFAULT if row["route_id"] == default else None)} for row in rows]


def silences_on(tx: Tx, workspace_id: Id) -> list[dict[str, Any]]:
    """The silences of a workspace that hold now."""
    mine = (SILENCES.c.workspace_id == workspace_id, SILENCES.c.starts_at <= tx.now)
    query = select(SILENCES).where(*mine, or_(SILENCES.c.ends_at.is_(None), SILENCES.c.ends_at > tx.now))
    rows = [dict(row) for row in tx.conn.execute(query.order_by(SILENCES.c.id)).mappings()]
    return [row for row in rows if silence_holds(row, tx.now)]


def inhibitions_of(tx: Tx, workspace_id: Id) -> list[dict[str, Any]]:
    """The inhibitions of a workspace."""
    query = select(INHIBITIONS).where(INHIBITIONS.c.workspace_id == workspace_id).order_by(INHIBITIONS.c.name)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def firing_of(tx: Tx, workspace_id: Id) -> list[dict[str, Any]]:
    """What fires in a workspace, the newest first, bounded."""
    query = select(ALERTS).where(ALERTS.c.workspace_id == workspace_id, ALERTS.c.status == "firing")
    return [dict(row) for row in tx.conn.execute(query.order_by(ALERTS.c.id.desc()).limit(MAX_FIRING)).mappings()]


def count_silences(tx: Tx, scope: Scope) -> int:
    """How many silences of a workspace are not over."""
    query = select(func.count()).select_from(SILENCES).where(SILENCES.c.workspace_id == scope.workspace_id)
    open_ = or_(SILENCES.c.ends_at.is_(None), SILENCES.c.ends_at > tx.now)
    return int(tx.conn.execute(query.where(open_)).scalar_one())


def find_silence(tx: Tx, scope: Scope, silence_id: Id) -> dict[str, Any]:
    """A silence by its id. Raises NotFoundError."""
    found = raw.select_one(tx, SILENCES, raw.names_of(SILENCES), {"id": silence_id, "workspace_id": scope.workspace_id})
    if found is None:
        raise NotFoundError("there is no such silence", hint="`hub silences ls` lists them.")
    return found


def list_silences(tx: Tx, scope: Scope, *, ended: bool) -> list[dict[str, Any]]:
    """Silences, newest first: those that are not over, or the last hundred of all."""
    query = select(SILENCES).where(SILENCES.c.workspace_id == scope.workspace_id).order_by(SILENCES.c.id.desc())
    open_ = or_(SILENCES.c.ends_at.is_(None), SILENCES.c.ends_at > tx.now)
    query = query.limit(100) if ended else query.where(open_)
    return [dict(row) for row in tx.conn.execute(query).mappings()]


def hidden_by(tx: Tx, workspace_id: Id, silences: Iterable[Mapping[str, Any]]) -> dict[Id, int]:
    """How many of the alerts that fire each silence hides now."""
    rows = list(silences)
    active = [row for row in rows if silence_holds(row, tx.now)]
    alerts = [variables_of(one, rfc3339(tx.now)) for one in firing_of(tx, workspace_id)] if active else []
    found = dict.fromkeys((row["id"] for row in rows), 0)
    for row in active:
        found[row["id"]] = sum(silenced_by([row], one) is not None for one in alerts)
    return found
