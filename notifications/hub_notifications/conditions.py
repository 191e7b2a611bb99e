"""What is wrong with the hub itself and with runs that wait: facts in, conditions out. Pure.

A condition is an alert that fires as long as it holds. What fires already is compared with what holds now, so that a
restart neither repeats nor loses one: the alerts themselves are the memory.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.types import SECOND, Id, Micros

from hub_notifications.rules import about_run, labels_of_run
from hub_notifications.spans import span

WINDOW = 300 * SECOND
"""In which failed signatures are counted."""
SIGNATURES, SHARE = 10, 0.2
QUEUE_WAITS = 600 * SECOND
LATE = 60 * SECOND
LOST_FOR = 3600 * SECOND
"""A worker that is lost for so long is gone for good."""
SITE_SILENT = 300 * SECOND
DEAD_FOR = 3600 * SECOND
STUCK_RUNS, STUCK_TIMES, STUCK_AT_LEAST = 5, 3, 600 * SECOND
KINDS = (
    "signatures-failing", "queue-waiting", "worker-lost", "site-silent", "deliveries-dead", "webhooks-dead",
    "plugin-failing", "run-late", "run-stuck",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong as long as it is found. `about/kind` is its identity in its workspace."""

    workspace_id: Id
    about: str
    kind: str
    title: str
    text: str = ""
    severity: str = "warning"
    labels: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, Any] | None = None
    to: Sequence[str] = ()
    occurrence: str = ""
    """Which time; the same one is told once, also when it was ended by hand. Empty: each time that it begins."""

    @property
    def key(self) -> tuple[Id, str]:
        """Its identity among all workspaces."""
        return self.workspace_id, f"{self.about}/{self.kind}"


def compare(
    found: Iterable[Condition], firing: Collection[tuple[Id, str]]
) -> tuple[list[Condition], list[tuple[Id, str]]]:
    """(conditions that are new, keys of alerts whose condition is over)."""
    holding = {one.key: one for one in found}
    return [one for key, one in holding.items() if key not in firing], [key for key in firing if key not in holding]


def signatures(rows: Iterable[Mapping[str, Any]], firing: Collection[tuple[Id, str]]) -> Iterable[Condition]:
    """Sources whose requests are refused: many, and a good part of all. Over when none was for a whole window.

    A row: workspace_id, id, name, refused, total, reason (the newest).
    """
    for row in rows:
        found = Condition(
            row["workspace_id"], f"signatures/{row['id']}", "signatures-failing",
            f"Requests to the source {row['name']} are refused",
            f"{row['refused']} of {row['total']} in the last {span(WINDOW)}, the newest: {row['reason']}\n"
            "Has the secret been changed at one end?",
            labels={"source": row["name"]},
        )  # fmt: skip
        many = row["refused"] >= SIGNATURES and row["refused"] >= SHARE * row["total"]
        if many or (row["refused"] and found.key in firing):
            yield found


def queues(
    rows: Iterable[Mapping[str, Any]], workers: Mapping[tuple[Id, str], int], now: Micros
) -> Iterable[Condition]:
    """Queues whose oldest due run has waited too long. A row: a run that only waits for a free slot, oldest first.

    `workers`: how many serve the queue of a workspace.
    """
    seen: set[tuple[Id, str]] = set()
    for row in rows:
        line = (row["workspace_id"], row["queue"])
        if line in seen or row["due_at"] > now - QUEUE_WAITS:
            continue
        seen.add(line)
        served = workers.get(line, 0)
        why = f"{served} workers serve it, none is free" if served else "no worker serves it"
        yield Condition(
            line[0], f"queue/{line[1]}", "queue-waiting", f"Runs wait in the queue {line[1]}",
            f"The oldest, {row['name']}, since {span(now - row['due_at'])}; {why}.",
            "warning" if served else "error", {"queue": line[1]},
        )  # fmt: skip


def late(rows: Iterable[Mapping[str, Any]], now: Micros) -> Iterable[Condition]:
    """Flows that want to hear of it when a run of theirs does not start: one for all late runs of a flow."""
    waiting: dict[tuple[Id, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if "late" in row["alerts"].get("on", ()) and row["due_at"] <= now - LATE:
            waiting.setdefault((row["workspace_id"], about_run(row)), []).append(row)
    for (workspace_id, about), runs in waiting.items():
        first = runs[0]
        others = f", and {len(runs) - 1} more wait" if len(runs) > 1 else ""
        yield _of_run(
            workspace_id, f"late:{about}", "run-late", first, f"{first['name']} is late",
            f"It should have started {span(now - first['due_at'])} ago{others}: `hub runs why {first['id']}`.",
        )  # fmt: skip


def is_stuck(ran: Micros, idle: Micros, earlier: Sequence[Micros]) -> bool:
    """Whether a run that has run for `ran`, and shown nothing for `idle`, is far beyond its own history.

    Far: three times what nine of ten took, and ten minutes, both without a sign of life. Without a history: never.
    """
    if len(earlier) < STUCK_RUNS:
        return False
    limit = max(STUCK_TIMES * percentile(earlier, 90), STUCK_AT_LEAST)
    return ran > limit and idle > max(percentile(earlier, 90), STUCK_AT_LEAST)


def stuck(row: Mapping[str, Any], idle: Micros, now: Micros) -> Condition:
    """The condition of a run that is stuck."""
    text = f"It runs since {span(now - row['started_at'])} and has shown nothing for {span(idle)}."
    return _of_run(row["workspace_id"], f"stuck:{row['id']}", "run-stuck", row, f"{row['name']} seems stuck", text)


def lost_workers(
    rows: Iterable[Mapping[str, Any]], back: Mapping[tuple[Id, str], Micros], now: Micros
) -> Iterable[Condition]:
    """Workers that were lost and whose name has not come back. A row: workspace_id, name, at. `back`: last starts."""
    for row in rows:
        who = (row["workspace_id"], row["name"])
        if row["at"] > now - LOST_FOR and back.get(who, -1) < row["at"]:
            yield Condition(
                who[0], f"worker/{who[1]}", "worker-lost", f"The worker {who[1]} was lost",
                f"{span(now - row['at'])} ago nothing was heard of it any more; what it ran goes on elsewhere.",
                labels={"worker": who[1]},
            )  # fmt: skip


def silent_sites(rows: Iterable[Mapping[str, Any]], now: Micros) -> Iterable[Condition]:
    """Sites that this plane does not hear of. A row: workspace_id, id, name, last_seen_at (null: never yet)."""
    for row in rows:
        if row["last_seen_at"] is not None and row["last_seen_at"] < now - SITE_SILENT:
            yield Condition(
                row["workspace_id"], f"site/{row['id']}", "site-silent", f"The site {row['name']} is silent",
                f"It was heard of last {span(now - row['last_seen_at'])} ago. "
                "Its flows may go on; what is started here waits for it.",
                "error", {"site": row["name"]},
            )  # fmt: skip


def dead_deliveries(
    rows: Iterable[Mapping[str, Any]], now: Micros, others: Mapping[Id, Sequence[str]]
) -> Iterable[Condition]:
    """Channels whose last message was given up. A row: workspace_id, id, name, dead_at, sent_at, count.

    `others`: by workspace the names of enabled channels, to tell it on another one.
    """
    for row in rows:
        if row["dead_at"] > max(now - DEAD_FOR, row["sent_at"] or 0):
            yield Condition(
                row["workspace_id"], f"channel/{row['id']}/deliveries", "deliveries-dead",
                f"Alerts do not reach the channel {row['name']}",
                f"{row['count']} were given up in the last {span(DEAD_FOR)}: `hub alerts deliveries --dead`.",
                "error", {"channel": row["name"]},
                to=[name for name in others.get(row["workspace_id"], ()) if name != row["name"]][:20],
            )  # fmt: skip


def dead_webhooks(rows: Iterable[Mapping[str, Any]]) -> Iterable[Condition]:
    """Endpoints with webhooks that were given up, as long as none goes well.

    A row: workspace_id, id, name, count, error (the newest).
    """
    for row in rows:
        yield Condition(
            row["workspace_id"], f"endpoint/{row['id']}/webhooks", "webhooks-dead",
            f"Webhooks to the endpoint {row['name']} were given up",
            f"{row['count']} in the last {span(DEAD_FOR)}, the newest: {row['error']}\n"
            "`hub endpoints deliveries --status failed` lists them.",
            "error", {"endpoint": row["name"]},
        )  # fmt: skip


def failing_plugins(reports: Iterable[Mapping[str, Any]], workspace_id: Id) -> Iterable[Condition]:
    """Plugins that could not be loaded, or whose hooks are skipped. `reports`: those of live processes."""
    for report in reports:
        for row in report["rows"]:
            skipped = ", ".join(one["hook"] for one in row["breakers"])
            if row["state"] in ("failed", "incompatible"):
                text = row["problem"]
            elif skipped:
                text = f"{skipped} failed too often and is not called for a while: {row['last_error']}"
            else:
                continue
            yield Condition(
                workspace_id, f"plugin/{row['name']}", "plugin-failing", f"The plugin {row['name']} fails",
                f"In {report['process']}: {text}", labels={"plugin": row["name"]},
            )  # fmt: skip


def percentile(values: Sequence[Micros], percent: float) -> Micros:
    """The smallest value that so many percent of all are not above (nearest rank). `values` are not empty."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def _of_run(workspace_id: Id, about: str, kind: str, row: Mapping[str, Any], title: str, text: str) -> Condition:
    said = row["alerts"]
    told = {"id": row["id"], "name": row["name"], "state": row["state_name"], "attempt": row["attempt"]}
    return Condition(
        workspace_id, about, kind, title, text, said.get("severity") or "warning", labels_of_run(row), told,
        said.get("to") or (),
    )  # fmt: skip
