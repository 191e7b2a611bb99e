"""A database of the oldest version that was released (schema 0003), a row in every table, becomes today's."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hub.store import open_store, schema
from hub.store.tables import metadata
from sqlalchemy import Column, Connection, MetaData, Row, Table, create_engine, inspect, select

DUMPS = Path(__file__).parent / "schema_0003"
NOW = 1_700_000_000_000_000
MEANT = {
    "state_type": "COMPLETED", "state_name": "Completed", "type": "COMPLETED", "state": "ENDED", "timezone": "UTC",
    "result_format": "json",
}  # fmt: skip
"""What the text of a column is where it is not any."""
MOVED = {("alerts", "occurrence"): "alert_occurrences"}
"""Columns that another table has now."""


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_oldest_database_becomes_a_new_one_and_keeps_its_rows(
    request: pytest.FixtureRequest, tmp_path: Path, dialect: str
) -> None:
    if dialect == "sqlite":
        urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("old", "new")]
    else:
        urls = [request.getfixturevalue("own_postgres_url"), request.getfixturevalue("postgres_url")]
    load(urls[0], (DUMPS / f"{dialect}.sql").read_text(), dialect)
    kept = fill(urls[0])
    for url in urls:
        store = open_store(url)
        store.migrate()
        store.close()
    old, new = (create_engine(driver(url)) for url in urls)
    with contextlib.ExitStack() as stack, old.connect() as was, new.connect() as fresh:
        stack.callback(old.dispose)
        stack.callback(new.dispose)
        assert described(was) == described(fresh)
        assert schema.revision(old) == schema.HEAD
        for table, row in kept.items():
            (found,) = [r._asdict() for r in was.execute(Table(table, MetaData(), autoload_with=old).select())]
            assert {name: found[name] for name in row if (table, name) not in MOVED} == {
                name: value for name, value in row.items() if (table, name) not in MOVED
            }, table
        for (table, name), place in MOVED.items():
            assert was.execute(select(metadata.tables[place].c[name])).scalars().all() == [kept[table][name]]
        for table in metadata.sorted_tables:
            if table.name in kept:
                (whole,) = was.execute(select(table))  # as this version reads it
                assert isinstance(whole, Row)


def load(url: str, dump: str, dialect: str) -> None:
    engine = create_engine(driver(url))
    raw: Any = engine.raw_connection()
    (raw.driver_connection.executescript if dialect == "sqlite" else raw.driver_connection.execute)(dump)
    raw.commit()
    raw.close()
    engine.dispose()


def fill(url: str) -> dict[str, dict[str, Any]]:
    """Put a row into every table; gives them."""
    engine, seen, rows = create_engine(driver(url)), MetaData(), dict[str, dict[str, Any]]()
    with engine.begin() as conn:
        seen.reflect(conn)
        for table in seen.sorted_tables:
            if table.name != "alembic_version":
                conn.execute(table.delete())  # it comes without rows; so that this is so in ten years
                rows[table.name] = {column.name: value(column) for column in table.columns}
                conn.execute(table.insert(), rows[table.name])
    engine.dispose()
    assert len(rows) > 30
    return rows


def value(column: Column[Any]) -> Any:
    kind = column.type.python_type
    if kind is str:
        today = metadata.tables.get(column.table.name)
        if today is not None and column.name in today.c and type(today.c[column.name].type).__name__ == "JsonText":
            return "{}"
        return MEANT.get(column.name, f"{column.name}"[:30])
    number = NOW if column.name.endswith(("at", "until")) else 7
    return {int: number, bool: True, bytes: b"sealed", float: 1.5}[kind]


def driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def described(conn: Connection) -> dict[str, Any]:
    """Every table as the database sees it. A column may keep the default that filled it in rows that were there."""
    seen = inspect(conn)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in seen.get_columns(table)},
            "key": seen.get_pk_constraint(table)["constrained_columns"],
            "options": seen.get_table_options(table),
            "unique": sorted(sorted(u["column_names"]) for u in seen.get_unique_constraints(table)),
            "indexes": {
                i["name"]: (i["column_names"], bool(i["unique"]), {k: str(v) for k, v in i["dialect_options"].items()})
                for i in seen.get_indexes(table)
            },
        }
        for table in sorted(seen.get_table_names())
    }
