"""Where flows are executed: plain calls and worker attempts, on each store that processes share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hub.engine.run import Dispatch
from hub.runtime import inline
from hub.runtime.attempt import execute_attempt
from hub.runtime.orchestrator import handle
from hub.settings import Settings, load_settings
from hub.store import Store, attempts, run_details, runs
from hub.types import Scope, new_id
from sqlalchemy import select
from tests.resultstores import results_table as results_table
from tests.resultstores import s3_endpoint as s3_endpoint

SCOPE = Scope()


@dataclass
class Plane:
    """A store, and what a test asks of it."""

    store: Store
    settings: Settings
    folder: Path

    def file(self, text: str, name: str = "flows.py") -> Path:
        path = self.folder / name
        path.write_text("from hub import *\nfrom pathlib import Path\nimport asyncio, os, sys, time\n" + text)
        return path

    def run(self, entrypoint: str, parameters: dict[str, Any] | None = None, **more: Any) -> str:
        row = {"id": new_id(), "name": "a-run", "flow_name": "f", "entrypoint": entrypoint, **more}
        with self.store.write() as tx:
            runs.create(tx, SCOPE, {**row, "parameters": parameters or {}})
        return str(row["id"])

    def attempt(self, run_id: str) -> bool:
        """Dispatch the run and execute its attempt here, as a worker's child would."""
        number = handle(self.store, SCOPE, run_id, Dispatch(new_id())).attempt
        return execute_attempt(self.store, self.settings, attempts.attempt_id(run_id, number), 1)

    def execute(self, entrypoint: str, parameters: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        run_id = self.run(entrypoint, parameters, **more)
        self.attempt(run_id)
        return self.row(run_id)

    def row(self, run_id: str) -> dict[str, Any]:
        with self.store.read() as tx:
            found = runs.row(tx, SCOPE, run_id)
        assert found is not None
        return found

    def only(self, flow_name: str | None = None) -> dict[str, Any]:
        """The one run there is (of that flow)."""
        found = self.rows(flow_name)
        assert len(found) == 1, found
        return found[0]

    def rows(self, flow_name: str | None = None) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            rows = tx.conn.execute(select(runs.TABLE).order_by(runs.TABLE.c.id)).mappings()
            return [dict(row) for row in rows if flow_name in (None, row["flow_name"])]

    def tasks(self, run_id: str | None = None) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            query = select(run_details.TASKS).order_by(run_details.TASKS.c.id)
            rows = [dict(row) for row in tx.conn.execute(query).mappings()]
        return [row for row in rows if run_id in (None, row["run_id"])]

    def history(self, run_id: str, task_run_id: str | None = None) -> list[str]:
        with self.store.read() as tx:
            return [row["name"] for row in runs.history(tx, SCOPE, run_id, task_run_id=task_run_id)]

    def logs(self) -> list[tuple[str, str]]:
        with self.store.read() as tx:
            query = select(run_details.LOGS).order_by(run_details.LOGS.c.id)
            return [(row["logger"], row["message"]) for row in tx.conn.execute(query).mappings()]


@pytest.fixture
def quick_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases are renewed often, so that a cancel that nobody signals is soon noticed. Comes before `plane`."""
    monkeypatch.setenv("HUB_LEASE_RENEW", "0.5")


@pytest.fixture(params=["sqlite", "postgresql"])
def plane(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plane]:
    """Plain calls of flows and worker attempts alike use this store."""
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            monkeypatch.setenv("HUB_DATABASE_URL", request.getfixturevalue("postgres_url"))
        home = inline.home()
        assert home.store is not None
        stack.callback(inline.forget)
        yield Plane(home.store, load_settings(), tmp_path)
