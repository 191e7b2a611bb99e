"""Letting results go that nobody refers to: what retention and the cache left, what cut-off attempts never named."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from hub.errors import HubError, PermanentError, TransientError
from hub.plugins import Loop
from hub.resultstores import LOCAL
from hub.runtime import contributed
from hub.runtime.executor.places import Places
from hub.settings import Settings
from hub.store import kept, sites
from hub.store.base import Store
from hub.store.tables import Connection, Workspace
from hub.types import SECOND, SYSTEM, Id, Micros, Scope, now_us

log = logging.getLogger("hub.results")
BATCH = 200
DAY = 86_400.0
YOUNG: Micros = 3600 * SECOND
"""What was put so lately may not have been named yet."""


@dataclass(slots=True)
class Collected:
    """How many results went (or would), their bytes, and what stood in the way, by store."""

    results: int = 0
    bytes: int = 0
    orphans: int = 0
    more: bool = False
    problems: dict[str, str] = field(default_factory=dict)


class Collector:
    """One per process that collects. A store that is away holds up nothing but itself."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._swept_at: float | None = None
        self._places: list[tuple[Id, str]] = []
        self._after = ""

    def loop(self) -> Loop:
        """As an upkeep loop: what was left each minute, orphans a page at a time, all of them once a day."""
        return Loop("results", self.step, interval=60.0)

    def step(self) -> bool:
        """One batch; True when there may be more."""
        more = self.collect().more
        return self._sweep_on() or more

    def collect(self, *, scope: Scope | None = None, dry_run: bool = False) -> Collected:
        """Look at a batch of what somebody left, and delete what nobody refers to."""
        done = Collected()
        with self._store.read() as tx:
            rows = kept.garbage(tx, limit=BATCH, workspace_id=scope.workspace_id if scope else None)
            free = [row for row in rows if not kept.in_use(tx, row["key"])]
        done.more = len(rows) == BATCH and not dry_run
        done.results, done.bytes = len(free), sum(row["size"] for row in free)
        if dry_run or not rows:
            return done
        with self._store.write(durable=False) as tx:
            kept.forget(tx, [row["key"] for row in rows if row not in free])
        groups: dict[tuple[Id, str], list[str]] = {}
        for row in free:
            groups.setdefault((row["workspace_id"], row["store"]), []).append(row["key"])
        for (workspace_id, name), keys in groups.items():
            problem = self._delete(workspace_id, name, keys)
            of_these = [row for row in free if row["key"] in keys]
            with self._store.write(durable=False) as tx:
                if not problem:
                    kept.forget(tx, keys)
                for row in of_these if problem else ():
                    kept.failed(tx, row, problem)
            if problem:
                done.problems[name] = problem
                done.results -= len(keys)
                done.bytes -= sum(row["size"] for row in of_these)
        return done

    def orphans(self, scope: Scope, *, dry_run: bool = False, pages: int = 50) -> Collected:
        """Look through every store of a workspace for results that no row names; at most so many pages of each."""
        done = Collected()
        for workspace_id, name in self._stores(scope.workspace_id):
            after = ""
            for _ in range(pages):
                found = self._page(workspace_id, name, after, done, dry_run=dry_run)
                if found is None:
                    break
                after = found
            else:
                done.more = True
        return done

    def _sweep_on(self) -> bool:
        if not self._places:
            if self._swept_at is not None and time.monotonic() - self._swept_at < DAY:
                return False
            self._swept_at, self._after = time.monotonic(), ""
            self._places = list(self._stores(None))
        workspace_id, name = self._places[0]
        done = Collected()
        after = self._page(workspace_id, name, self._after, done, dry_run=False)
        if after is None:
            self._places.pop(0)
        self._after = after or ""
        for store, problem in done.problems.items():
            log.warning("result store %s could not be looked through: %s", store, problem)
        return bool(self._places)

    def _page(self, workspace_id: Id, name: str, after: str, done: Collected, *, dry_run: bool) -> str | None:
        """Look at a page of a store; the key to go on after, None at the end."""
        places = self._at(workspace_id)
        with self._store.read() as tx:
            prefix = sites.known_prefix(tx)
        if prefix is None:
            return None
        try:
            found = places.named(name).list(f"{prefix}/", after=after, limit=BATCH)
            old = [item for item in found if item.at < now_us() - YOUNG]
            with self._store.read() as tx:
                lost = set(kept.orphans(tx, [item.key for item in old]))
            if lost and not dry_run:
                places.named(name).delete(sorted(lost))
        except (HubError, TransientError, PermanentError) as error:
            done.problems[name] = getattr(error, "detail", str(error))
            return None
        finally:
            places.close()
        done.orphans += len(lost)
        done.bytes += sum(item.size for item in old if item.key in lost)
        return found[-1].key if len(found) == BATCH else None

    def _delete(self, workspace_id: Id, name: str, keys: Sequence[str]) -> str:
        places = self._at(workspace_id)
        try:
            places.named(name).delete(keys)
        except (HubError, TransientError, PermanentError) as error:
            return str(getattr(error, "detail", error)) or type(error).__name__
        finally:
            places.close()
        return ""

    def _at(self, workspace_id: Id) -> Places:
        return Places(self._settings.home / "results", self._store, Scope(workspace_id, SYSTEM))

    def _stores(self, workspace_id: Id | None) -> Iterator[tuple[Id, str]]:
        connections, workspaces = Connection.__table__, Workspace.__table__
        with self._store.read() as tx:
            ids = [str(row) for row in tx.conn.execute(select(workspaces.c.id)).scalars()]
            query = select(connections.c.workspace_id, connections.c.name, connections.c.kind)
            rows = list(tx.conn.execute(query))
        kinds = contributed.installed().stores
        for known in ids if workspace_id is None else [workspace_id]:
            yield known, LOCAL
            yield from ((known, name) for owner, name, kind in rows if owner == known and kind in kinds)
