"""What alerts of a workspace are looked at with: routes, silences, inhibitions and what fires, as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.store.base import Tx
from hub.types import Id, Micros, rfc3339

from hub_notifications import groups
from hub_notifications.muting import inhibited_by, is_quiet_now, silenced_by
from hub_notifications.routes import Route, variables_of


@dataclass(frozen=True, slots=True)
class World:
    """What a workspace's alerts are looked at with, as it is now."""

    now: Micros
    routes: Mapping[Id, Route]
    silences: list[dict[str, Any]]
    inhibitions: list[dict[str, Any]]
    firing: list[dict[str, Any]]

    @classmethod
    def read(cls, tx: Tx, workspace_id: Id) -> World:
        """Read it."""
        inhibitions = groups.inhibitions_of(tx, workspace_id)
        others = groups.firing_of(tx, workspace_id) if inhibitions else []
        return cls(
            tx.now,
            {route.id: route for route in groups.routes_of(tx, workspace_id)},
            groups.silences_on(tx, workspace_id),
            inhibitions,
            [variables_of(row, rfc3339(tx.now)) for row in others],
        )

    @property
    def asks_for_texts(self) -> bool:
        """Whether there are filters, which may ask for all that an alert holds."""
        steps = any(step.match for route in self.routes.values() for step in route.spec.steps)
        return bool(self.silences or self.inhibitions) or steps

    def mutes(self, route: Route, alert: Mapping[str, Any]) -> str:
        """Why nobody is to hear of an alert now; empty: they are."""
        if is_quiet_now(route.spec, alert["severity"], self.now):
            return f"quiet hours of route {route.name}"
        if not self.silences and not self.inhibitions:
            return ""
        variables = variables_of(alert, rfc3339(self.now))
        silence = silenced_by(self.silences, variables)
        if silence:
            return f"silence {silence['id']} of {silence['author'] or 'somebody'}: {silence['comment']}"
        explained = inhibited_by(self.inhibitions, variables, self.firing)
        return f"inhibition {explained[0]}: {explained[1]['alert']['title']}" if explained else ""
