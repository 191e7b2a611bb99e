"""Retention: what is past its time is removed in small steps, so that tables stay as quick as they were."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from hub.plugins import Loop
from hub.runtime import consumers, runner
from hub.settings import Settings
from hub.store import (
    artifacts,
    assets,
    cache,
    device_logins,
    event_schemas,
    identity,
    lanes,
    old_alerts,
    outgoing,
    receipts,
    run_cancels,
    stream,
    trimming,
    workers,
)
from hub.store.base import Store, Tx
from hub.types import SECOND, Micros

log = logging.getLogger("hub.retention")
BATCH = 500
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """One per upkeep process. Durations come from the settings `retention_*`; 0 keeps for ever."""

    store: Store
    settings: Settings
    interval: float = 60.0

    def step(self) -> bool:
        """Remove one batch of each kind; True when one was full and there may be more."""
        full = False
        for keep_s, remove in self._kinds():
            if keep_s <= 0:
                continue
            with self.store.write(durable=False) as tx:
                before: Micros = tx.now - int(keep_s * SECOND)
                full = remove(tx, before) >= BATCH or full
        return full

    def _kinds(self) -> list[tuple[float, Callable[[Tx, Micros], int]]]:
        kept = self.settings
        return [
            (kept.retention_runs, lambda tx, before: trimming.runs(tx, before=before, limit=BATCH)),
            (kept.retention_artifacts, lambda tx, before: artifacts.trim(tx, before=before, limit=BATCH)),
            (kept.retention_artifacts, lambda tx, before: assets.trim(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, _before: cache.trim(tx, before=None, limit=BATCH)),
            (kept.retention_cache, lambda tx, before: cache.trim(tx, before=before, limit=BATCH)),
            (kept.retention_events, lambda tx, before: stream.trim(tx, before=before, limit=BATCH)),
            (kept.retention_events, lambda tx, before: trimming.firings(tx, before=before, limit=BATCH)),
            (kept.retention_events, lambda tx, before: trimming.actions(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: trimming.windows(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: trimming.flow_states(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: run_cancels.trim(tx, before=before, limit=BATCH)),
            (_outcomes(kept.retention_events), lambda tx, before: trimming.outcomes(tx, before=before, limit=BATCH)),
            (kept.retention_receipts, lambda tx, before: trimming.receipts(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, _before: receipts.trim(tx, limit=BATCH)),
            (kept.retention_receipts, lambda tx, before: event_schemas.trim(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, _before: receipts.forget_keys(tx, limit=BATCH)),
            (kept.retention_events, lambda tx, before: outgoing.trim(tx, before=before, limit=BATCH)),
            (kept.retention_alerts, lambda tx, before: old_alerts.trim(tx, before=before, limit=BATCH)),
            (kept.retention_runs, lambda tx, before: trimming.ticks(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: trimming.effects(tx, before=before, limit=BATCH)),
            (7 * DAY, lambda tx, before: workers.clear_old(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: device_logins.trim(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: identity.trim(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: lanes.clear_old(tx, before=before, limit=BATCH)),
            (DAY, lambda tx, before: runner.clear_old(tx, before=before)),
            (DAY, lambda tx, before: consumers.clear_old(tx, before=before)),
        ]

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("retention", self.step, interval=self.interval)


def _outcomes(keep_s: float) -> float:
    """A plane may send a command again for 7 days: for longer than that it must be known that it was carried out."""
    return max(keep_s, 8 * DAY) if keep_s else 0
