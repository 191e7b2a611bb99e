"""`hub artifacts`: what runs left for people to read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from hub.cli import naming, output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, DryRun, Limit, Yes
from hub.errors import NotFoundError

if TYPE_CHECKING:
    from hub.client import Client

app = App(name="artifacts", help="Tables, texts, links, images and progress that runs left.")

COLUMNS = (
    Column("KEY", "key"),
    Column("KIND", "kind"),
    Column("DESCRIPTION", lambda row: _line(row["description"], 60)),
    Column("FLOW", "flow_name"),
    Column("TASK", "task_name"),
    Column("UPDATED", "updated_at", "time"),
    Column("ARTIFACT", "id", "id"),
)
DETAIL = (
    Column("Key", "key"),
    Column("Kind", "kind"),
    Column("Description", "description"),
    Column("Flow", "flow_name"),
    Column("Task", "task_name"),
    Column("Run", "run_id", "id"),
    Column("Task run", "task_run_id", "id"),
    Column("Bytes", "size"),
    Column("Created", "created_at", "time"),
    Column("Updated", "updated_at", "time"),
    Column("Artifact", "id", "id"),
)
Which = Annotated[str, Parameter(help="The artifact's id, or a key: the newest of that key.")]


@app.command
def ls(
    *,
    key: Annotated[str | None, Parameter(help="Only the versions of this key.")] = None,
    kind: Annotated[str | None, Parameter(help="Only table, markdown, link, image or progress.")] = None,
    run: Annotated[str | None, Parameter(help="Only of this run: its id or name.")] = None,
    latest: Annotated[bool, Parameter(negative=(), help="Of each key only the newest.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List artifacts, newest first."""
    with connect() as client:
        run_id = None if run is None else naming.run_id(client, run)
        wanted = {"key": key, "kind": kind, "run_id": run_id, "latest": "true" if latest else None}
        found = list(client.items("/artifacts", wanted, limit=limit))
    output.table(
        found, COLUMNS, as_json=as_json, empty="No artifacts. Flows leave them: hub.create_table_artifact(...)"
    )


@app.command
def show(which: Which, *, as_json: AsJson = False) -> None:
    """Show an artifact with its content."""
    with connect() as client:
        found = client.get(path("artifacts", _id_of(client, which)))
    if as_json:
        output.print_json(found)
        return
    output.detail(found, DETAIL, as_json=False)
    print()
    _print(found["kind"], found["content"])


@app.command
def rm(which: Which, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Remove an artifact; others of its key stay."""
    with connect() as client:
        found = client.get(path("artifacts", _id_of(client, which)))
    named = f"the {found['kind']} artifact {found['key'] or found['id']} of {found['updated_at'][:19]}Z"
    if dry_run:
        output.say(f"Would remove {named}. Nothing was changed.")
        return
    output.confirm(f"Remove {named}?", yes=yes)
    with connect() as client:
        client.delete(path("artifacts", found["id"]))
    output.say(f"Removed {named}.")


def _id_of(client: Client, which: str) -> str:
    if naming.is_id(which):
        return which
    found = list(client.items("/artifacts", {"key": which}, limit=1))
    if not found:
        raise NotFoundError(f"there is no artifact with the key {which!r}", hint="`hub artifacts ls` lists them.")
    return str(found[0]["id"])


def _print(kind: str, content: Any) -> None:
    if kind == "table":
        names = content["columns"] or [str(number + 1) for number in range(max(map(len, content["rows"]), default=0))]
        columns = [Column(name, _at(place)) for place, name in enumerate(names)]
        rows = [{str(place): cell for place, cell in enumerate(row)} for row in content["rows"]]
        output.table(rows, columns, as_json=False, empty="The table has no rows.")
    elif kind == "markdown":
        print(content)
    elif kind == "progress":
        print(f"{content:g} %")
    else:
        print(content["url"] if isinstance(content, dict) else json.dumps(content))


def _at(place: int) -> Any:
    return lambda row: row.get(str(place))


def _line(text: str | None, limit: int) -> str:
    first = (text or "").strip().partition("\n")[0]
    return first if len(first) <= limit else f"{first[: limit - 1]}…"
