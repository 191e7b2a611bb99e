"""Is it alive, is it ready, and how much waits: for load balancers and for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from hub.errors import HubError, UnavailableError
from hub.runtime import plugin_reports
from hub.runtime.broker import problem
from hub.settings import Settings
from hub.store import Store, Tx, effects
from hub.store.tables import Attempt, Effect, Event, RunRow, Worker
from hub.types import SECOND, Scope
from hub.web.matrix import Access, Declared
from hub.web.services import Services

_RUNS = RunRow.__table__
_EVENTS = Event.__table__
_EFFECTS = Effect.__table__
_ATTEMPTS = Attempt.__table__
_WORKERS = Worker.__table__
LIVE_STATES = ("SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING")
COUNT_LIMIT = 10_000
STAMP_WITHIN = 30.0
"""Seconds after which an event without a position means that no upkeep loop is at work."""


def routes() -> list[BaseRoute]:
    """The health paths."""
    return [
        Declared("/healthz", healthz, Access(None, "says that the process answers"), methods=["GET"]),
        Declared("/readyz", readyz, Access(None, "says which parts are well, not why"), methods=["GET"]),
        Declared("/metrics", metrics, Access("metrics:read"), methods=["GET"]),
    ]


async def healthz(_request: Request) -> Response:
    """The process answers. Says nothing of anything else."""
    return JSONResponse({"status": "ok"})


def readyz(request: Request) -> Response:
    """Database, broker and loops are there. The reasons of a failure are in the log and in `hub doctor`."""
    checks = [{"name": name, "ok": ok} for name, ok in _checks(request.app.state.services)]
    ready = all(check["ok"] for check in checks)
    return JSONResponse({"status": "ok" if ready else "failing", "checks": checks}, 200 if ready else 503)


def metrics(request: Request) -> Response:
    """Counts in the text format of Prometheus, for the asker's workspace."""
    services: Services = request.app.state.services
    scope = services.authorize(request, "metrics:read")
    with services.store.read() as tx:
        lines = [*_metrics(tx, scope), *_of_plugins(plugin_reports.listing(tx, services.plugins))]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


def database(store: Store) -> None:
    """The database answers and has a schema."""
    with store.read() as tx:
        tx.conn.execute(select(_EVENTS.c.id).limit(1)).first()


def loops(store: Store) -> None:
    """What was committed a while ago has been stamped: somebody keeps the loops going."""
    with store.read() as tx:
        before = tx.now - int(STAMP_WITHIN * SECOND)
        query = select(_EVENTS.c.id).where(_EVENTS.c.seq.is_(None), _EVENTS.c.at < before).limit(1)
        if tx.conn.execute(query).first() is not None:
            raise UnavailableError("events wait for their place", hint="Is `hub upkeep` (or `hub up`) running?")


def broker(settings: Settings) -> None:
    """Something accepts connections where the broker should be."""
    found = problem(settings)
    if found:
        raise UnavailableError(found)


def _checks(services: Services) -> Iterator[tuple[str, bool]]:
    store = services.store
    yield "database", _passes(lambda: database(store))
    yield "broker", _passes(lambda: broker(services.settings))
    yield "loops", _passes(lambda: loops(store))
    for found in services.plugins.hooks.health():
        if isinstance(found, Mapping):
            yield str(found.get("name", "plugin"))[:100], bool(found.get("ok"))


def _passes(check: Callable[[], Any]) -> bool:
    try:
        check()
    except HubError:
        return False
    return True


def _metrics(tx: Tx, scope: Scope) -> Iterator[str]:
    mine = scope.workspace_id
    yield "# HELP hub_runs Runs that have not ended, by state; counted no further than 10000."
    yield "# TYPE hub_runs gauge"
    for state in LIVE_STATES:
        query = select(_RUNS.c.id).where(_RUNS.c.workspace_id == mine, _RUNS.c.state_type == state)
        yield f'hub_runs{{state="{state}"}} {_count(tx, query)}'
    gauges = (
        ("hub_workers", "Workers that are alive.", _alive(tx, mine)),
        ("hub_attempts_live", "Slots that are taken.", _taken(mine)),
        ("hub_events_unstamped", "Committed events without a position.", _unstamped(mine)),
        ("hub_effects_waiting", "Work that follows commits and is not done.", _waiting(mine)),
        ("hub_effects_dead", "Work that was given up.", _dead(mine)),
    )
    for name, says, query in gauges:
        yield f"# HELP {name} {says}"
        yield f"# TYPE {name} gauge"
        yield f"{name} {_count(tx, query)}"
    last = tx.conn.execute(select(func.max(_EVENTS.c.seq)).where(_EVENTS.c.workspace_id == mine)).scalar()
    yield "# HELP hub_events_total Stamped events so far."
    yield "# TYPE hub_events_total counter"
    yield f"hub_events_total {last or 0}"


def _of_plugins(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What any live process says of each plugin; of several of one name that of the one that is loaded."""
    named = {re.sub(r"[^\w.-]", "_", row["name"])[:100]: row for row in rows if not row["clashes"]}
    yield "# HELP hub_plugin_up Whether a plugin works, or would where it runs."
    yield "# TYPE hub_plugin_up gauge"
    for name, row in named.items():
        yield f'hub_plugin_up{{plugin="{name}"}} {int(row["state"] in ("loaded", "degraded"))}'
    yield "# HELP hub_plugin_errors Failures of a plugin's hooks in the process that counts most."
    yield "# TYPE hub_plugin_errors gauge"
    for name, row in named.items():
        yield f'hub_plugin_errors{{plugin="{name}"}} {row["errors"]}'
    yield "# HELP hub_plugin_hooks_open Hooks of a plugin that are not called for a while."
    yield "# TYPE hub_plugin_hooks_open gauge"
    for name, row in named.items():
        yield f'hub_plugin_hooks_open{{plugin="{name}"}} {sum(one["state"] == "open" for one in row["breakers"])}'


def _alive(tx: Tx, mine: str) -> Any:
    return select(_WORKERS.c.id).where(
        _WORKERS.c.workspace_id == mine, _WORKERS.c.status != "gone", _WORKERS.c.lease_until >= tx.now
    )


def _taken(mine: str) -> Any:
    return select(_ATTEMPTS.c.id).where(
        _ATTEMPTS.c.workspace_id == mine, _ATTEMPTS.c.state.in_(("PUBLISHED", "CLAIMED"))
    )


def _unstamped(mine: str) -> Any:
    return select(_EVENTS.c.id).where(_EVENTS.c.workspace_id == mine, _EVENTS.c.seq.is_(None))


def _waiting(mine: str) -> Any:
    where = (
        _EFFECTS.c.workspace_id == mine,
        _EFFECTS.c.done_at.is_(None),
        _EFFECTS.c.dead_at.is_(None),
        _EFFECTS.c.due_at < effects.HELD,
    )
    return select(_EFFECTS.c.id).where(*where)


def _dead(mine: str) -> Any:
    return select(_EFFECTS.c.id).where(_EFFECTS.c.workspace_id == mine, _EFFECTS.c.dead_at.is_not(None))


def _count(tx: Tx, query: Any) -> int:
    counted = select(func.count()).select_from(query.limit(COUNT_LIMIT).subquery())
    return int(tx.conn.execute(counted).scalar_one())
