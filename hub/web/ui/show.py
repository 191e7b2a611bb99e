"""How values look to a person: times, durations, sizes, JSON, bytes. Pure functions, used as template filters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from hub.types import SECOND, Micros, now_us, rfc3339

MAX_JSON = 20_000
_UNITS = ((86_400, "day"), (3600, "h"), (60, "min"))
_HEX_WIDTH = 16


def duration(micros: Micros | None) -> str:
    """A span in words of at most two units: 0 s, 340 ms, 2.4 s, 3 min 12 s, 1 h 5 min, 2 days 3 h."""
    if micros is None:
        return "–"
    if micros < SECOND:
        return f"{max(micros, 0) // 1000} ms"
    seconds = micros / SECOND
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    left = int(seconds)
    parts = []
    for size, unit in (*_UNITS, (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
    return " ".join(parts[:2])


def rough(micros: Micros) -> str:
    """A span in one unit: just now, 40 s, 3 min, 2 h, 5 days."""
    seconds = abs(micros) // SECOND
    for size, unit in _UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{seconds} s"


def ago(at: Micros | None, now: Micros | None = None) -> Markup:
    """A `<time>` element: relative for the eye, exact in its title and its attribute."""
    if at is None:
        return Markup('<span class="none">–</span>')
    distance = (now_us() if now is None else now) - at
    near = abs(distance) < 2 * SECOND
    words = "just now" if near else f"{rough(distance)} ago" if distance > 0 else f"in {rough(distance)}"
    return _time(at, words)


def clock(at: Micros | None, *, millis: bool = False) -> Markup:
    """A `<time>` element with the time of day in UTC."""
    if at is None:
        return Markup('<span class="none">–</span>')
    moment = _moment(at)
    return _time(at, f"{moment:%H:%M:%S}" + (f".{at % SECOND // 1000:03d}" if millis else ""))


def stamp(at: Micros | None) -> Markup:
    """A `<time>` element with date and time in UTC."""
    return Markup('<span class="none">–</span>') if at is None else _time(at, exact(at))


def exact(at: Micros) -> str:
    """Date and time in UTC, to the second."""
    return f"{_moment(at):%Y-%m-%d %H:%M:%S} UTC"


def size(count: int | None) -> str:
    """Bytes in the unit that fits: 0 B, 512 B, 1.5 KiB, 2.0 MiB."""
    value = float(count or 0)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def number(value: int) -> str:
    """An integer with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def plural(count: int, one: str, many: str = "") -> str:
    """The count and its noun: 1 run, 2 runs."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """The text with a capital first letter; all others stay as they are."""
    return text[:1].upper() + text[1:]


def pretty(value: Any, limit: int = MAX_JSON) -> str:
    """JSON for reading, cut at `limit` characters with a note of how much is missing."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False, default=str), limit)


def cut(text: str, limit: int = 2000) -> str:
    """A long text, cut with a note of how much is missing."""
    return text if len(text) <= limit else f"{text[:limit]}\n… {number(len(text) - limit)} more characters"


def result(value: bytes, format_: str | None) -> str:
    """A stored result for reading: JSON as JSON, a file by its name, anything else by its format and size."""
    if format_ is not None and format_.startswith("json"):
        try:
            return pretty(json.loads(value))
        except ValueError:
            return cut(value.decode("utf-8", "replace"))
    store, colon, kind = (format_ or "").partition(":")
    if colon:
        return f"in the result store {store}, as {kind}: {cut(value.decode('utf-8', 'replace'), 1000)}"
    return f"{size(len(value))} of {format_ or 'an unknown format'}"


def readable(body: bytes) -> str | None:
    """The body as text when it is text that a person can read; None when only hex does it justice."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    control = sum(1 for char in text[:4096] if ord(char) < 32 and char not in "\t\r\n")
    return None if control else text


def hexdump(body: bytes) -> str:
    """Offset, bytes, ASCII: sixteen a line."""
    lines = []
    for start in range(0, len(body), _HEX_WIDTH):
        chunk = body[start : start + _HEX_WIDTH]
        left, right = chunk[:8].hex(" "), chunk[8:].hex(" ")
        text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in chunk)
        lines.append(f"{start:08x}  {left:<23}  {right:<23}  {text}")
    return "\n".join(lines)


def _moment(at: Micros) -> datetime:
    try:
        return datetime.fromtimestamp(at / SECOND, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _time(at: Micros, words: str) -> Markup:
    try:
        machine = rfc3339(at)
    except (OverflowError, ValueError, OSError):
        return Markup('<span class="none">{}</span>').format("far away")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, exact(at), escape(words))
