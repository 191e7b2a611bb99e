"""Many alerts at once: no channel gets more than its rate, and nothing is left out. With real HTTP and real kills."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hub import types
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import Store, open_hub
from hub.types import SECOND, Scope

from hub_notifications import channels, firing, notices
from hub_notifications.deliver import Deliverer
from hub_notifications.plugin import hub_commands
from hub_notifications.router import Router
from hub_notifications.rules import AlertEvent

from .test_alerts import Slack

SCOPE = Scope()
ROUNDS = 10
FLOWS = 150


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


def add(store: Store, slack: Slack, **more: Any) -> str:
    args = {"name": "chat", "address": slack.address, **more}
    return str(apply(store, Command("channel.add", SCOPE, args=args)).result["id"])


def fail(store: Store, first: int, count: int, *, flows: int = FLOWS) -> None:
    """So many runs that failed, as the hook of their transitions writes them down."""
    with store.write() as tx:
        for number in range(first, first + count):
            flow = f"flow-{number % flows}"
            told = AlertEvent("firing", f"{flow}/", str(number), "run-failed", title=f"{flow} failed", text="x" * 2_000)
            assert firing.fire(tx, SCOPE, told)


def work(router: Router, deliverer: Deliverer) -> None:
    while router.step() or deliverer.step():
        pass


def memory() -> int:
    """What this process holds, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def sent(store: Store) -> list[dict[str, Any]]:
    """What was brought to the receiver: the documents of the messages."""
    joined = notices.DELIVERIES.join(
        notices.NOTIFICATIONS, notices.NOTIFICATIONS.c.id == notices.DELIVERIES.c.notification_id
    )
    with store.read() as tx:
        query = joined.select().where(notices.DELIVERIES.c.status == "sent")
        return [row["content"] for row in tx.conn.execute(query).mappings()]


@pytest.mark.long("sqlite-10000", "postgresql-10000", "memory-10000")
@pytest.mark.parametrize("failures", [1_000, 10_000])
def test_failures_of_five_minutes(store: Store, tmp_path: Path, failures: int) -> None:
    """Every failure is in some message, the first is told at once, and memory stays what it was."""
    settings = load_settings({"home": tmp_path}, environ={})
    slack = Slack()
    slack.start()
    before = types._ahead
    try:
        add(store, slack)
        router, deliverer = Router(store), Deliverer(store, settings)
        fail(store, 0, 1)
        began = time.monotonic()
        work(router, deliverer)
        assert len(slack.texts) == 1
        assert time.monotonic() - began < 5, "the first message, of a hub that is up"
        before_b = memory()
        for number in range(ROUNDS):
            fail(store, 1 + number * failures // ROUNDS, failures // ROUNDS - (number == ROUNDS - 1))
            work(router, deliverer)
            types.move_clock(300 // ROUNDS * SECOND)
        assert len(slack.texts) <= 10 + 30 * 5, "its burst, and its rate for five minutes"
        for _ in range(5):
            types.move_clock(120 * SECOND)
            work(router, deliverer)
        grown = memory() - before_b
    finally:
        types.move_clock(before - types._ahead)
        slack.stop()
    told = sent(store)
    assert len(told) == len(slack.texts)
    assert sum(content["counts"]["occurrences"] for content in told) == failures
    assert grown < 80_000_000
    assert any(content["reason"] == "digest" for content in told)


def test_a_bucket_lets_its_burst_go_and_then_its_rate() -> None:
    channel = {"rate": 60, "burst": 3, "free_at": 0}
    now = 1_000 * SECOND
    assert channels.room(channel, now) == (3, now)
    channel["free_at"] = channels.after(channel, now, 3)
    assert channels.room(channel, now) == (0, now + SECOND)
    assert channels.room(channel, now + SECOND)[0] == 1
    assert channels.room(channel, now + 2 * SECOND)[0] == 2
    assert channels.room(channel, now + 60 * SECOND)[0] == 3


_UPKEEP = """
import os, sys, time
from hub.settings import load_settings
from hub.store import open_hub
from hub_notifications.deliver import Deliverer
from hub_notifications.router import Router
import hub_notifications.deliver as deliver
import hub_notifications.router as routing
deliver._LEASE_S = routing.LEASE_S = 0.3
settings = load_settings()
for _ in sys.stdin:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    store = open_hub(settings)
    router, deliverer = Router(store), Deliverer(store, settings)
    print(os.getpid(), flush=True)
    while True:
        if not (router.step() or deliverer.step()):
            time.sleep(0.02)
"""
"""Upkeep as a process that is new each time, of one that has loaded everything and does nothing itself."""


class Upkeep:
    """Starts processes that do the work, one after the other."""

    def __init__(self, home: Path) -> None:
        env = {**os.environ, "HUB_HOME": str(home)}
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._server = subprocess.Popen([sys.executable, "-c", _UPKEEP], env=env, **pipes)

    def start(self) -> int:
        """A new one, once it is up; the one before must be dead. Its process id."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(b"next\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def stop(self) -> None:
        """End the process that starts them."""
        self._server.kill()
        self._server.communicate()


@pytest.mark.long("thirty")
@pytest.mark.parametrize("kills", [pytest.param(6, id="six"), pytest.param(30, id="thirty")])
def test_killed_again_and_again_while_it_delivers(tmp_path: Path, kills: int) -> None:
    """Each alert's state reaches the channel at least once; what is noted as brought was brought."""
    settings = load_settings({"home": tmp_path / "h"}, environ={})
    store = open_hub(settings)
    store.migrate()
    slack = Slack()
    slack.start()
    upkeep = Upkeep(tmp_path / "h")
    total = 0
    try:
        add(store, slack, rate=6_000, burst=1_000)
        for number in range(kills):
            # Each of a flow of its own: a further failure of one would be told after `group_interval`.
            fail(store, total, 20, flows=kills * 20)
            total += 20
            pid = upkeep.start()
            goal = len(slack.texts) + 1 + number % 7
            deadline = time.monotonic() + 30
            while len(slack.texts) < goal and time.monotonic() < deadline:
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
        pid = upkeep.start()
        deadline = time.monotonic() + 60
        while not _is_done(store, total) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        assert _is_done(store, total), json.dumps(_standing(store))
    finally:
        upkeep.stop()
        slack.stop()
        store.close()
    assert sum(content["counts"]["occurrences"] for content in sent(store)) == total
    named = {f"flow-{number}" for number in range(total)}
    assert all(any(f"*{name} failed" in text for text in slack.texts) for name in named)


def _standing(store: Store) -> dict[str, int]:
    with store.read() as tx:
        rows = [row.status for row in tx.conn.execute(notices.DELIVERIES.select())]
    return {status: rows.count(status) for status in set(rows)}


def _is_done(store: Store, total: int) -> bool:
    standing = _standing(store)
    return standing.get("sent", 0) > 0 and set(standing) <= {"sent", "merged"} and _told(store) == total


def _told(store: Store) -> int:
    return sum(content["counts"]["occurrences"] for content in sent(store))
