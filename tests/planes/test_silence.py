"""The alarm of sources that nobody sends to any more, on every store."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hub.errors import UsageError
from hub.plugins import load_plugins
from hub.runtime.commands import register_given, registry
from hub.runtime.sequencer import Sequencer
from hub.runtime.silence import Silence
from hub.runtime.upkeep import core_loops
from hub.settings import Settings
from hub.store import Store, sources
from hub.store.tables import Alert, Event
from hub.types import SECOND, now_us
from tests.processes import shared_store

from .doors import EVENT, PUSH, Made, change, make, rows, serve, source_row
from .test_inbox import keep

HOUR = 3600
EVENTS = Event.__table__  # type: ignore[attr-defined]
ALERTS = Alert.__table__  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _alerts_plugin() -> None:
    register_given(load_plugins(Settings(plugins="only:notifications"), process="upkeep").hooks.commands())


@pytest.fixture
def watched(store: Store) -> Made:
    return make(store, alert_after_s=2 * HOUR)


def age(store: Store, source: Made, seconds: int) -> None:
    """Let time have passed since the source was last heard of."""
    where = sources.TABLE.c.id == source.id
    with store.write() as tx:
        tx.conn.execute(
            sources.TABLE.update().where(where).values(heard_at=sources.TABLE.c.heard_at - seconds * SECOND)
        )


def look(store: Store) -> None:
    """An upkeep process that has just started looks at all sources."""
    loop = Silence(store)
    while loop.step():
        pass


def told(store: Store) -> list[str]:
    """What the log of events says of silence."""
    query = EVENTS.select().where(EVENTS.c.type.in_(("hub.source.silent", "hub.source.heard"))).order_by(EVENTS.c.at)
    with store.read() as tx:
        return [row["type"].rpartition(".")[2] for row in tx.conn.execute(query).mappings()]


def alerts(store: Store) -> list[str]:
    with store.read() as tx:
        return [row["status"] for row in tx.conn.execute(ALERTS.select().order_by(ALERTS.c.id)).mappings()]


def test_silence_is_an_alarm_once_and_the_next_request_ends_it(store: Store, watched: Made) -> None:
    look(store)
    assert told(store) == []
    age(store, watched, 2 * HOUR)
    for _ in range(3):
        look(store)
    assert (told(store), alerts(store)) == (["silent"], ["firing"])
    row = source_row(store, watched.name)
    assert row["silent_at"] > row["heard_at"]
    keep(store, watched)
    for _ in range(3):
        look(store)
    assert (told(store), alerts(store)) == (["silent", "heard"], ["resolved"])
    assert source_row(store, watched.name)["silent_at"] is None
    age(store, watched, 3 * HOUR)
    with store.write() as tx:
        tx.conn.exec_driver_sql("DELETE FROM receipts")
    look(store)
    assert (told(store), alerts(store)) == (["silent", "heard", "silent"], ["resolved", "firing"])


def test_the_loop_that_saw_the_alarm_sees_the_request_that_ends_it(store: Store, watched: Made) -> None:
    age(store, watched, 2 * HOUR)
    loop = Silence(store)
    for _ in range(3):
        loop.step()
    keep(store, watched)
    loop.step()
    assert told(store) == ["silent", "heard"]


def test_only_what_was_accepted_and_no_replay_ends_a_silence(store: Store, watched: Made) -> None:
    age(store, watched, 3 * HOUR)
    old = keep(store, watched, received_at=now_us() - 4 * HOUR * SECOND)
    keep(store, watched, verdict="rejected", reason="no signature")
    keep(store, watched, verdict="handshake")
    change(store, "receipt.replay", old)
    look(store)
    assert told(store) == ["silent"]
    keep(store, watched, verdict="observed")
    look(store)
    assert told(store) == ["silent", "heard"]


def test_what_the_hub_had_taken_while_upkeep_was_away_is_no_silence(store: Store, watched: Made) -> None:
    age(store, watched, 5 * HOUR)
    at = now_us() - HOUR * SECOND
    keep(store, watched, received_at=at)
    look(store)
    assert told(store) == []
    assert source_row(store, watched.name)["heard_at"] == at


@pytest.mark.parametrize("how", ["pause", "disable", "delete", "off"])
def test_nobody_waits_for_a_source_that_rests(store: Store, watched: Made, how: str) -> None:
    other = make(store, name="other", alert_after_s=2 * HOUR)
    for source in (watched, other):
        age(store, source, 3 * HOUR)
    commands: dict[str, tuple[str, dict[str, Any]]] = {
        "pause": ("source.pause", {}), "disable": ("source.update", {"enabled": False}),
        "delete": ("source.delete", {}), "off": ("source.update", {"alert_after_s": 0}),
    }  # fmt: skip
    op, args = commands[how]
    change(store, op, watched.name, **args)
    look(store)
    assert told(store) == ["silent"], "only the other one is waited for"
    change(store, op, other.name, **args)
    look(store)
    assert (told(store), alerts(store)) == (["silent", "heard"], ["resolved"]), (
        "and its alarm is over when it rests, too"
    )


@pytest.mark.parametrize("how", ["pause", "disable", "longer"])
def test_silence_is_counted_anew_when_a_source_goes_on(store: Store, watched: Made, how: str) -> None:
    age(store, watched, 3 * HOUR)
    look(store)
    if how == "pause":
        change(store, "source.pause", watched.name)
        change(store, "source.resume", watched.name)
    elif how == "disable":
        change(store, "source.update", watched.name, enabled=False)
        change(store, "source.update", watched.name, enabled=True)
    else:
        change(store, "source.update", watched.name, alert_after_s=4 * HOUR)
    look(store)
    assert told(store) == ["silent", "heard"]
    age(store, watched, HOUR)
    look(store)
    assert told(store) == ["silent", "heard"]
    age(store, watched, 4 * HOUR)
    look(store)
    assert told(store) == ["silent", "heard", "silent"]


def test_several_upkeep_processes_tell_once(store: Store) -> None:
    made = [make(store, name=f"s{number}", alert_after_s=60) for number in range(120)]
    for source in made:
        age(store, source, 61)
    ready = threading.Barrier(4)

    def upkeep() -> None:
        ready.wait(20)
        look(store)

    threads = [threading.Thread(target=upkeep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    look(store)
    assert told(store) == ["silent"] * 120
    assert alerts(store) == ["firing"] * 120


def test_an_alarm_does_not_make_doors_look_again(store: Store, watched: Made) -> None:
    with serve(store) as door:
        assert door.knock(watched, PUSH, EVENT).status_code == 202
        before = source_row(store, watched.name)["updated_at"]
        age(store, watched, 3 * HOUR)
        with store.write() as tx:
            tx.conn.exec_driver_sql("DELETE FROM receipts")
        look(store)
        assert told(store) == ["silent"]
        assert source_row(store, watched.name)["updated_at"] == before
        assert door.knock(watched, PUSH, EVENT | {"X-GitHub-Delivery": "d-2"}).status_code == 202
    look(store)
    assert told(store) == ["silent", "heard"]


def test_without_the_plugin_of_alerts_the_events_tell(
    store: Store, watched: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alert.raise", "alert.resolve"):
        monkeypatch.delitem(registry._ops, name)
    age(store, watched, 3 * HOUR)
    look(store)
    keep(store, watched)
    look(store)
    assert (told(store), alerts(store)) == (["silent", "heard"], [])


def test_a_silence_of_less_than_a_minute_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="60 s at least"):
        make(store, alert_after_s=59)


KILLED = """
import os, signal
from hub.plugins import load_plugins
from hub.runtime import silence
from hub.runtime.commands import register_given
from hub.settings import load_settings
from hub.store import open_hub
settings = load_settings()
register_given(load_plugins(settings, process="upkeep").hooks.commands())
real = silence.apply_in
def killed(tx, command):
    real(tx, command)
    os.kill(os.getpid(), signal.SIGKILL)
silence.apply_in = killed
silence.Silence(open_hub(settings)).step()
"""


@pytest.mark.long("sqlite")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_between_alarm_and_commit_it_tells_once(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = shared_store(kind, request, monkeypatch, tmp_path)
    source = make(store, alert_after_s=HOUR)
    age(store, source, 2 * HOUR)
    for expected in (["silent"], ["silent", "heard"]):
        for _ in range(2):
            done = subprocess.run([sys.executable, "-c", KILLED], timeout=60, check=False, capture_output=True)
            assert done.returncode == -signal.SIGKILL, done.stderr
            assert told(store) == expected[:-1]
        look(store)
        assert told(store) == expected
        keep(store, source)
    assert alerts(store) == ["resolved"]
    assert len(rows(store)) == 2
    store.close()


def test_upkeep_does_look(store: Store) -> None:
    loaded = load_plugins(Settings(plugins="only:webhooks"), process="upkeep", store=store)
    sequencer = Sequencer(store)
    assert "silence" in {loop.name for loop in core_loops(loaded.context, sequencer)}
    sequencer.close()
