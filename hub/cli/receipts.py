"""`hub webhooks receipts`, `receipt` and `replay`: search what came in, look at it, let it happen again."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.output import AsJson, Column, DryRun, Limit, Yes
from hub.errors import HubError, UsageError
from hub.moments import moment
from hub.types import Id, JsonObject, new_id, rfc3339

if TYPE_CHECKING:
    from hub.client import Client

BATCH = 50
Verdict = Annotated[
    Literal["accepted", "observed", "handshake", "rejected"] | None, Parameter(help="Only with this verdict.")
]
Type = Annotated[str | None, Parameter(name="--type", help="Only of this type, the provider's word; may end with *.")]
Since = Annotated[str | None, Parameter(help="Only from then on: 30m, 2h or 7d ago, or a time.")]
Until = Annotated[str | None, Parameter(help="Only from before then.")]
Text = Annotated[str | None, Parameter(help="Only those whose body contains this text.")]
ReceiptId = Annotated[str, Parameter(help="The receipt's id.")]
Unverified = Annotated[bool, Parameter(negative=(), help="Also those that were refused.")]

RECEIPTS = (
    Column("ID", "id", "id"),
    Column("RECEIVED", "received_at", "time"),
    Column("VERDICT", "verdict", "state"),
    Column("EVENT", "event_type"),
    Column("DELIVERY", "delivery_id"),
    Column("BYTES", "body_size"),
    Column("AGAIN", "duplicates"),
    Column("EVENTS", "events"),
    Column("REASON", lambda item: item["error"] or item["reason"]),
)
DEAD = (
    Column("ID", "id", "id"),
    Column("RECEIVED", "received_at", "time"),
    Column("EVENT", "event_type"),
    Column("DELIVERY", "delivery_id"),
    Column("REASON", "error"),
)
MENDED = (*DEAD, Column("REPLAYED", "replayed_at", "time"), Column("BY", "replayed_by", "id"))
BOOKMARKS = (
    Column("NAME", "name"),
    Column("EVENT", "event_type"),
    Column("BYTES", "body_size"),
    Column("RECEIVED", "received_at", "time"),
    Column("RECEIPT", "receipt_id", "id"),
)
RECEIPT = (
    Column("Receipt", "id"),
    Column("Received", "received_at", "time"),
    Column("Verdict", "verdict", "state"),
    Column("Reason", "reason"),
    Column("Answered", "answer_status"),
    Column("Event", "event_type"),
    Column("Delivery", "delivery_id"),
    Column("From", "remote"),
    Column("Came again", "duplicates"),
    Column("Events", "events"),
    Column("Replay of", "replay_of"),
    Column("Problem", "error"),
    Column("Replayed by", "replayed_by"),
    Column("Replayed at", "replayed_at", "time"),
    Column("Replays", lambda item: "".join(map(_replayed, item["replays"]))),
    Column("Looks like", "suggested_preset"),
    Column("Query", "query"),
    Column("Redacted", "redacted", "list"),
    Column("Headers", lambda item: "".join(f"\n  {name}: {value}" for name, value in item["headers"])),
    Column("Body", lambda item: "\n" + (item["body"] if item["body"] is not None else item["body_base64"])),
)
FORESEEN = (
    Column("AUTOMATION", "name"),
    Column("OUTCOME", "outcome"),
    Column("REASON", lambda item: item["error"] or item["reason"]),
    Column("DOES", "does", "list"),
)


def install(app: App) -> None:
    """Add the commands of this module to `hub webhooks`."""
    for command in (receipts, receipt, dead_letters, replay, bookmark, bookmarks, unbookmark):
        app.command(command)


def receipts(
    name: Annotated[str | None, Parameter(help="Only of this source.")] = None,
    *,
    verdict: Verdict = None,
    type_: Type = None,
    delivery: Annotated[str | None, Parameter(help="Only with this id of the provider.")] = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    replays: Annotated[bool | None, Parameter(negative="--no-replays", help="Only replays; or only others.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List requests that came in, newest first."""
    query = _filter(name, verdict, type_, since, until, text) | {"delivery": delivery, "replays": replays}
    with connect() as client:
        found = list(client.items("/receipts", query, limit=limit))
    empty = "No such request has come in." if any(query.values()) else "No request has come in yet."
    output.table(found, RECEIPTS, as_json=as_json, empty=empty)


def receipt(
    id: ReceiptId,
    *,
    raw: Annotated[bool, Parameter(negative=(), help="Write the exact bytes of its body and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one request with its headers and body."""
    with connect() as client:
        if not raw:
            output.detail(client.get(path("receipts", id)), RECEIPT, as_json=as_json)
            return
        body = client.raw("GET", path("receipts", id, "body")).content
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def dead_letters(
    name: Annotated[str | None, Parameter(help="Only of this source.")] = None,
    *,
    since: Since = None,
    until: Until = None,
    replayed: Annotated[bool, Parameter(negative=(), help="Those of which a replay became events since.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List requests that were accepted and could not become events, with the reason; newest first."""
    query = {"source": name, "since": moment(since), "until": moment(until), "mended" if replayed else "failed": True}
    with connect() as client:
        found = list(client.items("/receipts", query, limit=limit))
    empty = "No replay has mended one." if replayed else "No request has failed, or all were replayed since."
    output.table(found, MENDED if replayed else DEAD, as_json=as_json, empty=empty)


def replay(
    *ids: ReceiptId,
    source: Annotated[str | None, Parameter(help="All of this source.")] = None,
    verdict: Verdict = None,
    type_: Type = None,
    since: Since = None,
    until: Until = None,
    text: Text = None,
    replays: Annotated[bool, Parameter(negative=(), help="Replays, too.")] = False,
    failed: Annotated[bool, Parameter(negative=(), help="Only dead letters.")] = False,
    limit: Annotated[int, Parameter(name=("--limit", "-n"), help="Refuse to replay more than so many.")] = 1000,
    unverified: Unverified = False,
    request: Annotated[str | None, Parameter(help="Go on with a replay that was interrupted.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Let kept requests happen again, the oldest first: those named, or all that a filter finds."""
    query = _filter(source, verdict, type_, since, until, text) | {"failed": failed or None}
    if bool(ids) == any(query.values()):
        raise UsageError("Name receipts, or say which by a filter.", hint="For example: --source ci --since 2h")
    with connect() as client:
        if len(ids) == 1 and dry_run:
            return _foresee(client, ids[0], as_json=as_json)
        if len(ids) == 1 and not request:
            return _replay_one(client, ids[0], unverified=unverified, as_json=as_json)
        asked = request or new_id()
        wanted: list[JsonObject] = [{"id": one} for one in ids]
        if not ids:
            # What came later, replays of an interrupted try among it, was not meant.
            query["until"] = min(query["until"] or "9", _begin_of(asked))
            query |= {"order": "oldest"} if replays else {"order": "oldest", "replays": False}
            wanted = _found(client, query, limit, refused=unverified or verdict in ("rejected", "handshake"))
        if dry_run:
            found = [client.get(path("receipts", one)) for one in ids] or wanted
            output.table(found, RECEIPTS, as_json=as_json, empty="No such request has come in.")
            return 0
        if len(wanted) > 1:
            output.confirm(f"Replay {len(wanted)} requests?", yes=yes)
        items = _replay_all(client, [str(one["id"]) for one in wanted], asked, unverified=unverified)
    return _tell(items, asked, as_json=as_json)


def bookmark(id: ReceiptId, name: Annotated[str, Parameter(help="A name for it.")], *, as_json: AsJson = False) -> None:
    """Keep a request under a name, for `hub trigger --bookmark`; retention passes over it."""
    with connect() as client:
        made = client.put(path("bookmarks", name), {"receipt": id})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Receipt {id} is kept as {name}.")


def bookmarks(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List bookmarked requests."""
    with connect() as client:
        found = list(client.items("/bookmarks", limit=limit))
    output.table(found, BOOKMARKS, as_json=as_json, empty="No bookmarks yet: hub webhooks bookmark RECEIPT NAME")


def unbookmark(name: Annotated[str, Parameter(help="The bookmark's name.")]) -> None:
    """Take a bookmark away; its request stays as long as others do."""
    with connect() as client:
        client.delete(path("bookmarks", name))
    output.say(f"The bookmark {name} is gone.")


def _replayed(one: JsonObject) -> str:
    what = {"waiting": "waits", "events": f"became {one['events']} events", "failed": f"failed: {one['error']}"}
    return f"\n  {one['received_at']} {one['id']}, {one['reason']}: {what[str(one['outcome'])]}"


def _filter(
    source: str | None, verdict: str | None, type_: str | None, since: str | None, until: str | None, text: str | None
) -> dict[str, Any]:
    times = {"since": moment(since), "until": moment(until)}
    return {"source": source, "verdict": verdict, "type": type_, "text": text, **times}


def _begin_of(request: Id) -> str:
    """When a replay was begun: its id says so, to the millisecond. What came in within that one came before."""
    digits = request.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        raise UsageError(f"{request!r} is no id of a replay.", hint="It was printed when the replay began.")
    return rfc3339((int(digits[:12], 16) + 1) * 1000)


def _found(client: Client, query: dict[str, Any], limit: int, *, refused: bool) -> list[JsonObject]:
    matching = client.items("/receipts", query)
    meant = (one for one in matching if refused or one["verdict"] in ("accepted", "observed"))
    found = list(islice(meant, limit + 1))
    if len(found) > limit:
        raise UsageError(f"More than {limit} requests are meant.", hint="Narrow the filter, or give a larger --limit.")
    return found


def _replay_one(client: Client, receipt_id: str, *, unverified: bool, as_json: bool) -> int:
    made = client.post(path("receipts", receipt_id, "replay"), {"unverified": unverified})
    if as_json:
        output.print_json(made)
    else:
        output.say(f"Receipt {made['id']} repeats {made['replay_of']}.")
    return 0


def _foresee(client: Client, receipt_id: str, *, as_json: bool) -> int:
    found = client.get(path("receipts", receipt_id, "replay"))
    if as_json:
        output.print_json(found)
        return 0
    if found["problem"]:
        output.say(f"Nothing would start: {found['problem']}.")
        return 0
    more = f" and {found['more']} others" if found["more"] else ""
    output.say(f"It would become: {', '.join(found['events'])}{more}.")
    rows = [{**one, "does": [_does(action) for action in one["actions"]]} for one in found["automations"]]
    output.table(rows, FORESEEN, as_json=False, empty="No automation that is switched on means it.")
    if found["held"]:
        output.say("The source is paused: this waits until it is resumed.")
    return 0


def _does(action: JsonObject) -> str:
    if "error" in action:
        return str(action["error"])
    said = action.get("flow_control")
    why = f" ({said['control']}: {said['reason']})" if isinstance(said, dict) else ""
    return f"{action.get('op', '')} {action.get('target', '')}{why}"


def _replay_all(client: Client, ids: list[str], request: Id, *, unverified: bool) -> list[JsonObject]:
    said = output.error_console()
    if len(ids) > BATCH:
        said.print(f"Replaying {len(ids)} requests. If it is interrupted: the same with --request {request}")
    items: list[JsonObject] = []
    try:
        for at in range(0, len(ids), BATCH):
            body = {"receipts": ids[at : at + BATCH], "request": request, "unverified": unverified}
            items += client.post("/replays", body)["items"]
            if len(ids) > BATCH:
                said.print(f"{len(items)} of {len(ids)}")
    except (HubError, KeyboardInterrupt):
        said.print(f"Interrupted after {len(items)}. Go on without doubles: the same with --request {request}")
        raise
    return items


def _tell(items: list[JsonObject], request: Id, *, as_json: bool) -> int:
    failed = [one for one in items if one["problem"]]
    repeated = sum(bool(one["repeated"]) for one in items)
    done = len(items) - len(failed) - repeated
    if as_json:
        counts = {"replayed": done, "repeated": repeated, "failed": len(failed)}
        output.print_json({"request": request, **counts, "items": items})
    else:
        before = f" {repeated} were replayed before." if repeated else ""
        output.say(f"{done} requests happen again.{before}")
        for one in failed:
            output.say(f"Not {one['replay_of']}: {one['problem']}", style="red")
    return 1 if failed else 0
