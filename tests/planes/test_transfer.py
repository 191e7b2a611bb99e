"""A hub in another database: SQLite to PostgreSQL and back, cut off anywhere, and the same in the end."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.errors import ConflictError
from hub.runtime import transferring
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import Store, open_hub, stream, transfer
from hub.store.tables import Event, Leader, Log
from hub.testing.crashing import Killing
from hub.types import SECOND, Scope, new_id
from sqlalchemy import func, select

from .doors import make
from .test_inbox import keep

SCOPE = Scope()


def opened(home: Path, url: str = "") -> Store:
    store = open_hub(load_settings({"home": home, **({"database_url": url} if url else {})}, environ={}))
    store.migrate()
    return store


def fill(store: Store, lines: int = 700) -> None:
    """Something of many kinds: documents, bytes, numbers that the database gives, secrets, a chain of events."""
    source = make(store)
    for number in range(20):
        keep(store, source, delivery_id=f"d-{number}", body=b'{"a": "\\u0000\xc3\xa9"}')
    apply(store, Command("secret.set", SCOPE, args={"name": "TOKEN", "value": "sealed"}))
    apply(store, Command("variable.set", SCOPE, args={"name": "v", "value": {"b": [1.5, None, "é"], "a": {}}}))
    run_id, log = new_id(), Log.__table__  # type: ignore[attr-defined]
    with store.write() as tx:
        line = {"workspace_id": SCOPE.workspace_id, "run_id": run_id, "task_run_id": None, "attempt": 1, "at": tx.now,
                "level": 20, "logger": "run"}  # fmt: skip
        tx.insert(log, [{**line, "message": f"line {number}"} for number in range(lines)])
    with store.write() as tx:
        stream.stamp(tx)
        stream.site_id(tx)


@pytest.fixture
def there(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path / "home", postgres_url)
    yield store
    store.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Store]:
    store = opened(tmp_path / "home")
    fill(store)
    yield store
    store.close()


def moved(source: Store, target: Store, **more: Any) -> list[transferring.Moved]:
    return transferring.move(source, target, to="there", anew=False, tell=lambda *_: None, **more)


def test_everything_is_there_and_works_on_and_comes_back(here: Store, there: Store, tmp_path: Path) -> None:
    before = dict(transferring.plan(here))
    assert (before["logs"], before["receipts"]) == (700, 20)
    assert before["events"] >= 2
    found = moved(here, there)
    assert all(one.equal for one in found)
    assert {one.table: one.rows for one in found} == before
    for store, code in ((here, "moved"), (there, "")):
        if code:
            with pytest.raises(ConflictError, match="was moved to there at"):
                transfer.refuse_moved(store)
        else:
            transfer.refuse_moved(store)
    # Secrets open, and numbers that the database gives go on after those that came.
    with there.write() as tx:
        log = Log.__table__  # type: ignore[attr-defined]
        last = tx.conn.execute(select(func.max(log.c.id))).scalar()
        row = dict(tx.conn.execute(log.select().where(log.c.id == last)).mappings().one())
        del row["id"]
        tx.insert(log, {**row, "message": "after"})
        assert tx.conn.execute(select(func.max(log.c.id))).scalar() == (last or 0) + 1
    apply(there, Command("secret.set", SCOPE, args={"name": "SECOND", "value": "sealed"}))
    back = opened(tmp_path / "home", f"sqlite:///{tmp_path}/back.db")
    try:
        assert all(one.equal for one in moved(there, back))
        assert dict(transferring.plan(back))["logs"] == 701
        with back.read() as tx:
            table = Event.__table__  # type: ignore[attr-defined]
            seqs = list(
                tx.conn.execute(select(table.c.seq).where(table.c.seq.is_not(None)).order_by(table.c.seq)).scalars()
            )
        assert seqs == list(range(1, len(seqs) + 1))
    finally:
        back.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills forked children")
def test_it_is_cut_off_anywhere_and_goes_on(tmp_path: Path, postgres_url: str) -> None:
    home = tmp_path / "home"
    store = opened(home)
    fill(store, lines=1200)
    whole = dict(transferring.plan(store))
    store.close()
    kills = 0
    # Commits of the target, each in a process that goes on where the one before was killed.
    for number, side in itertools.product((1, 2, 3, 8, 15), ("before", "after")):
        child = os.fork()
        if child == 0:
            try:
                source, target = opened(home), opened(home, postgres_url)
                moved(source, Killing(target, number, side))  # type: ignore[arg-type]
            finally:
                os._exit(3)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        half = opened(home, postgres_url)
        if (number, side) != (1, "before"):
            with pytest.raises(ConflictError, match="not all of it is here"):
                transfer.refuse_moved(half)
        half.close()
    assert kills >= 8
    source, target = opened(home), opened(home, postgres_url)
    try:
        assert {one.table: one.rows for one in moved(source, target) if one.equal} == whole
        # Cut off between the last two marks: both are whole, and it is called once more.
        assert transferring.undo(source) == "there"
        assert all(one.equal for one in moved(source, target))
        with pytest.raises(ConflictError):
            transfer.refuse_moved(source)
    finally:
        source.close()
        target.close()


def test_what_is_not_empty_or_has_changed_is_refused(here: Store, there: Store) -> None:
    apply(there, Command("variable.set", SCOPE, args={"name": "other", "value": 1}))
    with pytest.raises(ConflictError, match=r"not empty: .*1 events"):
        moved(here, there)
    found = transferring.move(here, there, to="there", anew=True, tell=lambda *_: None)
    assert all(one.equal for one in found)
    transferring.undo(here)
    apply(here, Command("variable.set", SCOPE, args={"name": "later", "value": 1}))
    with pytest.raises(ConflictError, match=r"differ in .*variables"):
        moved(here, there)


def test_a_hub_that_runs_is_not_moved_and_one_that_has_ended_is_waited_for(here: Store) -> None:
    leader = Leader.__table__  # type: ignore[attr-defined]
    with here.write() as tx:
        tx.insert(leader, {"name": "upkeep", "holder": "host-1", "fence": 1, "lease_until": tx.now + 60 * SECOND})
    waits: list[float] = []

    def renewed(_: float) -> None:
        with here.write() as tx:
            tx.conn.execute(leader.update().values(lease_until=leader.c.lease_until + SECOND))

    with pytest.raises(ConflictError, match="host-1 works on this database"):
        transferring.wait_until_unused(here, waits.append, sleep=renewed)

    def over(_: float) -> None:
        with here.write() as tx:
            tx.conn.execute(leader.update().values(lease_until=0))

    transferring.wait_until_unused(here, waits.append, sleep=over)
    assert len(waits) == 2
    assert 50 < waits[0] <= 61
