"""What a message tells, in which order, and what goes first when there is no room. Pure: no format, nothing escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from hub.texts.words import counted, moment, spoken

Document: TypeAlias = Mapping[str, Any]
"""See `content`."""
_TIME = "%d %b %Y %H:%M UTC"
_TOLD = frozenset({"about", "flow", "deployment", "kind", "severity", "alertname"})
"""Labels that are told in words already."""


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead somewhere."""

    text: str
    url: str


Line: TypeAlias = Sequence[str | Link]
"""Words and links behind each other."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is."""

    name: str
    line: Line


@dataclass(frozen=True, slots=True)
class Section:
    """What is told about one alert."""

    title: str
    """Empty where the message's own title says it."""
    status: str
    severity: str
    facts: tuple[Fact, ...] = ()
    text: str = ""
    error: str = ""
    logs: tuple[str, ...] = ()
    logs_left_out: int = 0
    runs: tuple[Link, ...] = ()
    runs_left_out: int = 0


@dataclass(frozen=True, slots=True)
class Outline:
    """A whole message but its title."""

    sections: tuple[Section, ...]
    left_out: int
    """Alerts that are not told one by one."""
    links: tuple[Link, ...]
    note: str = ""
    """Something about the message itself."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of everything there is room for."""

    logs: int = 20
    runs: int = 10
    error: int = 2_000
    text: int = 4_000
    alerts: int = 20
    has_facts: bool = True
    links: int = 4


def rooms() -> Iterator[Room]:
    """From all of it to next to nothing: logs go first, then further runs, then the middle of the error."""
    room = Room()
    yield room
    steps: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("logs", (10, 5, 3, 1, 0)),
        ("runs", (3, 0)),
        ("error", (1_000, 500, 200, 100)),
        ("text", (1_000, 300, 100)),
        ("alerts", (10, 5, 3, 1)),
        ("has_facts", (False,)),
        ("links", (3, 1)),
        ("text", (0,)),
        ("error", (60, 30, 0)),
    )
    for name, values in steps:
        for value in values:
            room = replace(room, **{name: value})
            yield room


def title_of(document: Document) -> str:
    """What happened, in one line."""
    alerts, counts, reason = document["alerts"], document["counts"], document["reason"]
    if not alerts:
        return "Alerts"
    told = counts["firing"] + counts["resolved"]
    if max(told, len(alerts)) > 1:
        return _title_of_many(document)
    first, title = alerts[0], str(alerts[0]["title"])
    times = first["occurrences"]
    if reason == "test":
        return title
    if reason == "acknowledged":
        return f"Acknowledged: {title}"
    if first["status"] == "resolved":
        return f"Resolved: {title}"
    if reason == "escalation":
        return f"Nobody has acknowledged: {title}"
    if reason == "repeat":
        return f"Still firing: {title}" + (f" ({counted(times, 'more time')})" if times else "")
    if reason == "more" and times:
        return f"{title} ({counted(times, 'more time')})"
    return f"{title} ({counted(times, 'time')})" if times > 1 else title


def _title_of_many(document: Document) -> str:
    alerts, counts = document["alerts"], document["counts"]
    parts = [f"{counts[status]:,} {status}" for status in ("firing", "resolved") if counts[status]]
    names = list(dict.fromkeys(str(one["title"]) for one in alerts))
    rest = counts["firing"] + counts["resolved"] - min(len(names), 2)
    also = f" and {rest:,} more" if rest > 0 else ""
    lead = {"repeat": "Still ", "escalation": "Nobody has acknowledged: "}.get(document["reason"], "")
    return f"{lead}{', '.join(parts)}: {', '.join(names[:2])}{also}"


def outline(document: Document, room: Room, *, note: str = "") -> Outline:
    """The message with as much of everything as there is room for."""
    alerts = document["alerts"]
    shown = alerts[: room.alerts]
    told = document["counts"]["firing"] + document["counts"]["resolved"]
    sections = tuple(_section(one, document, room, is_only=len(alerts) == 1) for one in shown)
    return Outline(
        sections, max(told, len(alerts)) - len(shown), tuple(_links(document, room)), note or document.get("note", "")
    )


def _section(alert: Mapping[str, Any], document: Document, room: Room, *, is_only: bool) -> Section:
    several = len(document["alerts"])
    logs = list(alert["logs"])
    keep = room.logs if is_only else 0 if several > 3 else min(room.logs, 3)
    is_over = alert["status"] == "resolved"
    runs = [Link(one["name"] or one["id"], one["link"]) for one in alert["runs"][1:]] if not is_over else []
    error = _error(alert) if not is_over else ""
    return Section(
        title="" if is_only else _named(alert),
        status=alert["status"],
        severity=alert["severity"],
        facts=tuple(_facts(alert, document, is_only=is_only)) if room.has_facts else (),
        text=middle(alert["text"], room.text if is_only else min(room.text, 300)),
        error=middle(error, room.error if is_only else min(room.error, 200)),
        logs=tuple(logs[len(logs) - keep :]) if keep and not is_over else (),
        logs_left_out=0 if is_over or not is_only or not room.has_facts else max(len(logs) - keep, 0),
        runs=tuple(runs[: room.runs]) if is_only else (),
        runs_left_out=max(len(runs) - room.runs, 0) if is_only and room.runs else 0,
    )


def _named(alert: Mapping[str, Any]) -> str:
    times = alert["occurrences"]
    return str(alert["title"]) + (f" ({counted(times, 'time')})" if times > 1 else "")


def _facts(alert: Mapping[str, Any], document: Document, *, is_only: bool) -> Iterator[Fact]:
    run, flow = alert["run"], alert["flow"]
    if alert["severity"] == "critical":
        yield Fact("Severity", ("critical",))
    if flow and is_only:
        yield Fact("Flow", (flow + (f" ({alert['deployment']})" if alert["deployment"] not in ("", flow) else ""),))
    if run:
        more = f", {run['state']}" if run["state"] else ""
        more += f", attempt {run['attempt']}" if run["attempt"] > 1 else ""
        yield Fact(
            "Run" if alert["status"] == "firing" else "Last run",
            (Link(run["name"] or run["id"], alert["links"]["run"]), more),
        )
    if alert["task"]:
        yield Fact("Task", (alert["task"],))
    yield from _times(alert, document)
    labels = {name: value for name, value in alert["labels"].items() if name not in _TOLD and value}
    if labels and is_only:
        yield Fact("Labels", (", ".join(f"{name}={value}" for name, value in sorted(labels.items())),))
    if alert["acknowledged_by"]:
        yield Fact("Acknowledged", (f"by {alert['acknowledged_by']}",))


def _times(alert: Mapping[str, Any], document: Document) -> Iterator[Fact]:
    if document["reason"] == "test":
        return
    began, ended, now = (moment(at) for at in (alert["started_at"], alert["ended_at"], document["created_at"]))
    if began is not None and ended is not None:
        lasted = spoken((ended - began).total_seconds())
        yield Fact("Lasted", (f"{lasted}, from {began.strftime(_TIME)}",))
    elif began is not None:
        ago = (now - began).total_seconds() if now is not None else 0
        yield Fact("Since", (began.strftime(_TIME) + (f", {spoken(ago)} ago" if ago >= 60 else ""),))
    if alert["total"] > 1:
        new = f"{alert['occurrences']:,} since the last message, " if 0 < alert["occurrences"] < alert["total"] else ""
        yield Fact("Happened", (f"{new}{counted(alert['total'], 'time')} in all",))


def _error(alert: Mapping[str, Any]) -> str:
    """Type and text, once each: the text may begin with the type already."""
    kind, said = (str((alert["error"] or {}).get(name) or "") for name in ("type", "message"))
    return said if said.startswith(kind) else f"{kind}: {said}" if said else kind


def _links(document: Document, room: Room) -> Iterator[Link]:
    """Where to look first, then what to do."""
    alerts, links = document["alerts"], document["links"]
    found = []
    if len(alerts) == 1:
        mine = alerts[0]["links"]
        found.append(Link("Open the run", mine["run"]) if mine["run"] else Link("Open the alert", mine["alert"]))
    elif links["dashboard"]:
        found.append(Link("All alerts", links["dashboard"]))
    if document["counts"]["firing"] and document["reason"] != "test":
        found += [Link("Acknowledge", links["acknowledge"]), Link("Silence", links["silence"])]
    if len(alerts) == 1 and alerts[0]["links"]["run"]:
        found.append(Link("Open the alert", alerts[0]["links"]["alert"]))
    yield from [link for link in found if link.url][: room.links]


def middle(text: str, limit: int) -> str:
    """A text without its middle where it is too long: how it begins and ends says the most."""
    text = text.strip()
    if len(text) <= limit:
        return text
    if limit <= 0:
        return ""
    if limit < 100:
        short = text[: limit - 1]
        return (short.rsplit(None, 1)[0] if " " in short[limit // 2 :] else short).rstrip() + "…"
    head, tail = text[: limit * 2 // 3], text[-(limit // 3 - 30) :]
    head = head.rsplit(None, 1)[0] if " " in head[len(head) // 2 :] else head
    tail = tail.split(None, 1)[1] if " " in tail[: len(tail) // 2].strip() else tail
    left = len(text) - len(head) - len(tail)
    return f"{head.rstrip()} … {left:,} characters left out … {tail.lstrip()}"
