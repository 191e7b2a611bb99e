"""Bringing a database to this version's schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from hub.errors import UnavailableError
from hub.store import open_store, schema


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
