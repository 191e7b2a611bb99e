"""How plugins stand, as rows: what a process knows of its own, and what others have reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.plugins import LoadedPlugin
from hub.runtime import process
from hub.selecting import OWN_DISTRIBUTION, SWITCHED_OFF
from hub.types import SECOND, Micros

PREFIX = "plugins/"
"""Of the names under which processes leave their reports in the table of site values."""
FRESH_S = 30.0
"""A report of another machine that was not renewed for that long is of a process that has ended."""
RESTS_S = 600.0
"""A worker writes one only when it executes something."""


def is_live(report: Mapping[str, Any], now: Micros) -> bool:
    """Whether a report is of a process that still runs."""
    who, me = process.Identity.parse(report.get("who", "")), process.identity()
    if who is not None and (who.host, who.boot_id) == (me.host, me.boot_id):
        return not process.known_dead(who)
    return now - int(report["at"]) <= (RESTS_S if report["process"] == "worker" else FRESH_S) * SECOND


def rows_of(table: Iterable[LoadedPlugin], counted: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each plugin; `counted` is what its hooks have failed at in this process, by its name."""
    # Of several plugins of one name one is loaded, and what is counted is its.
    rows = [(row, counted.get(row.name, []) if row.works else []) for row in table]
    return [
        {
            "name": row.name, "version": row.version, "distribution": row.distribution, "state": row.state,
            "own": row.distribution == OWN_DISTRIBUTION, "enabled": row.problem != SWITCHED_OFF,
            "configurable": bool(row.manifest and row.manifest.config),
            "runs_in": list(row.manifest.runs_in) if row.manifest else [],
            "summary": row.manifest.summary if row.manifest else "", "import_ms": row.import_ms,
            "hooks": list(row.hooks), "problem": row.problem, "clashes": row.clashes,
            "errors": sum(b["errors"] for b in breakers),
            "breakers": [b for b in breakers if b["state"] != "closed"],
            "last_error": next((b["last_error"] for b in breakers if b["last_error"]), ""),
        }
        for row, breakers in rows
    ]  # fmt: skip


def joined(rows: Iterable[dict[str, Any]], reports: Iterable[Mapping[str, Any]], now: Micros) -> list[dict[str, Any]]:
    """The rows with what any process that is alive has to say about them, in order."""
    found = {(row["name"], row["distribution"]): row for row in rows}
    for report in reports:
        if is_live(report, now):
            for row in report["rows"]:
                _merge(found, row, report["process"])
    return [found[key] for key in sorted(found)]


def _merge(found: dict[tuple[str, str], dict[str, Any]], row: Mapping[str, Any], where: str) -> None:
    known = found.setdefault((row["name"], row["distribution"]), dict(row))
    if row["state"] not in ("loaded", "disabled") and known["state"] in ("loaded", "degraded"):
        known.update(state=row["state"], problem=f"in {where}: {row['problem']}")
    known["errors"] = max(known["errors"], row["errors"])
    known["hooks"] = sorted({*known["hooks"], *row["hooks"]})
    known["breakers"] = known["breakers"] or row["breakers"]
    if row["last_error"] and not known["last_error"]:
        known["last_error"] = f"in {where}: {row['last_error']}"
