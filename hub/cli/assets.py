"""`hub assets`: what tasks make outside, when, and from what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, Limit
from hub.errors import NotFoundError

if TYPE_CHECKING:
    from hub.client import Client

app = App(name="assets", help="What tasks make outside, when, and from what.")

COLUMNS = (
    Column("ASSET", "key"),
    Column("STATE", lambda row: _state(row["state"]), "state"),
    Column("WHEN", "at", "time"),
    Column("FLOW", "flow_name"),
    Column("TASK", "task_name"),
    Column("RUN", "run_id", "id"),
)
DETAIL = (
    Column("Asset", "key"),
    Column("State", lambda row: _state(row["state"]), "state"),
    Column("When", "at", "time"),
    Column("Flow", "flow_name"),
    Column("Task", "task_name"),
    Column("Run", "run_id", "id"),
    Column("Error", "error"),
    Column("Metadata", "metadata"),
    Column("Made from", lambda row: [near["key"] for near in row["upstream"]], "list"),
    Column("Goes into", lambda row: [near["key"] for near in row["downstream"]], "list"),
    Column("Id", "id", "id"),
)
HISTORY = (
    Column("WHEN", "at", "time"),
    Column("STATE", lambda row: _state(row["state"]), "state"),
    Column("RUN", "run_id", "id"),
    Column("TASK", "task_name"),
    Column("METADATA", lambda row: row["error"] or row["metadata"]),
)
_STATES = {"materialized": "materialized|COMPLETED", "failed": "failed|FAILED"}


@app.command
def ls(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List assets with their newest tries."""
    with connect() as client:
        found = list(client.items("/assets", limit=limit))
    output.table(found, COLUMNS, as_json=as_json, empty='No assets. Tasks make them: @materialize("s3://lake/orders")')


@app.command
def show(
    which: Annotated[str, Parameter(help="The asset's key or its id.")],
    *,
    limit: Annotated[int, Parameter(name=("--limit", "-n"), help="So many of its last materializations.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show an asset: what it was made from, what was made from it, and its last materializations."""
    with connect() as client:
        asset_id = _id_of(client, which)
        found = client.get(path("assets", asset_id))
        history = list(client.items(path("assets", asset_id, "materializations"), limit=limit))
    if as_json:
        output.print_json({**found, "materializations": history})
        return
    output.detail(found, DETAIL, as_json=False)
    print()
    output.table(history, HISTORY, as_json=False, empty="No task has made it yet.")


def _id_of(client: Client, which: str) -> str:
    if "://" not in which:
        return which
    found = list(client.items("/assets", {"key": which}, limit=1))
    if not found:
        raise NotFoundError(f"there is no asset {which!r}", hint="`hub assets ls` lists them.")
    return str(found[0]["id"])


def _state(state: Any) -> str:
    return _STATES.get(str(state), "known|")
