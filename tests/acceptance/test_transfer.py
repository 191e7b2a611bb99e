"""`hub transfer`: a hub that has worked on SQLite goes on with PostgreSQL, and does not start where it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from hub.store.tables import Tick
from sqlalchemy import select

from .conftest import Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def hub(site: Site, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub.cli", *words]
    return subprocess.run(command, env={**site.env, **env}, cwd=site.home.parent, capture_output=True, text=True)


def ticks(site: Site) -> list[int]:
    with site.store.read() as tx:
        table = Tick.__table__  # type: ignore[attr-defined]
        return list(tx.conn.execute(select(table.c.planned_at).order_by(table.c.planned_at)).scalars())


def test_a_hub_moves_to_postgresql_with_its_history_and_goes_on_there(site: Site, postgres_url: str) -> None:
    started = site.up()
    site.deploy("quick")
    first = site.run("quick", "a")
    site.wait_ended([first])
    made = hub(site, "schedules", "create", "quick", "--interval", "1", "-p", f"folder={site.folder}", "-p", "key=b")
    assert made.returncode == 0, made.stderr
    wait_until(lambda: len(ticks(site)) >= 3)
    refused = hub(site, "transfer", postgres_url, "--yes")
    assert refused.returncode == 4
    assert "already running" in refused.stderr
    assert site.stop(started, signal.SIGTERM) == 0
    planned = json.loads(hub(site, "transfer", postgres_url, "--dry-run", "--json").stdout)
    done = hub(site, "transfer", postgres_url, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    moved = json.loads(done.stdout)
    assert all(row["equal"] for row in moved)
    # A hub that had no name for planes gets one: it is the same hub there.
    counts, expected = ({row["table"]: row["rows"] for row in rows} for rows in (moved, planned))
    assert counts == expected | {"site_values": counts["site_values"]}
    before = ticks(site)
    again = hub(site, "up")
    assert again.returncode == 4
    assert "was moved to postgresql://" in again.stderr
    assert "Set HUB_DATABASE_URL to that" in again.stderr
    site.reconnect()
    site.env["HUB_DATABASE_URL"] = postgres_url
    second = site.up()
    assert site.row(first)["state_name"] == "Completed"
    wait_until(lambda: len(ticks(site)) > len(before) + 2)
    after = ticks(site)
    assert after[: len(before)] == before
    assert len(set(after)) == len(after)
    site.stop(second, signal.SIGTERM)
    assert hub(site, "transfer", "--undo", HUB_DATABASE_URL="").returncode == 0
    assert hub(site, "runs", "ls", HUB_DATABASE_URL="").returncode == 0
