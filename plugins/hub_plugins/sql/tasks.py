"""What a flow does with a database. What changes something does it once, however often its task is tried.

A change and the note that it was made are one transaction: the table `hub_done` of the same database holds a row for
each call. So a try whose commit went through, but whose answer was lost, is found by the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from hub import connection, runtime_context, task
from hub.errors import UsageError

from hub_plugins.sql.settings import Sql

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

Mode = Literal["append", "replace", "upsert"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}(\.[A-Za-z_][A-Za-z0-9_$]{0,62})?")
_CHUNK = 1_000
_DONE = "hub_done"

_tried_again = partial(
    task, retries=4, retry_delay_seconds=(1, 5, 30, 120), retry_jitter_factor=0.5,
    retry_on=("infrastructure", "timeout"),
)  # fmt: skip


@_tried_again(name="sql-query")
def query(
    statement: str, parameters: Mapping[str, Any] | None = None, *, limit: int = 100_000, connection: str = "sql"
) -> list[dict[str, Any]]:
    """The rows of a statement, with `:name` for parameters. Raises SqlError; UsageError for more rows than `limit`."""
    from sqlalchemy import text  # noqa: PLC0415 - loaded with the first use

    with _begun(connection) as conn:
        found = conn.execute(text(statement), dict(parameters or {}))
        if not found.returns_rows:
            raise UsageError("the statement gives no rows", hint="Use `execute` for what changes something.")
        rows = [dict(row) for row in islice(found.mappings(), limit + 1)]
    if len(rows) > limit:
        raise UsageError(f"the statement gives more than {limit} rows", hint="Ask for fewer, or give a larger `limit`.")
    return rows


@_tried_again(name="sql-frame")
def frame(statement: str, parameters: Mapping[str, Any] | None = None, *, connection: str = "sql") -> Any:
    """The rows of a statement as a pandas DataFrame. Raises SqlError."""
    import pandas  # noqa: PLC0415 - only for who has it
    from sqlalchemy import text  # noqa: PLC0415

    with _begun(connection) as conn:
        return pandas.read_sql_query(text(statement), conn, params=dict(parameters or {}))


@_tried_again(name="sql-execute")
def execute(
    statement: str, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None, *, once: bool = True,
    connection: str = "sql",
) -> int:  # fmt: skip
    """Change something, with one set of parameters or many; gives how many rows. Raises SqlError.

    `once=False`: without a note in `hub_done`, for who may not create a table; a second try may then do it again.
    """
    from sqlalchemy import text  # noqa: PLC0415

    def change(conn: Connection) -> int:
        if parameters is None or isinstance(parameters, Mapping):
            return max(0, conn.execute(text(statement), dict(parameters or {})).rowcount)
        many = [dict(one) for one in parameters]
        return max(0, conn.execute(text(statement), many).rowcount) if many else 0

    with _begun(connection) as conn:
        return _once(conn, change) if once else change(conn)


@_tried_again(name="sql-load")
def load(
    rows: Any, table: str, mode: Mode = "append", keys: Sequence[str] = (), *, once: bool = True,
    connection: str = "sql",
) -> int:  # fmt: skip
    """Write rows (mappings, or a DataFrame of pandas or polars) to a table that is there, all or none; gives how many.

    `replace` empties the table first; `upsert` changes the rows that have the same `keys`, which must be unique in
    the table. Raises SqlError; UsageError when the rows do not fit the table.
    """
    if mode == "upsert" and not keys:
        raise UsageError("upsert needs to know by which columns rows are the same", hint="Give keys=[...].")

    def change(conn: Connection) -> int:
        target = _reflected(conn, table)
        if mode == "replace":
            conn.execute(target.delete())
        insert = _upsert(conn, target, keys) if mode == "upsert" else target.insert()
        count = 0
        for chunk in _chunks(_records(rows), target):
            conn.execute(insert, chunk)
            count += len(chunk)
        return count

    with _begun(connection) as conn:
        return _once(conn, change) if once else change(conn)


@_tried_again(name="sql-new-rows")
def new_rows(
    table: str, column: str, after: Any = None, *, limit: int = 1_000, connection: str = "sql"
) -> dict[str, Any]:
    """The rows whose `column` is beyond `after` (a number or a time that only grows), in its order.

    Gives `rows`, and `after` for the next look; keep it, in a variable say, when the rows are dealt with. Raises
    SqlError.
    """
    from sqlalchemy import select  # noqa: PLC0415

    with _begun(connection) as conn:
        target = _reflected(conn, table)
        if column not in target.c:
            raise UsageError(f"{table} has no column {column!r}", hint=f"It has {', '.join(target.c.keys())}.")
        asked = select(target).order_by(target.c[column]).limit(limit)
        asked = asked if after is None else asked.where(target.c[column] > after)
        rows = [dict(row) for row in conn.execute(asked).mappings()]
    return {"rows": rows, "after": rows[-1][column] if rows else after}


def _begun(name: str) -> Any:
    settings = connection(name).settings_as("sql", Sql)
    from hub_plugins.sql.databases import transaction  # noqa: PLC0415

    return transaction(settings)


def _once(conn: Connection, change: Any) -> int:
    """Change, and note it in the same transaction; what was noted before is not done again."""
    from sqlalchemy import BigInteger, Column, MetaData, String, Table, insert, select  # noqa: PLC0415

    context = runtime_context()
    if context is None or context.task_run_id is None:
        return int(change(conn))
    done = Table(_DONE, MetaData(), Column("step", String(36), primary_key=True), Column("count", BigInteger))
    if not _is_there(conn):
        _make(conn, done)
    elif context.attempt > 1 or context.task_attempt > 1:
        known = conn.execute(select(done.c.count).where(done.c.step == context.idempotency_key)).scalar()
        if known is not None:
            return int(known)
    count = int(change(conn))
    conn.execute(insert(done).values(step=context.idempotency_key, count=count))
    return count


def _make(conn: Connection, done: Table) -> None:
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    try:
        with conn.begin_nested():
            done.create(conn)
    except DBAPIError:
        if not _is_there(conn):  # else somebody else has made it at the same moment
            raise


def _is_there(conn: Connection) -> bool:
    from sqlalchemy import inspect  # noqa: PLC0415

    return bool(inspect(conn).has_table(_DONE))


def _reflected(conn: Connection, name: str) -> Table:
    from sqlalchemy import MetaData, Table, inspect  # noqa: PLC0415
    from sqlalchemy.exc import NoSuchTableError  # noqa: PLC0415

    if not _NAME.fullmatch(name):
        raise UsageError(f"{name[:100]!r} is no table", hint="Write NAME or SCHEMA.NAME.")
    schema, _, short = name.rpartition(".")
    try:
        return Table(short, MetaData(), schema=schema or None, autoload_with=conn)
    except NoSuchTableError:
        known = ", ".join(sorted(inspect(conn).get_table_names(schema=schema or None))[:20]) or "none"
        raise UsageError(f"there is no table {name}", hint=f"There are: {known}.") from None


def _upsert(conn: Connection, target: Table, keys: Sequence[str]) -> Any:
    strange = [key for key in keys if key not in target.c]
    if strange:
        raise UsageError(
            f"{target.name} has no column {', '.join(strange)}", hint=f"It has {', '.join(target.c.keys())}."
        )
    others = [name for name in target.c.keys() if name not in keys]  # noqa: SIM118 - a collection of columns, no dict
    if conn.dialect.name in ("mysql", "mariadb"):
        from sqlalchemy.dialects.mysql import insert as made  # noqa: PLC0415

        mysql = made(target)
        return mysql.on_duplicate_key_update({name: mysql.inserted[name] for name in others or keys})
    if conn.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415
    statement = insert(target)
    if not others:
        return statement.on_conflict_do_nothing(index_elements=list(keys))
    return statement.on_conflict_do_update(
        index_elements=list(keys), set_={name: statement.excluded[name] for name in others}
    )


def _records(rows: Any) -> Iterable[Mapping[str, Any]]:
    if hasattr(rows, "to_dicts"):  # polars
        found: Iterable[Mapping[str, Any]] = rows.to_dicts()
        return found
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # pandas, whose missing values are no None by themselves
        return (
            {name: None if value != value else value for name, value in record.items()}  # NaN, NaT
            for record in rows.to_dict("records")
        )
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise UsageError(f"a {type(rows).__name__} is no rows", hint="Give a list of dicts, or a DataFrame.")
    return rows


def _chunks(records: Iterable[Mapping[str, Any]], target: Table) -> Iterator[list[dict[str, Any]]]:
    """So many rows at a time, all with the columns of the first one."""
    names: tuple[str, ...] | None = None
    chunk: list[dict[str, Any]] = []
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise UsageError(f"row {number} is a {type(record).__name__}", hint="Rows are dicts: column -> value.")
        if names is None:
            names = tuple(record)
        if tuple(record) != names and set(record) != set(names):
            raise UsageError(f"row {number} has other columns than the first one: {sorted(set(record) ^ set(names))}")
        strange = [name for name in names if name not in target.c] if number == 0 else []
        if strange:
            told = ", ".join(map(str, strange))
            raise UsageError(f"{target.name} has no column {told}", hint=f"It has {', '.join(target.c.keys())}.")
        chunk.append(dict(record))
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
