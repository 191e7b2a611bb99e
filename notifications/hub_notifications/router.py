"""The loop that puts alerts into the groups of their routes, and looks at groups that are due.

One process does it at a time. What it decides is in `routes`, `grouping` and `muting`, which know no database; filters
run outside of transactions. A kill at any point leaves a group that is due, or one whose message is written down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hub.errors import ExpressionError
from hub.runtime import process
from hub.store import events, leaders
from hub.store.base import Store, Tx
from hub.types import SECOND, Id, JsonObject, Micros, Scope, derived_id, rfc3339

from hub_notifications import channels, firing, groups, notices
from hub_notifications.content import MAX_ALERTS, MAX_RUNS, content
from hub_notifications.grouping import Group, Member, Notice, look
from hub_notifications.routes import DEFAULT_SPEC, Broken, Route, Step, Taken, applies, choose, taken, variables_of
from hub_notifications.world import World

log = logging.getLogger("hub.alerts")
LOCK = "alerts"
LEASE_S = 30.0
AT_ONCE = 20
"""Alerts, and groups, of one transaction: it must be over before anybody else who writes notices."""
Message: TypeAlias = tuple[JsonObject, Sequence[Mapping[str, Any]], Sequence[Id]]
"""What it tells, the alerts that it tells, and the channels that it goes to."""
TO = "to"
"""Label of a group whose alerts name their channels themselves (`@flow(alerts=...)`)."""


@dataclass(slots=True)
class Router:
    """One per upkeep process; those that do not hold the lock stand by."""

    store: Store
    holder: str = field(default_factory=process.holder)

    def step(self) -> bool:
        """Do one batch of each; True when there may be more."""
        with self.store.read() as tx:
            new = groups.unrouted(tx, limit=AT_ONCE)
            rows = groups.due(tx, limit=AT_ONCE)
        if not new and not rows:
            return False
        with self.store.write(durable=False) as tx:
            if leaders.take(tx, LOCK, self.holder, lease_s=LEASE_S) is None:
                return False
        if new:
            self._route(new)
            return True  # a route may tell at once
        self._look(rows)
        return len(rows) == AT_ONCE

    def close(self) -> None:
        """Let another process go on at once."""
        with self.store.write() as tx:
            leaders.give_back(tx, LOCK, self.holder)

    def _route(self, new: list[dict[str, Any]]) -> None:
        with self.store.read() as tx:
            routes = {one: groups.routes_of(tx, one) for one in {alert["workspace_id"] for alert in new}}
            now = rfc3339(tx.now)
        found = [(alert, list(paths(alert, routes[alert["workspace_id"]], now))) for alert in new]
        with self.store.write() as tx:
            if leaders.take(tx, LOCK, self.holder, lease_s=LEASE_S) is None:
                return
            for alert, chosen in found:
                groups.put(tx, alert, [one for one in chosen if isinstance(one, Taken)])
                for broken in chosen:
                    if isinstance(broken, Broken):
                        _tell_broken(tx, alert, broken)

    def _look(self, rows: list[dict[str, Any]]) -> None:
        with self.store.read() as tx:
            worlds = {one: World.read(tx, one) for one in {row["workspace_id"] for row in rows}}
            with_texts = any(world.asks_for_texts for world in worlds.values())
            members = groups.members_of(tx, [row["id"] for row in rows], with_texts=with_texts)
        looks = [Look.at(row, members[row["id"]], worlds[row["workspace_id"]]) for row in rows]
        with self.store.read() as tx:
            said = [(one, list(one.messages(tx))) for one in looks]
        with self.store.write() as tx:
            if leaders.take(tx, LOCK, self.holder, lease_s=LEASE_S) is None:
                return
            for one, messages in said:
                if groups.keep(tx, one.row, one.before, one.after, one.more):
                    for message in messages:
                        notices.plan(tx, Scope(one.row["workspace_id"]), *message, group=one.row)


def paths(alert: Mapping[str, Any], routes: Iterable[Route], now: str) -> Iterable[Taken | Broken]:
    """The routes that an alert takes. One that names its channels itself takes none of them."""
    to = (alert["context"] or {}).get("to")
    variables = variables_of(alert, now)
    if not to:
        return choose(routes, variables)
    route = named_route(alert["workspace_id"], to)
    own = taken(route, variables["labels"])
    return [Taken(route, own.key, {**own.labels, TO: ",".join(to)})]


def named_route(workspace_id: Id, to: Iterable[str]) -> Route:
    """The route of alerts that name their channels themselves."""
    spec = DEFAULT_SPEC.model_copy(update={"channels": list(to)})
    return Route(derived_id(workspace_id, "alerts", *spec.channels), f"to {', '.join(spec.channels)}", spec)


def _tell_broken(tx: Tx, alert: Mapping[str, Any], broken: Broken) -> None:
    log.warning("route %s failed for alert %s: %s", broken.route.name, alert["id"], broken.error)
    events.append(
        tx, Scope(alert["workspace_id"]), "hub.route.failed", subject=broken.route.id, name=broken.route.name,
        alert_id=alert["id"], error=broken.error,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a group came to, to be written down."""

    row: Mapping[str, Any]
    route: Route | None
    before: Group
    after: Group | None
    alerts: Mapping[Id, Mapping[str, Any]]
    notice: Notice | None = None
    muted: str = ""
    step: Step | None = None
    escalated: tuple[Member, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, row: Mapping[str, Any], members: list[dict[str, Any]], world: World) -> Look:
        """Look at a group that is due."""
        alerts = {one["alert_id"]: one for one in members}
        before = groups.as_group(row, members, world.now)
        route = _route_of(row, world)
        if route is None:  # it was removed; its alerts are given to the others
            return cls(row, None, before, None, alerts)
        reasons = {alert_id: reason for alert_id, one in alerts.items() if (reason := world.mutes(route, one))}
        after: Group | None = before
        notice = None
        if row["due_at"] <= world.now:
            after, notice = look(before, world.now, route.spec.timing(), muted=frozenset(reasons))
        muted = next(iter(reasons.values()), "")
        open_ = [
            one for one in before.members.values() if one.is_firing and not one.is_quiet and one.alert_id not in reasons
        ]
        step, told, more = _escalate(row, route, open_, alerts, notice, world.now)
        return cls(row, route, before, after, alerts, notice, muted, step, told, {**more, "muted": muted[:500]})

    def messages(self, tx: Tx) -> Iterator[Message]:
        """The messages that it comes to."""
        if self.route is not None and self.notice is not None:
            yield self._message(tx, self.notice.reason, self.notice.members, self.route.spec.channels)
        if self.step is not None and self.escalated:
            yield self._message(tx, "escalation", self.escalated, self.step.channels)

    def _message(self, tx: Tx, reason: str, members: tuple[Member, ...], targets: list[str]) -> Message:
        assert self.route is not None
        told = [
            {
                "alert_id": one.alert_id, "status": "firing" if one.is_firing else "resolved",
                "occurrences": max(one.untold, 0),
            }
            for one in members
        ]  # fmt: skip
        runs = {
            one.alert_id: firing.occurrences(tx, one.alert_id, limit=min(one.untold, MAX_RUNS))
            for one in members[:MAX_ALERTS]
            if one.untold > 1
        }
        rows = groups.details(tx, [one.alert_id for one in members[:MAX_ALERTS]])
        to, is_meant = channels.meant(tx, Scope(self.row["workspace_id"]), targets)
        note = "" if is_meant else f"Meant for {', '.join(targets)}, which cannot be told; so every channel is."
        document = content(reason, rows, told, tx.now, route=self.route.name, note=note, runs=runs)
        return document, told, to


def _route_of(row: Mapping[str, Any], world: World) -> Route | None:
    named = (row["labels"] or {}).get(TO)
    if named:
        return named_route(row["workspace_id"], named.split(","))
    return world.routes.get(row["route_id"])


def _escalate(
    row: Mapping[str, Any],
    route: Route,
    members: list[Member],
    alerts: Mapping[Id, Mapping[str, Any]],
    notice: Notice | None,
    now: Micros,
) -> tuple[Step | None, tuple[Member, ...], dict[str, Any]]:
    """The step of the escalation that is due, whom it is about, and what to remember.

    It begins with a message about something new or still open, and ends when nothing is open any more: all is over,
    acknowledged or muted.
    """
    steps = route.spec.steps
    stopped = {"step": 0, "round": 0, "escalate_at": None}
    if not steps or not members:
        return None, (), stopped
    at = row["escalate_at"]
    if at is None:
        begins = notice is not None and notice.reason in ("firing", "more", "repeat")
        return None, (), {**stopped, "escalate_at": now + steps[0].after_s * SECOND} if begins else {}
    if at > now or row["step"] >= len(steps):
        return None, (), {}
    step, number = steps[row["step"]], row["step"] + 1
    done = row["round"]
    if number == len(steps) and done < route.spec.repeat_steps:
        number, done = 0, done + 1
    following = now + steps[number].after_s * SECOND if number < len(steps) else None
    told = tuple(one for one in members if _concerns(step, alerts[one.alert_id], now))
    if following is None:  # the last step of the last round; the next message about what is open begins again
        return step, told, stopped
    return step, told, {"step": number, "round": done, "escalate_at": following}


def _concerns(step: Step, alert: Mapping[str, Any], now: Micros) -> bool:
    if step.hours is not None and not step.hours.hold(now):
        return False
    try:
        return applies(step.match, variables_of(alert, rfc3339(now)))
    except ExpressionError as error:
        log.warning("a step of an escalation failed, and tells: %s", error.detail)
        return True
