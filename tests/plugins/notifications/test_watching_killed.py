"""The loops that look for what is wrong, killed before and after each of their commits: every alert comes, and once."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import Store, open_hub
from hub.store.tables import Event
from hub.testing.crashing import Killing
from hub.types import SECOND, Scope, now_us
from sqlalchemy import select
from tests.planes.doors import make
from tests.planes.test_inbox import keep

from hub_notifications import conditions, firing
from hub_notifications.plugin import hub_commands
from hub_notifications.watching import Watching, of_slas, of_the_hub

from .test_conditions import new_run as waiting_run
from .test_slas import new_run

SCOPE = Scope()
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills forked children")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long("sqlite"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(request.getfixturevalue("postgres_url"))
        if request.param == "postgresql"
        else f"sqlite:///{tmp_path}/h/hub.db"
    )


def opened(url: str, tmp_path: Path) -> Store:
    return open_hub(load_settings({"home": tmp_path / "h", "database_url": url}, environ={}))


def killed(url: str, tmp_path: Path, which: Callable[[Store], Watching], number: int, side: str) -> bool:
    """Look in a child that is killed before or after its n-th commit; whether it came to that."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store: Store = Killing(opened(url, tmp_path), number, side)  # type: ignore[arg-type, assignment]
            register(*hub_commands())
            replace(which(store), holder="one").step()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def told(store: Store) -> tuple[dict[str, str], Counter[tuple[str, str]]]:
    """State of each alert by its kind, and how often each was said to begin or to end."""
    with store.read() as tx:
        rows = firing.list_alerts(tx, SCOPE, status=None, limit=50, cursor=None).items
        table = Event.__table__  # type: ignore[attr-defined]
        said = tx.conn.execute(select(table.c.type, table.c.subject).where(table.c.type.like("hub.alert.%")))
        events = Counter((str(row.type), str(row.subject)) for row in said)
    assert len({row["kind"] for row in rows}) == len(rows)
    return {row["kind"]: row["status"] for row in rows}, events


def trouble(store: Store, which: Callable[[Store], Watching]) -> tuple[set[str], list[str]]:
    """Two things that are wrong: the kinds of their alerts, and what mends them."""
    if which is of_the_hub:
        source = make(store)
        for _ in range(conditions.SIGNATURES):
            keep(store, source, verdict="rejected", reason="no signature")
        waiting_run(store, due_at=now_us() - 660 * SECOND)
        return {"signatures-failing", "queue-waiting"}, ["DELETE FROM receipts", "DELETE FROM runs"]
    for name, spec in (("slow", {"duration": {"limit_s": 60}}), ("fails", {"failure_rate": {"at_most": 0, "last": 5}})):
        apply(store, Command("sla.set", SCOPE, args={"name": name, "spec": {"flow": "nightly", **spec}}))
    new_run(store, "RUNNING", 11, None)
    for _ in range(5):
        new_run(store, "FAILED", 2, 1)
    return {"sla-duration", "sla-failure-rate"}, ["DELETE FROM runs"]


@pytest.mark.parametrize("which", [of_the_hub, of_slas])
def test_a_kill_costs_no_alert_and_makes_none_twice(
    url: str, tmp_path: Path, which: Callable[[Store], Watching]
) -> None:
    register(*hub_commands())
    store = opened(url, tmp_path)
    store.migrate()
    kinds, mend = trouble(store, which)
    kills = 0
    for status, statements in (("firing", []), ("resolved", mend)):
        with store.write() as tx:
            for statement in statements:
                tx.conn.exec_driver_sql(statement)
        store.close()
        # Each one begins where the one before was killed, until one is done.
        for number, side in itertools.product((2, 1, 3), ("before", "after")):
            kills += killed(url, tmp_path, which, number, side)
        assert not killed(url, tmp_path, which, 99, "before")
        store = opened(url, tmp_path)
        found, events = told(store)
        assert found == dict.fromkeys(kinds, status)
        assert set(events.values()) == {1}, "each was said once"
        assert len(events) == len(kinds) * (1 if status == "firing" else 2)
    assert kills >= 6
    store.close()
