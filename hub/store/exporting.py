"""What the policy of a workspace's links lets out beside metadata, decided when an event gets its place in the stream.

So it is part of what is hashed, and what happened under a strict policy stays here when a laxer one is set. Whatever
leaves is without the secrets that this workspace keeps, and without texts under names that are those of secrets.
"""

from __future__ import annotations

import json
import logging
import secrets as random
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from hub import events as catalog
from hub import redacting
from hub.errors import HubError
from hub.references import is_reference
from hub.store import raw, secrets
from hub.store.base import Tx
from hub.store.tables import Event, RunRow
from hub.types import Id

RUNS = RunRow.__table__
EVENTS = Event.__table__
MAX_FIELD = 70_000
"""Characters of a field as JSON; of a larger one only its size leaves. A result that stands in its row fits."""
LEFT_OUT = "left_out_bytes"
OF_RUNS = ("error_trace", "result", "result_format", "result_secret")
"""What of a run's row may leave that no event says."""
DEEPEST = 50
"""Of nested runs so many levels are looked at; what lies deeper lets nothing out."""
_ENDED_BADLY = frozenset(f"hub.run.{verb}" for verb in ("failed", "timed_out", "crashed", "awaiting_retry"))
_log = logging.getLogger("hub.export")


def ask_policies(tx: Tx) -> Callable[[], dict[Id, str]]:
    """By workspace that has links the most that one of them lets out; for whoever looks later."""
    asked = raw.execute(tx, "SELECT workspace_id, level, protocol FROM links WHERE disconnected_at IS NULL")

    def policies() -> dict[Id, str]:
        found: dict[Id, str] = {}
        for workspace_id, set_level, protocol in asked.fetchall():
            # A plane of the first protocol could not check what it is not shown: for it alone nothing is added.
            level = set_level if protocol > 1 else "metadata"
            known = found.get(workspace_id, "metadata")
            found[workspace_id] = level if catalog.allows(level, known) else known
        return found

    return policies


def let_out(tx: Tx, rows: Iterable[dict[str, Any]], policy: Mapping[Id, str]) -> None:
    """Make rows of events what may leave: `more` beside the metadata by policy; body and subject without secrets, and
    then `clean` names what of them was changed."""
    for workspace_id, level in policy.items():
        mine = [row for row in rows if row["workspace_id"] == workspace_id]
        needles = known_secrets(tx, workspace_id) if mine else None
        if needles is None:
            continue
        for row in mine:
            shown = json.dumps((row["subject"], row["body"]))
            for name in () if redacting.without(shown, needles) == shown else ("subject", "body"):
                if redacting.without(text := json.dumps(row[name]), needles) != text:
                    row[name] = redacting.blotted(row[name], needles)
                    row.setdefault("clean", set()).add(name)
        if level != "metadata":
            _add_more(tx, mine, level, needles)


def _add_more(tx: Tx, rows: list[dict[str, Any]], level: str, needles: tuple[str, ...]) -> None:
    caps = run_caps(tx, {row["run_id"] for row in rows if row["run_id"] is not None})
    told = _ended(tx, rows)
    private = {row["id"]: row["private"] or {} for row in _private(tx, rows)}
    for row in rows:
        allowed = catalog.lowest(level, caps.get(row["run_id"], level))
        parts = _parts(private.get(row["id"], {}), told.get(row["id"], {}), allowed)
        if parts:
            row["more"] = {name: _salted(fields, needles) for name, fields in parts.items()}


def _private(tx: Tx, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return raw.select_many(tx, EVENTS, ("id", "private"), "id", [row["id"] for row in rows])


def known_secrets(tx: Tx, workspace_id: Id) -> tuple[str, ...] | None:
    """What to look for in what leaves. None where a secret cannot be opened: then nothing but metadata may."""
    try:
        found = secrets.opened(tx, workspace_id)
    except HubError as error:
        _log.warning("only metadata leaves this site: %s", error)
        return None
    return redacting.needles(text for text in found if not is_reference(text))


def run_caps(tx: Tx, ids: Collection[Id]) -> dict[Id, str]:
    """The most that runs let out themselves: the least of what they and the runs around them say."""
    said: dict[Id, str] = {}
    parents: dict[Id, Id | None] = {}
    wanted = set(ids)
    for _ in range(DEEPEST):
        if not wanted:
            break
        for row in raw.select_many(tx, RUNS, ("id", "parent_run_id", "export"), "id", wanted):
            said[row["id"]], parents[row["id"]] = row["export"] or "results", row["parent_run_id"]
        wanted = {parent for parent in parents.values() if parent is not None} - parents.keys() - wanted
    return {run_id: _cap(run_id, said, parents) for run_id in ids}


def _cap(run_id: Id, said: Mapping[Id, str], parents: Mapping[Id, Id | None]) -> str:
    cap, at = "results", run_id
    for _ in range(DEEPEST):
        if at not in said:  # a run of which nothing is known any more
            return "metadata"
        cap = catalog.lowest(cap, said[at])
        above = parents[at]
        if above is None:
            return cap
        at = above
    return "metadata"


def run_parts(row: Mapping[str, Any], level: str, needles: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """By class what a run's row holds and a policy lets out, for a snapshot."""
    private = {
        "errors": {name: row[name] for name in ("state_message", "error_message") if row[name]},
        "params": {"parameters": row["parameters"]} if row["parameters"] else {},
    }
    told = {name: row[name] for name in OF_RUNS}
    return {name: clean(fields, needles) for name, fields in _parts(private, told, level).items()}


def clean(fields: Mapping[str, Any], needles: tuple[str, ...]) -> dict[str, Any]:
    """Fields without secrets; of one that is too large only its size."""
    return {name: _bounded(redacting.blotted(value, needles, name)) for name, value in fields.items()}


def _ended(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> dict[Id, dict[str, Any]]:
    """By event what the run's row says about the end that the event tells, as long as the row still says it."""
    ends = {row["run_id"]: row for row in rows if row["type"] in _ENDED_BADLY or row["type"] == "hub.run.completed"}
    names = ("id", "version", *OF_RUNS)
    found = {}
    for run in raw.select_many(tx, RUNS, names, "id", ends.keys()):
        event = ends[run["id"]]
        if event["body"].get("version") == run["version"]:
            found[event["id"]] = run
    return found


def _parts(private: Mapping[str, Any], told: Mapping[str, Any], level: str) -> dict[str, dict[str, Any]]:
    found = {name: dict(fields) for name, fields in private.items() if catalog.allows(level, name)}
    if told.get("error_trace") and catalog.allows(level, "errors"):
        found.setdefault("errors", {})["error_trace"] = told["error_trace"]
    if told.get("result") is not None and catalog.allows(level, "results"):
        found.setdefault("results", {})["result"] = _result(told)
    return {name: fields for name, fields in found.items() if fields}


def _result(told: Mapping[str, Any]) -> Any:
    """A result that is JSON in the run's row. Of any other only its size, for nobody could look for secrets in it, and
    of one in which there is a secret that only the process knew that made it."""
    data, format_ = bytes(told["result"]), told["result_format"] or ""
    if told["result_secret"] or not format_.startswith("json") or ":" in format_:
        return {LEFT_OUT: len(data)}
    try:
        return json.loads(data)
    except ValueError:
        return {LEFT_OUT: len(data)}


def _salted(fields: Mapping[str, Any], needles: tuple[str, ...]) -> dict[str, str]:
    return {"salt": random.token_hex(16), "text": _dumped(clean(fields, needles))}


def _bounded(value: Any) -> Any:
    try:
        size = len(_dumped(value))
    except ValueError:  # NaN, which is no JSON
        return {LEFT_OUT: len(str(value))}
    return value if size <= MAX_FIELD else {LEFT_OUT: size}


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
