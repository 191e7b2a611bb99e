"""An upkeep process killed with SIGKILL between two portions of what follows webhooks: nothing is lost or doubled."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hub.runtime.commands import Command, apply
from hub.store import Store, inbox, receipts
from hub.store.tables import AutomationAction, Event, Firing, RunRow, Tick
from tests.planes import automating as a
from tests.planes.doors import SCOPE, make, rows
from tests.planes.test_inbox import again, keep
from tests.planes.test_scheduler import make_schedule
from tests.processes import shared_store, until, upkeep

pytestmark = pytest.mark.slow
MANY, RULES = 12, 2
_KILLED = """
import importlib, os, signal, sys
from hub.runtime import upkeep
from hub.settings import load_settings
from hub.store import portions, receipts
where = sys.argv[1]
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if where == "mend":
    receipts.mend = die
else:
    portions.HOLD_S = 0  # one item in each
    module = importlib.import_module(where)
    whole = module.in_portions
    def in_portions(store, items, write, **more):
        done = []
        def one(tx, some):
            if done: die()  # the first is committed, of the second nothing is written
            done.append(write(tx, some))
        whole(store, items, one, **more)
    module.in_portions = in_portions
sys.exit(upkeep.run(load_settings()))
"""


def all_of(store: Store, model: Any) -> list[dict[str, Any]]:
    with store.read() as tx:
        return [dict(row) for row in tx.conn.execute(model.__table__.select()).mappings()]


def pushes(store: Store) -> Counter[str]:
    """How many events each receipt has become."""
    return Counter(row["body"]["receipt_id"] for row in all_of(store, Event) if row["type"] == "github.push")


def killed(where: str) -> None:
    command = [sys.executable, "-c", _KILLED, where]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def _over(store: Store) -> bool:
    firings = all_of(store, Firing)
    acted = Counter(row["status"] for row in all_of(store, AutomationAction))
    return len(firings) == MANY * RULES and acted.get("pending", 0) == 0 and all(row["run_id"] for row in firings)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "where",
    ["hub.runtime.relay", "hub.runtime.automations", "hub.runtime.commands.apply", "hub.runtime.acting"],
    ids=["receipts", "firings", "runs", "what came of actions"],
)
def test_each_receipt_has_one_event_and_each_firing_one_run(
    kind: str, where: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = shared_store(kind, request, monkeypatch, tmp_path)
    apply(store, Command("queue.set", SCOPE, "", {"name": "waiting", "paused": True}))
    a.make_deployment(store, queue="waiting")
    do: list[dict[str, Any]] = [{"run_deployment": "ci"}]
    if where == "hub.runtime.acting":  # a run is noted where it is made, another action afterwards
        do.append({"pause_deployment": "ci"})
    rules = [a.automate(store, f"rule-{number}", types=["github.push"], do=do) for number in range(RULES)]
    source = make(store)
    kept = [keep(store, source, delivery_id=f"d-{number}") for number in range(MANY)]
    killed(where)
    if where == "hub.runtime.relay":
        assert len(pushes(store)) == 1
    elif where == "hub.runtime.commands.apply":
        assert len(all_of(store, RunRow)) == 1
        assert [row["status"] for row in all_of(store, AutomationAction)].count("done") == 1
    else:
        assert not _over(store)
    with upkeep():
        until(lambda: _over(store), 60)
    assert pushes(store) == dict.fromkeys(kept, 1)
    firings = all_of(store, Firing)
    assert Counter((row["automation_id"], row["outcome"]) for row in firings) == {
        (rule, "fired"): MANY for rule in rules
    }
    made = [row["id"] for row in all_of(store, RunRow)]
    assert len(made) == MANY * RULES
    assert sorted(row["run_id"] for row in firings) == sorted(made)
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_time_of_a_schedule_has_one_run(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = shared_store(kind, request, monkeypatch, tmp_path)
    made = [make_schedule(store, missed=0, step=3600) for _ in range(MANY)]
    killed("hub.runtime.scheduler")
    assert len(all_of(store, RunRow)) == 1
    with upkeep():
        until(lambda: len(all_of(store, Tick)) == MANY, 60)
    origins = Counter(row["origin_id"] for row in all_of(store, RunRow))
    assert origins == dict.fromkeys((row["id"] for row in made), 1)
    store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_replay_that_was_killed_while_it_mends_a_dead_letter_has_done_neither(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = shared_store(kind, request, monkeypatch, tmp_path)
    source = make(store)
    lost = keep(store, source)
    with store.write() as tx:
        receipts.settle(tx, lost, error="it could not be read")
    made = again(store, lost)["id"]

    def listed() -> list[str]:
        with store.read() as tx:
            return [row["id"] for row in inbox.search(tx, SCOPE, inbox.Wanted(failed=True)).items]

    killed("mend")
    assert listed() == [lost]
    assert rows(store, id=made)[0]["processed_at"] is None
    with upkeep():
        until(lambda: not listed(), 60)
    assert rows(store, id=lost)[0]["replayed_by"] == made
    assert pushes(store) == {made: 1}
    store.close()
