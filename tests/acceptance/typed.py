"""Examples and commands as somebody types them: `hub ...` in a process of its own, on a test's home."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub.store import run_details, runs
from hub.types import Id
from sqlalchemy import select
from tests.acceptance.conftest import Site

EXAMPLES = Path(__file__).parents[2] / "examples"


def hub(site: Site, *words: str, fails: bool = False) -> str:
    """Type `hub WORDS`; gives what it printed, of one that fails also its errors."""
    command = [sys.executable, "-m", "hub.cli", *words]
    done = subprocess.run(
        command, env=site.env, cwd=site.home.parent, capture_output=True, text=True, timeout=90, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (done.returncode != 0) == fails, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{site.logs()}"
    return done.stdout + (done.stderr if fails else "")


def given(parameters: dict[str, Any]) -> list[str]:
    """Parameters as words of a command."""
    return [word for name, value in parameters.items() for word in ("-p", f"{name}={_text(value)}")]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, Path) else json.dumps(value)


def run_example(site: Site, flow: str, **parameters: Any) -> Any:
    """`hub run examples/FLOW -p ...`: what it gave."""
    return json.loads(hub(site, "run", str(EXAMPLES / flow), "--json", *given(parameters)))["result"]


def rows(site: Site, flow_name: str | None = None) -> list[dict[str, Any]]:
    """The runs there are (of that flow), oldest first."""
    with site.store.read() as tx:
        found = [dict(row) for row in tx.conn.execute(select(runs.TABLE).order_by(runs.TABLE.c.id)).mappings()]
    return [row for row in found if flow_name in (None, row["flow_name"])]


def tasks(site: Site, run_id: Id) -> dict[str, str]:
    """The task runs of a run: name -> name of its state."""
    table = run_details.TASKS
    with site.store.read() as tx:
        query = select(table.c.name, table.c.state_name).where(table.c.run_id == run_id).order_by(table.c.id)
        return {row.name: row.state_name for row in tx.conn.execute(query)}


def logged(site: Site, run_id: Id) -> str:
    """Everything a run has written."""
    table = run_details.LOGS
    with site.store.read() as tx:
        query = select(table.c.message).where(table.c.run_id == run_id).order_by(table.c.id)
        return "\n".join(tx.conn.execute(query).scalars())
