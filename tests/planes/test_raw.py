"""Statements as plain text for the driver, on every store."""

from __future__ import annotations

import pytest
from hub.states import StateType
from hub.store import Store, raw
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
        with raw.together(tx):
            raw.insert(tx, LEADERS, ROW)
            tx.upsert(VALUES, {"name": "v", "value": 1}, keys=["name"])
        with raw.together(tx):
            raw.change(tx, LEADERS, {"fence": 7}, {"name": "a"})
    with store.read() as tx:
        assert raw.select_one(tx, LEADERS, ("fence",), {"name": "a"}) == {"fence": 7}
        assert raw.select_one(tx, VALUES, ("value",), {"name": "v"}) == {"value": 1}


def broken_off(store: Store) -> None:
    with store.write() as tx, raw.together(tx):
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
