"""Processes that are alive, by lease."""

from __future__ import annotations

from typing import ClassVar

from hub.store.tables.columns import Row, document, id_key, integer, maybe_moment, moment, ref, text


class Worker(Row, table=True):
    """A worker: its queues, its slots, its lease, and when its last canary came back through the broker."""

    __tablename__: ClassVar[str] = "workers"
    id: str = id_key()
    workspace_id: str = ref(index=True)
    name: str = text()
    host: str = text()
    boot_id: str = text()
    pid: int = integer()
    pid_started: str = text()
    version: str = text()
    queues: list[str] = document([])
    slots: int = integer(1)
    status: str = text("starting")  # starting, ready, draining, gone
    started_at: int = moment()
    lease_until: int = moment()
    canary_sent_at: int | None = maybe_moment()
    canary_seen_at: int | None = maybe_moment()
    ended_at: int | None = maybe_moment()
