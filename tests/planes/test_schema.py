"""Bringing a database to this version's schema."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from hub.errors import UnavailableError
from hub.store import inbox, open_store, receipts, schema
from hub.store.tables import metadata
from hub.types import Scope, new_id
from sqlalchemy import create_engine, inspect


def test_the_head_is_that_of_the_scripts() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_a_database_of_a_newer_hub_is_refused(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/hub.db")
    store.migrate()
    store.migrate()
    with store.write() as tx:
        tx.conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnavailableError, match="9999"):
        store.migrate()
    store.close()


def test_eight_processes_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    code = f"from hub.store import open_store; s = open_store('sqlite:///{tmp_path}/hub.db'); s.migrate(); s.close()"
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(8)]
    assert [process.wait(60) for process in started] == [0] * 8


_KILLED_AT = """
import os, signal, sys
from hub.store import inbox, open_store, receipts, schema
from sqlalchemy import Engine, event, inspect
url, number, scripts = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "scripts"
if scripts:
    inspect_ = schema.inspect
    class Used:
        # As if the first table of an old database stood there: the migrations are run.
        def __init__(self, conn): self.has_table = inspect_(conn).has_table
        def get_table_names(self): return ["x"]
    schema.inspect = Used
@event.listens_for(Engine, "after_cursor_execute")
def count(conn, cursor, statement, *rest):
    global number
    number -= statement.startswith(("CREATE", "INSERT", "\\nCREATE"))
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
open_store(url).migrate()
"""


@pytest.mark.parametrize(
    ("dialect", "how", "statement"),
    [
        ("sqlite", "at once", 2),
        ("sqlite", "at once", 60),
        ("sqlite", "scripts", 30),
        ("postgresql", "at once", 30),
        ("postgresql", "scripts", 60),
    ],
)
def test_a_process_killed_while_it_makes_the_schema_leaves_none(
    request: pytest.FixtureRequest, tmp_path: Path, dialect: str, statement: int, how: str
) -> None:
    sqlite = dialect == "sqlite"
    url = f"sqlite:///{tmp_path}/hub.db" if sqlite else request.getfixturevalue("own_postgres_url")
    done = subprocess.run([sys.executable, "-c", _KILLED_AT, url, str(statement), how], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    store = open_store(url)
    store.migrate()
    with store.read() as tx:
        assert set(inspect(tx.conn).get_table_names()) == {*metadata.tables, "alembic_version"}
    store.close()


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_dead_letters_that_were_replayed_before_0049_are_not_listed_after_it(
    request: pytest.FixtureRequest, tmp_path: Path, dialect: str
) -> None:
    sqlite = dialect == "sqlite"
    url = f"sqlite:///{tmp_path}/hub.db" if sqlite else request.getfixturevalue("own_postgres_url")
    store = open_store(url)
    store.migrate()
    mended, tried, lost, good, bad, waits = (new_id() for _ in range(6))
    whose = {"workspace_id": Scope().workspace_id, "source_id": new_id(), "received_at": 1}
    failed, fine = {"processed_at": 2, "error": "no list"}, {"processed_at": 3}
    came = {mended: failed, tried: failed, lost: failed, good: {**fine, "replay_of": mended}}
    came |= {bad: {**failed, "replay_of": tried}, waits: {"replay_of": lost}}
    with store.write() as tx:
        receipts.insert(tx, [receipts.complete({**whose, **more, "id": id_}) for id_, more in came.items()])
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as conn:
        config = Config()
        config.set_main_option("script_location", str(schema.SCRIPTS))
        config.attributes["connection"] = conn
        command.downgrade(config, "0048")
    engine.dispose()
    store.migrate()
    with store.read() as tx:
        assert [row["id"] for row in inbox.search(tx, Scope(), inbox.Wanted(failed=True)).items] == [bad, lost, tried]
        (row,) = inbox.search(tx, Scope(), inbox.Wanted(mended=True)).items
    assert (row["id"], row["replayed_by"], row["replayed_at"]) == (mended, good, 3)
    store.close()
