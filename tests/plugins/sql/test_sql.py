"""What flows do with databases: on SQLite, PostgreSQL and MariaDB alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
import polars
import pytest
from hub import flow, task
from hub.errors import PermanentError, TransientError
from hub.plugins import load_plugins
from hub.settings import load_settings
from hub.testing import harness
from hub.testing.kit import Hub
from sqlalchemy import create_engine, make_url
from tests import databases
from tests.conftest import service
from tests.plugins.sql.servers import mariadb

from hub_plugins.sql import tasks as sql
from hub_plugins.sql.databases import SqlError
from hub_plugins.sql.plugin import check
from hub_plugins.sql.settings import Sql

CANARY = "canary-password-5512"


@dataclass
class Place:
    """A database, as a connection names it, and beside the plugin."""

    fields: dict[str, Any]
    settings: Sql

    def run(self, *statements: str) -> list[Any]:
        engine = create_engine(self.settings.url())
        with engine.begin() as conn:
            found = [conn.exec_driver_sql(one) for one in statements]
            rows = [tuple(row) for row in found[-1]] if found[-1].returns_rows else []
        engine.dispose()
        return rows


@pytest.fixture(scope="session")
def mariadb_port() -> Iterator[int]:
    with mariadb() as port:
        yield port


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        fields: dict[str, Any] = {"system": "sqlite", "database": str(tmp_path / "shop.db")}
        yield Place(fields, Sql(**fields))
    elif request.param == "postgresql":
        with databases.own(service("HUB_TEST_POSTGRES_URL")) as text:
            url = make_url(text)
            fields = {"host": url.host, "port": url.port or 5432, "user": url.username, "database": url.database}
            yield Place(fields, Sql(**fields))
    else:
        port = request.getfixturevalue("mariadb_port")
        fields = {"system": "mariadb", "port": port, "user": "root", "database": "test"}
        made = Place(fields, Sql(**fields))
        whole = Place({}, made.settings.model_copy(update={"database": "mysql"}))
        whole.run("DROP DATABASE IF EXISTS test", "CREATE DATABASE test")
        yield made


@pytest.fixture
def kit(place: Place) -> Iterator[Hub]:
    place.run("CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(50), price DOUBLE PRECISION)")
    with harness() as made:
        made.connect("sql", "sql", **place.fields)
        yield made


ROWS = [{"id": 1, "name": "tea", "price": 3.5}, {"id": 2, "name": "cake", "price": None}]


def test_rows_are_loaded_and_asked_for(kit: Hub, place: Place) -> None:
    @flow
    def whole() -> Any:
        assert sql.load(ROWS, "items") == 2
        assert sql.load([{"id": n, "name": f"n{n}", "price": n} for n in range(3, 2503)], "items") == 2500
        assert sql.execute("UPDATE items SET price = :p WHERE id = :i", [{"p": 1, "i": 3}, {"p": 2, "i": 4}]) in (2, -1)
        assert sql.execute("DELETE FROM items WHERE id > :n", {"n": 4}) == 2498
        return sql.query("SELECT * FROM items WHERE id < :n ORDER BY id", {"n": 4})

    assert whole() == [*ROWS, {"id": 3, "name": "n3", "price": 1.0}]
    assert place.run("SELECT COUNT(*) FROM hub_done") == [(4,)]


@pytest.mark.parametrize("make", [pandas.DataFrame, polars.DataFrame], ids=["pandas", "polars"])
def test_data_frames_go_in_and_come_out(kit: Hub, place: Place, make: Callable[[Any], Any]) -> None:
    @flow
    def whole() -> Any:
        sql.load.fn(make(ROWS), "items", once=False)
        return sql.frame.fn("SELECT id, price FROM items ORDER BY id")["price"].sum()

    assert whole() == 3.5
    assert place.run("SELECT price FROM items ORDER BY id") == [(3.5,), (None,)]


def test_replace_and_upsert(kit: Hub, place: Place) -> None:
    @flow
    def whole() -> None:
        sql.load(ROWS, "items")
        sql.load(
            [{"id": 2, "name": "cake", "price": 4}, {"id": 3, "name": "jam", "price": 2}], "items", "upsert", ["id"]
        )
        assert sql.query("SELECT price FROM items ORDER BY id") == [{"price": 3.5}, {"price": 4.0}, {"price": 2.0}]
        sql.load([{"id": 9, "name": "new", "price": 1}], "items", "replace")

    whole()
    assert place.run("SELECT id FROM items") == [(9,)]


def test_a_change_whose_answer_was_lost_is_not_made_again(kit: Hub, place: Place) -> None:
    """The task fails after its commit, as when the answer is lost: the next try finds the note and adds nothing."""
    tried: list[int] = []

    @task(retries=1)
    def added() -> int:
        count = sql.load.fn([{"id": 10 + len(tried), "name": "x", "price": 0}], "items")
        tried.append(count)
        if len(tried) == 1:
            raise SqlError("the connection was lost over the commit")
        return count

    @flow
    def whole() -> int:
        return added()

    assert whole() == 1
    assert (len(tried), place.run("SELECT id FROM items")) == (2, [(10,)])


def test_a_load_is_all_or_nothing(kit: Hub, place: Place) -> None:
    rows = [{"id": n % 1500, "name": "x", "price": 0} for n in range(1501)]

    @flow
    def whole() -> None:
        sql.load(rows, "items")

    with pytest.raises(SqlError, match=r"(?i)unique|duplicate"):
        whole()
    assert kit.run(whole).tasks[0].attempt == 1, "no try mends it"
    assert place.run("SELECT COUNT(*) FROM items") == [(0,)]


def test_what_is_new_is_read_from_where_the_last_look_ended(kit: Hub, place: Place) -> None:
    @flow
    def looked(after: int | None) -> Any:
        return sql.new_rows("items", "id", after, limit=2)

    place.run("INSERT INTO items VALUES (5, 'a', 0), (3, 'b', 0), (8, 'c', 0)")
    first = looked(None)
    assert ([row["id"] for row in first["rows"]], first["after"]) == ([3, 5], 5)
    second = looked(first["after"])
    assert ([row["id"] for row in second["rows"]], second["after"]) == ([8], 8)
    assert looked(8) == {"rows": [], "after": 8}


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no table": (lambda: sql.load(ROWS, "nothing"), "there is no table nothing"),
    "no name": (lambda: sql.load(ROWS, "items; DROP TABLE items"), "is no table"),
    "a strange column": (lambda: sql.load([{"id": 1, "colour": "red"}], "items"), "items has no column colour"),
    "rows that differ": (lambda: sql.load([{"id": 1}, {"id": 2, "name": "x"}], "items"), "row 1 has other columns"),
    "no rows": (lambda: sql.load("id,name", "items"), "a str is no rows"),
    "no dict": (lambda: sql.load([(1, "x")], "items"), "row 0 is a tuple"),
    "upsert without keys": (lambda: sql.load(ROWS, "items", "upsert"), "upsert needs to know"),
    "upsert by a strange key": (lambda: sql.load(ROWS, "items", "upsert", ["no"]), "items has no column no"),
    "wrong SQL": (lambda: sql.query("SELEC 1"), "SELEC"),
    "a parameter that is not given": (lambda: sql.query("SELECT :x"), "x"),
    "too many": (lambda: sql.query("SELECT 1 AS n UNION SELECT 2", limit=1), "more than 1 rows"),
    "a change": (lambda: sql.query("DELETE FROM items"), "gives no rows"),
    "no column to watch": (lambda: sql.new_rows("items", "no"), "items has no column 'no'"),
    "another kind": (lambda: sql.query("SELECT 1", connection="files"), "of the kind files, not sql"),
}


def test_what_cannot_work_says_why_at_once_and_changes_nothing(kit: Hub, place: Place) -> None:
    kit.connect("files", "files", path="/tmp")
    place.run("INSERT INTO items VALUES (1, 'a', 0)")

    @flow
    def fails(name: str) -> None:
        WRONG[name][0]()

    for name, (_, told) in WRONG.items():
        with pytest.raises(Exception) as caught:  # noqa: PT011 - what it says is looked at below
            fails(name)
        assert told in str(caught.value), name
        assert kit.runs(fails)[-1].tasks[0].attempt == 1, name
    assert place.run("SELECT id FROM items") == [(1,)]


def test_a_connection_is_checked(place: Place) -> None:
    assert check(place.settings).endswith(f"lets us into {place.settings.database}")
    if place.settings.system == "sqlite":
        with pytest.raises(PermanentError, match="unable to open"):
            check(Sql(system="sqlite", database="/nowhere/shop.db"))
        return
    with pytest.raises(TransientError) as away:
        check(place.settings.model_copy(update={"port": 9, "timeout": 2.0}))
    secret = Sql(**{**place.fields, "user": "nobody", "password": CANARY})
    with pytest.raises((PermanentError, TransientError)) as refused:
        check(secret)
    assert CANARY not in str(away.value) + str(refused.value) + repr(secret)


def test_the_plugin_brings_its_kind_and_its_actions() -> None:
    hooks = load_plugins(load_settings(), process="worker").hooks
    assert "sql" in {kind.name for kind in hooks.connection_kinds()}
    assert {"sql.query", "sql.execute", "sql.load", "sql.new_rows"} <= set(hooks.actions())
