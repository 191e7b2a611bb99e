"""A bulk replay killed with SIGKILL in the middle goes on with its request id, and nothing happens twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hub.store import Store, receipts
from hub.types import new_id
from sqlalchemy import func, select
from tests.processes import shared_store

from .doors import effects, make, rows
from .test_inbox import keep

MANY = 240


def replayed(store: Store) -> list[str]:
    """What was replayed, once for each time."""
    return [row["replay_of"] for row in rows(store) if row["replay_of"]]


def how_many(store: Store) -> int:
    """Counted by the store: to read them all takes longer than to replay some hundred."""
    query = select(func.count()).where(receipts.TABLE.c.replay_of.is_not(None))
    with store.read() as tx:
        return int(tx.conn.execute(query).scalar_one())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.long("sqlite")
def test_a_killed_replay_goes_on_without_doubles(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = shared_store(kind, request, monkeypatch, tmp_path)
    source = make(store)
    kept = [keep(store, source, delivery_id=f"d-{number}") for number in range(MANY)]
    words = ["webhooks", "replay", "--source", source.name, "--request", new_id(), "--yes"]
    command = [sys.executable, "-m", "hub.cli", *words]
    for kill in (1, 60, 140):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while how_many(store) < kill and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL, "it ended before it could be killed"
    assert 140 <= len(replayed(store)) < MANY
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "were replayed before" in done.stdout
    assert Counter(replayed(store)) == Counter(kept)
    assert len(effects(store)) == len(rows(store)) == 2 * MANY
    store.close()
