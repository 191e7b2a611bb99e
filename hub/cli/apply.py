"""`hub apply`: make the hub be as a file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, DryRun, Yes
from hub.errors import HubError, UnavailableError, UsageError

if TYPE_CHECKING:
    from hub.client import Client
    from hub.runtime.definitions.document import Document

SIGNS = {"create": "+", "change": "~", "remove": "-", "left": "?", "gone": "?", "unchanged": "="}
STYLES = {"create": "green", "change": "yellow", "remove": "red", "failed": "red"}
DONE = {"create": "made", "change": "changed", "remove": "removed", "unchanged": "unchanged", "gone": "gone"}
LONGEST = 60


def apply(
    file: Annotated[Path, Parameter(help="The file; - reads standard input.", allow_leading_hyphen=True)] = Path(
        "hub.yaml"
    ),
    *,
    dry_run: DryRun = False,
    prune: Annotated[
        bool, Parameter(negative=(), help="Remove what an earlier apply has made and the file does not name any more.")
    ] = False,
    adopt: Annotated[
        bool, Parameter(negative=(), help="Let what is there already belong to the project, so that it may be pruned.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    schema: Annotated[bool, Parameter(negative=(), help="Print the JSON schema of the file, for editors.")] = False,
) -> int:
    """Make the hub be as a file says: deployments, webhook sources and the rest. A second time it changes nothing.

    Exit status 1: something could not be done; what could was.
    """
    from hub.runtime.definitions.document import known_sections, load

    if schema:
        from hub.runtime.definitions.schema import document_schema

        output.print_json(document_schema(known_sections()))
        return 0
    document = load(file)
    if prune and not document.named:
        raise UsageError(
            "--prune needs to know what is this file's: it names no project", hint="Write `project: NAME` at its top."
        )
    with connect() as client:
        items = _planned(client, document, prune=prune, adopt=adopt)
        if not as_json:
            _show_plan(document, items)
        todo = [item for item in items if _is_work(item, prune=prune, adopt=adopt)]
        if not dry_run and todo:
            _ask(todo, yes=yes)
            _carry_out(client, document, todo, adopt=adopt, quiet=as_json)
    return _end(document, items, todo, dry_run=dry_run, as_json=as_json)


def _planned(client: Client, document: Document, *, prune: bool, adopt: bool) -> list[dict[str, Any]]:
    """What would be done. Raises UsageError with all that is wrong in the file."""
    body = {"document": document.wire, "others": document.others, "prune": prune, "adopt": adopt}
    try:
        plan = client.post(path("projects", document.project, "plan"), body)
    except HubError:
        document.refuse()
        raise
    document.refuse((fault["path"], fault["message"], fault["hint"]) for fault in plan["faults"])
    return list(plan["items"])


def _is_work(item: Mapping[str, Any], *, prune: bool, adopt: bool) -> bool:
    if item["action"] == "gone":
        return prune
    return item["action"] in ("create", "change", "remove") or (adopt and not item["made"])


def _ask(todo: list[dict[str, Any]], *, yes: bool) -> None:
    going = [f"{item['section']}.{item['name']}" for item in todo if item["action"] == "remove"]
    if going:
        output.confirm(f"Remove {', '.join(going[:10])}{' and others' if len(going) > 10 else ''}?", yes=yes)


def _carry_out(client: Client, document: Document, todo: list[dict[str, Any]], *, adopt: bool, quiet: bool) -> None:
    """Do one after the other. What fails is noted and the rest done, unless the hub is away."""
    away: HubError | None = None
    for item in todo:
        if away is not None:
            item["status"] = "not tried"
            continue
        place = path("projects", document.project, item["section"], item["name"])
        try:
            if item["action"] in ("remove", "gone"):
                done = client.request("DELETE", place)
            else:
                definition = document.wire[item["section"]][item["name"]]
                done = client.put(place, {"definition": definition, "adopt": adopt})
            item |= {"status": "done", "shown": done["shown"]}
        except HubError as error:
            away = error if isinstance(error, UnavailableError) else None
            told = {"code": error.code, "detail": error.detail, "hint": error.hint, "temporary": away is not None}
            item |= {"status": "failed", "error": told}
        if not quiet:
            _show_done(item)


def _end(document: Document, items: list[Any], todo: list[Any], *, dry_run: bool, as_json: bool) -> int:
    failed = [item for item in todo if item.get("status") in ("failed", "not tried")]
    if as_json:
        told = {"project": document.project, "file": document.origin, "dry_run": dry_run, "items": items}
        output.print_json(told)
    elif not todo:
        output.say("Nothing to do.")
    elif dry_run:
        output.say("Nothing was changed.")
    else:
        counts = {
            word: sum(i.get("status") == "done" and DONE[i["action"]] == word for i in todo) for word in DONE.values()
        }
        counts |= {word: sum(item.get("status") == word for item in todo) for word in ("failed", "not tried")}
        output.say(", ".join(f"{count} {word}" for word, count in counts.items() if count) + ".")
    if any(item["status"] == "not tried" or item["error"]["temporary"] for item in failed):
        return 75
    return 1 if failed else 0


def _show_plan(document: Document, items: list[dict[str, Any]]) -> None:
    output.say(f"Project {document.project}, {document.origin}", style="bold")
    for item in items:
        if item["action"] == "unchanged":
            continue
        note = {
            "left": "  is not in the file any more and stays; --prune removes it",
            "gone": "  is not in the file any more, nor in the hub",
        }.get(item["action"], "")
        text = f"  {SIGNS[item['action']]} {item['section']}.{item['name']}{note}"
        output.say(text, style=STYLES.get(item["action"], ""))
        for change in item["changes"]:
            output.say(f"      {_said(change)}")
    same = sum(item["action"] == "unchanged" for item in items)
    if same:
        output.say(f"  = {same} unchanged")


def _said(change: Mapping[str, Any]) -> str:
    if change["hidden"]:
        return f"{change['field']}: (a secret, not shown) is written anew"
    before, after = _short(change["before"]), _short(change["after"])
    return f"{change['field']}: {before} -> {after}"


def _short(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _show_done(item: Mapping[str, Any]) -> None:
    name = f"{item['section']}.{item['name']}"
    if item["status"] == "failed":
        error = item["error"]
        output.say(f"  failed: {name}: {error['detail']} {error['hint']}".rstrip(), style="red")
        return
    output.say(f"  {DONE[item['action']]}: {name}")
    for what, value in item["shown"].items():
        output.say(f"      {what}: {value}   (shown this once)")
