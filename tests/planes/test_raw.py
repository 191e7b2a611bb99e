"""Statements as plain text for the driver, on every store."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub.states import StateType
from hub.store import Store, open_store, raw, sending
from hub.store.tables import Leader, RunRow, SiteValue

LEADERS = Leader.__table__  # type: ignore[attr-defined]
VALUES = SiteValue.__table__  # type: ignore[attr-defined]
RUNS = RunRow.__table__  # type: ignore[attr-defined]
NAMES = raw.names_of(LEADERS)
ROW = {"name": "a", "holder": "x", "fence": 1, "lease_until": 5}


def test_rows_are_inserted_changed_and_read_back(store: Store) -> None:
    with store.write() as tx:
        assert raw.insert(tx, LEADERS, ROW)
        assert not raw.insert(tx, LEADERS, ROW, suffix=raw.IGNORE)
        assert raw.change(tx, LEADERS, {"fence": 2}, {"name": "a"}, guard="lease_until = 5") == 1
        assert raw.change(tx, LEADERS, {"fence": 3}, {"name": "a"}, guard="lease_until = 6") == 0
        assert raw.change_one(tx, LEADERS, {"holder": "y"}, {"fence": 2}, returning=("name", "fence")) == {
            "name": "a",
            "fence": 2,
        }
        assert raw.change_one(tx, LEADERS, {"holder": "z"}, {"fence": 9}, returning=("name",)) is None
    with store.read() as tx:
        assert raw.select_one(tx, LEADERS, NAMES, {"name": "a"}) == {**ROW, "holder": "y", "fence": 2}
        assert raw.select_one(tx, LEADERS, NAMES, {"name": "b"}) is None
        found = raw.select_rows(tx, LEADERS, NAMES, {"holder": "y"}, guard="fence > ?", also=(1,), tail="ORDER BY name")
        assert [row["name"] for row in found] == ["a"]


def test_documents_and_states_go_in_and_come_out_as_python_values(store: Store) -> None:
    with store.write() as tx:
        tx.upsert(VALUES, {"name": "v", "value": {"n": [1, None, "é"]}}, keys=["name"])
        tx.upsert(VALUES, {"name": "v", "value": None}, keys=["name"])
        tx.upsert(VALUES, {"name": "w", "value": {"n": [1, None, "é"]}}, keys=["name"])
    with store.read() as tx:
        assert raw.select_one(tx, VALUES, ("value",), {"name": "v"}) == {"value": None}
        assert raw.select_one(tx, VALUES, ("value",), {"name": "w"}) == {"value": {"n": [1, None, "é"]}}


def test_columns_that_are_left_out_get_their_defaults(store: Store) -> None:
    times = {"created_at": 1, "due_at": 1, "updated_at": 1}
    with store.write() as tx:
        run = {"id": "r", "workspace_id": "w", "state_type": StateType.SCHEDULED, **times}
        assert raw.insert(tx, RUNS, run)
    with store.read() as tx:
        row = raw.select_one(tx, RUNS, raw.names_of(RUNS), {"id": "r"})
    assert row is not None
    assert (row["queue"], row["tags"], row["crash_retries"], row["state_type"]) == ("default", [], 2, "SCHEDULED")


def test_what_belongs_together_is_made_at_the_end_of_the_block(store: Store) -> None:
    with store.write() as tx:
        with sending.together(tx):
            raw.insert(tx, LEADERS, ROW)
            tx.upsert(VALUES, {"name": "v", "value": 1}, keys=["name"])
        with sending.together(tx):
            raw.change(tx, LEADERS, {"fence": 7}, {"name": "a"})
    with store.read() as tx:
        assert raw.select_one(tx, LEADERS, ("fence",), {"name": "a"}) == {"fence": 7}
        assert raw.select_one(tx, VALUES, ("value",), {"name": "v"}) == {"value": 1}


def broken_off(store: Store) -> None:
    with store.write() as tx, sending.together(tx):
        raw.insert(tx, LEADERS, ROW)
        raise ZeroDivisionError


def test_a_block_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        broken_off(store)
    with store.read() as tx:
        assert raw.select_one(tx, LEADERS, NAMES, {"name": "a"}) is None


def test_a_pinned_connection_answers_one_statement_at_a_time(store: Store) -> None:
    pinned = store.pin()
    try:
        marks = ", ".join([raw.mark(store.dialect)] * 4)
        text = f"INSERT INTO leaders (name, holder, fence, lease_until) VALUES ({marks})"
        assert pinned.ask(f"{text} RETURNING fence", ("a", "x", 4, 5)) == (4,)
        with store.read() as tx:
            assert raw.select_one(tx, LEADERS, ("fence",), {"name": "a"}) == {"fence": 4}
    finally:
        pinned.close()


def test_what_nobody_looks_at_goes_with_what_is_asked_and_in_order(store: Store) -> None:
    with store.write() as tx:
        raw.insert(tx, LEADERS, ROW)
        raw.put(tx, LEADERS, {"fence": 2}, {"name": "a"})
        tx.insert_missing(LEADERS, {**ROW, "fence": 9})
        asked = raw.ask_rows(tx, LEADERS, ("fence",), {"name": "a"})
        raw.put(tx, LEADERS, {"fence": 3}, {"name": "a"})
        later = raw.ask_rows(tx, LEADERS, ("fence",), {"name": "a"})
        assert tx.conn.execute(LEADERS.select()).mappings().one()["fence"] == 3
        assert (asked.all(), later.all()) == ([{"fence": 2}], [{"fence": 3}])


def doubled(store: Store) -> None:
    with store.write() as tx:
        raw.insert(tx, VALUES, {"name": "v", "value": 1})
        raw.insert(tx, LEADERS, ROW)
        raw.insert(tx, LEADERS, ROW)


def test_an_error_comes_up_at_the_commit_at_the_latest_and_undoes_all(store: Store) -> None:
    with pytest.raises(Exception, match=r"(?i)unique"):
        doubled(store)
    with store.write() as tx:  # on whatever connection: it is a sound one
        assert raw.select_rows(tx, LEADERS, NAMES, {"name": "a"}) == []
        raw.insert(tx, LEADERS, ROW)
    with store.read() as tx:
        assert raw.select_one(tx, VALUES, ("value",), {"name": "v"}) is None
        assert raw.select_one(tx, LEADERS, ("fence",), {"name": "a"}) == {"fence": 1}


def test_new_rows_are_told_from_known_ones(store: Store) -> None:
    with store.write() as tx:
        raw.insert(tx, LEADERS, {**ROW, "name": "n3"})
        rows = [{**ROW, "name": f"n{number}"} for number in range(11)]
        new = raw.insert_new(tx, LEADERS, rows, ("name",))
        assert new == {(row["name"],) for row in rows} - {("n3",)}


def test_a_store_tells_whoever_asks_of_its_own_wake_ups_at_once_and_not_twice(store: Store) -> None:
    heard: list[frozenset[str]] = []
    listener, usual = store.listen("runs", "stamp", own=heard.append), store.listen("runs")
    try:
        with store.write() as tx:
            tx.wake("runs")
            tx.wake("logs")
            assert heard == []
        assert heard == [{"runs"}]
        assert usual.wait(5.0) == {"runs"}
        assert listener.wait(0.3) == frozenset()
        store.wake(["stamp"])  # by hand: as anybody's
        assert listener.wait(5.0) == {"stamp"}
        assert heard == [{"runs"}]
    finally:
        listener.close()
        usual.close()
    with store.write() as tx:
        tx.wake("runs")
    assert heard == [{"runs"}]


def test_others_are_heard_as_ever(store: Store, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if "memory" in request.node.name:
        pytest.skip("in memory there are no others")
    sqlite = store.dialect == "sqlite"
    other = open_store(f"sqlite:///{tmp_path}/store/hub.db" if sqlite else request.getfixturevalue("postgres_url"))
    listener = store.listen("runs", own=lambda _: pytest.fail("it was somebody else"))
    try:
        with other.write() as tx:
            tx.wake("runs")
        assert listener.wait(5.0) == {"runs"}
    finally:
        listener.close()
        other.close()


def broken_question(store: Store, text: str) -> None:
    with store.read() as tx:
        raw.execute(tx, "SELECT nothing_known()")
        raw.fetch(tx, text, (1,))


def test_a_question_that_fails_leaves_no_connection_behind_that_fails_others(store: Store) -> None:
    """The third time psycopg would have it prepared, of which the server, in a broken pipeline, knows nothing."""
    text = "SELECT name FROM leaders WHERE fence = ?"
    for _ in range(3):
        with store.read() as tx:
            raw.fetch(tx, text, (1,))
    with pytest.raises(Exception, match="nothing_known"):
        broken_question(store, text)
    for _ in range(3):
        with store.read() as tx:
            assert raw.fetch(tx, text, (1,)) == []
