"""What commands print: tables, details, JSON; colours and relative times on a terminal, plain text elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hub.errors import UsageError

AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON instead of text.")]
Yes: TypeAlias = Annotated[bool, Parameter(name=("--yes", "-y"), negative=(), help="Do not ask.")]
DryRun: TypeAlias = Annotated[bool, Parameter(negative=(), help="Only say what would be done.")]
Limit: TypeAlias = Annotated[int, Parameter(name=("--limit", "-n"), help="At most so many rows.")]
Kind: TypeAlias = Literal["text", "state", "time", "id", "seconds", "flag", "list"]

STATE_STYLES = {
    "COMPLETED": "green", "FAILED": "red", "CRASHED": "magenta", "CANCELLED": "bright_black", "RUNNING": "cyan",
    "CANCELLING": "yellow", "PENDING": "blue", "SCHEDULED": "blue", "PAUSED": "yellow",
    "accepted": "green", "verified": "green", "loaded": "green", "sent": "green", "ok": "green",
    "rejected": "red", "failed": "red", "dead": "red", "disabled": "bright_black", "duplicate": "yellow",
    "degraded": "yellow", "incompatible": "red",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, where its value is (a key, dotted for nested ones, or a function), how it is shown."""

    title: str
    value: str | Callable[[Mapping[str, Any]], Any]
    kind: Kind = "text"

    def of(self, item: Mapping[str, Any]) -> Any:
        """The value for one item."""
        if callable(self.value):
            return self.value(item)
        found: Any = item
        for part in self.value.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found


def console() -> Console:
    """Where answers go."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def error_console() -> Console:
    """Where errors, questions and progress go."""
    return Console(stderr=True, highlight=False)


def table(items: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool, empty: str) -> None:
    """Print a listing: JSON array, table, or the sentence `empty` (which names the next command to type)."""
    rows = list(items)
    if as_json:
        print_json(rows)
    elif not rows:
        error_console().print(empty, markup=False)
    elif sys.stdout.isatty():
        console().print(_rich_table(rows, columns))
    else:
        _plain_table(rows, columns)


def detail(item: Mapping[str, Any], columns: Sequence[Column], *, as_json: bool) -> None:
    """Print one thing: JSON object, or a line a field; fields without a value are left out."""
    if as_json:
        print_json(item)
        return
    terminal, out = sys.stdout.isatty(), console()
    shown = [(column, column.of(item)) for column in columns]
    shown = [(column, value) for column, value in shown if value not in (None, "", [], {})]
    width = max((len(column.title) for column, _ in shown), default=0)
    for column, value in shown:
        line = Text(f"{column.title:<{width}}  ", style="dim")
        out.print(line.append_text(cell(value, column.kind, relative=terminal)), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_json_line(value: Any) -> None:
    """Print one JSON value on one line at once, for streams."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def say(message: str, *, style: str = "") -> None:
    """Print a sentence for people."""
    show(Text(message, style=style))


def show(line: Text) -> None:
    """Print a line for people."""
    console().print(line, soft_wrap=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone. Without a terminal `--yes` is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} This cannot be undone.", hint="Give --yes to do it without being asked.")
    answer = input(f"{question} This cannot be undone. [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("Nothing was changed.")


def cell(value: Any, kind: Kind = "text", *, relative: bool) -> Text:
    """One value as text, coloured where that says something."""
    if value is None or value == "":
        return Text("-", style="dim")
    if kind == "time":
        return Text(ago(value) if relative else str(value)[:19] + "Z", style="")
    if kind == "state":
        name, _, type_ = str(value).partition("|")
        return Text(name, style=STATE_STYLES.get(type_ or name, ""))
    return Text(_plain(value, kind), style="dim" if kind == "id" and relative else "")


def state(item: Mapping[str, Any]) -> str:
    """The value of a state column: the display name, and the type that colours it."""
    return f"{item.get('state_name', '')}|{item.get('state_type', '')}"


def ago(moment: str, *, now: float | None = None) -> str:
    """A time relative to now: "3 min ago", "in 2 h"."""
    then = datetime.fromisoformat(moment).astimezone(UTC).timestamp()
    gap = (time.time() if now is None else now) - then
    size = abs(gap)
    if size < 5:
        return "now"
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h"), (float("inf"), 86_400, "days")):
        if size < limit:
            words = f"{round(size / unit)} {name}"
            break
    return f"{words} ago" if gap > 0 else f"in {words}"


def duration(seconds: float | None) -> str:
    """A length of time: "0.2 s", "3 min 20 s"."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.1 or seconds == 0 else f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _plain(value: Any, kind: Kind) -> str:
    if kind == "seconds":
        return duration(float(value))
    if kind == "flag":
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _rich_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        # Ids and states must stay whole to be copied; texts give way.
        made.add_column(column.title, no_wrap=column.kind in ("id", "state", "time"), overflow="fold")
    for row in rows:
        made.add_row(*(cell(column.of(row), column.kind, relative=True) for column in columns))
    return made


def _plain_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    lines = [[column.title for column in columns]]
    lines += [[cell(column.of(row), column.kind, relative=False).plain for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
