"""Log lines at a plane: each once and in order whatever fails, and a mark wherever some were left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hub.errors import TransientError
from hub.events import LEVELS, allows
from hub.runtime.commands import Command, apply
from hub.store import open_store, runs, sending
from hub.store.tables import Event
from hub.types import new_id
from sqlalchemy import select

from hub_hybrid import lines as module
from hub_hybrid import loglines
from hub_hybrid.agent import SessionLost
from hub_hybrid.lines import Lines

from .world import LOGS, SCOPE, PlaneEnd, SiteEnd, copy_of, put_back

EVENTS = Event.__table__  # type: ignore[attr-defined]


def opened(site: SiteEnd, plane: PlaneEnd, level: str = "logs", limit: int = 1_000_000) -> tuple[str, Lines]:
    if plane.name not in site.links():
        site.connect(plane)
    site.policy(plane.name, level)
    run = new_id()
    site.create(run)
    site.stamp()
    agent = site.agent(plane)
    agent.open()
    while agent.push():
        pass
    return run, Lines(site.store, site.link(plane.name)["id"], agent, limit)


def sent(lines: Lines) -> None:
    while lines.step():
        pass


def texts(plane: PlaneEnd) -> list[str]:
    return [line["message"] for line in plane.lines()]


@pytest.mark.parametrize("level", LEVELS)
def test_lines_arrive_in_order_where_the_policy_lets_them_out(site: SiteEnd, plane: PlaneEnd, level: str) -> None:
    run, lines = opened(site, plane, level)
    site.log(run, "one", "two")
    sent(lines)
    site.log(run, "three")
    sent(lines)
    assert texts(plane) == (["one", "two", "three"] if allows(level, "logs") else [])


def test_what_was_written_under_a_stricter_policy_stays(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane, "logs")
    site.log(run, "one")
    site.policy("cloud", "errors")
    site.log(run, "two")
    sent(lines)
    site.policy("cloud", "params")
    site.log(run, "three")
    sent(lines)
    assert texts(plane) == ["three"]


def test_a_lost_answer_and_a_new_session_repeat_no_line(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    site.log(run, "one", "two")
    plane.network.fates = ["answer_lost"]
    with pytest.raises(TransientError):
        lines.step()
    site.log(run, "three")
    _, again = opened(site, plane)
    with pytest.raises(SessionLost):
        sent(lines)
    sent(again)
    assert texts(plane) == ["one", "two", "three"]


def test_a_plane_restored_from_a_backup_gets_again_what_it_lost(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    site.log(run, "one")
    sent(lines)
    backup = copy_of(plane.store)
    site.log(run, "two")
    sent(lines)
    put_back(plane.store, backup)
    site.log(run, "three")
    with pytest.raises(SessionLost):
        sent(lines)
    _, again = opened(site, plane)
    sent(again)
    assert texts(plane) == ["one", "two", "three"]


def test_a_site_restored_from_a_backup_goes_on_with_other_lines(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    site.log(run, "one")
    sent(lines)
    backup = copy_of(site.store)
    site.advance(run)
    site.log(run, "lost in the restore")
    sent(lines)
    site.stamp()
    site.agents["cloud"].push()
    put_back(site.store, backup)
    _, again = opened(site, plane)
    site.log(run, "another")
    sent(again)
    assert sorted(texts(plane)) == ["another", "lost in the restore", "one"]


def test_a_backlog_is_shed_with_a_mark_that_counts_what_is_missing(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane, limit=100)
    site.log(run, *(f"line {number}" for number in range(150)))
    assert lines.step()
    plane.network.fates = ["answer_lost"]
    with pytest.raises(TransientError):
        lines.step()
    sent(lines)
    kept, mark = texts(plane), plane.lines()[0]
    assert (mark["logger"], mark["message"]) == (loglines.GAP, "86 lines are missing here (backlog)")
    assert kept[1:] == [f"line {number}" for number in range(86, 150)]
    with site.store.read() as tx:
        (gap,) = tx.conn.execute(select(EVENTS.c.body).where(EVENTS.c.type == "hub.link.gap")).scalars()
    assert (gap["count"], gap["bytes"], gap["cause"]) == (86, sum(len(f"line {n}") for n in range(86)), "backlog")
    assert gap["last"] == mark["id"] == plane.lines()[1]["id"] - 1
    with plane.store.read() as tx:
        shown = loglines.listing(tx, SCOPE, plane.site_row, run, level=0, limit=10, cursor=None)
    assert [row["message"] for row in shown.items[:2]] == [mark["message"], "line 86"]


def test_lines_that_retention_took_first_are_told_as_missing(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    site.log(run, *(f"line {number}" for number in range(10)))
    with site.store.write() as tx:
        tx.conn.execute(LOGS.delete().where(LOGS.c.message.in_(["line 0", "line 4", "line 5"])))
    sent(lines)
    found = texts(plane)
    assert found[0] == "1 line is missing here (missing)"
    assert found[4] == "2 lines are missing here (missing)"
    assert [text for text in found if text.startswith("line")] == [f"line {n}" for n in (1, 2, 3, 6, 7, 8, 9)]


def test_ids_that_begin_anew_are_other_lines(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    site.log(run, "one", "two")
    sent(lines)
    with site.store.write() as tx:
        tx.conn.execute(LOGS.delete())
    sent(lines)
    site.log(run, "three")
    sent(lines)
    assert sorted(texts(plane)) == ["one", "three", "two"]


def test_a_run_that_lets_out_less_keeps_its_lines(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    quiet = new_id()
    with site.store.write() as tx:
        runs.create(tx, SCOPE, {"id": quiet, "name": "q", "flow_name": "q", "export": "errors"})
    site.log(quiet, "hush")
    site.log(run, "loud")
    sent(lines)
    assert texts(plane) == ["loud"]


def test_a_secret_that_the_site_keeps_does_not_leave_in_a_line(site: SiteEnd, plane: PlaneEnd) -> None:
    run, lines = opened(site, plane)
    apply(site.store, Command("secret.set", SCOPE, "s", {"name": "s", "value": "hunter22"}))
    site.log(run, "it is hunter22")
    sent(lines)
    assert texts(plane) == ["it is ***"]


@pytest.fixture
def slow(request: pytest.FixtureRequest) -> Iterator[SiteEnd]:
    store = open_store(request.getfixturevalue("postgres_url"))
    store.migrate()
    yield SiteEnd(store)
    store.close()


def test_a_line_that_is_committed_after_later_ones_is_waited_for(
    slow: SiteEnd, plane: PlaneEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, lines = opened(slow, plane)
    written, go = threading.Event(), threading.Event()

    def late() -> None:
        with slow.store.write() as tx:
            row: dict[str, Any] = {"workspace_id": SCOPE.workspace_id, "run_id": run, "at": tx.now, "attempt": 1}
            tx.insert(LOGS, {**row, "logger": "x", "level": 20, "message": "late"})
            sending.flush(tx)
            written.set()
            assert go.wait(30)

    thread = threading.Thread(target=late)
    thread.start()
    assert written.wait(30)
    slow.log(run, "early")
    assert not lines.step(), "a hole is waited for"
    go.set()
    thread.join()
    sent(lines)
    assert texts(plane) == ["late", "early"]
    with slow.store.write() as tx:
        tx.conn.exec_driver_sql("SELECT nextval(pg_get_serial_sequence('logs', 'id'))")
    slow.log(run, "after one that was rolled back")
    assert not lines.step()
    monkeypatch.setattr(module, "HOLE_S", 0.0)
    sent(lines)
    assert texts(plane)[2:] == ["1 line is missing here (missing)", "after one that was rolled back"]
