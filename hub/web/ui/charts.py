"""The geometry of charts, in numbers that a template writes as SVG attributes: no script, no inline style.

Positions across are percentages, so that a chart fills its place at any width and its text keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hub.types import Micros


@dataclass(frozen=True, slots=True)
class Piece:
    """A rectangle: x and width in percent, y and height in pixels (a row's pieces: of the row)."""

    kind: str
    x: float
    width: float
    y: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stacked bar chart, with the sentence that tells it."""

    label: str
    title: str
    x: float
    width: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Stacked:
    """A stacked bar chart of `height` pixels; `lines` are (y, text) of its grid."""

    columns: tuple[Column, ...]
    lines: tuple[tuple[float, str], ...]
    height: int


def stacked(columns: Sequence[tuple[str, Mapping[str, int]]], kinds: Sequence[str], *, height: int = 150) -> Stacked:
    """Stack counts by kind (in the order of `kinds`, from the bottom) for every labelled column."""
    top = nice_top(max((sum(counts.values()) for _, counts in columns), default=0))
    step = 100 / max(1, len(columns))
    made = []
    for index, (label, counts) in enumerate(columns):
        pieces = _pile(counts, kinds, step * index + step * 0.12, step * 0.76, height / top, height)
        told = ", ".join(f"{counts[kind]} {kind.lower()}" for kind in kinds if counts.get(kind)) or "none"
        made.append(Column(label, f"{label}: {told}", step * index, step, pieces))
    lines = tuple((round(height - height * part, 2), f"{top * part:g}") for part in (0, 0.5, 1))
    return Stacked(tuple(made), lines, height)


def _pile(
    counts: Mapping[str, int], kinds: Sequence[str], x: float, width: float, scale: float, height: int
) -> tuple[Piece, ...]:
    pieces, y = [], float(height)
    for kind in kinds:
        tall = counts.get(kind, 0) * scale
        if tall:
            tall = max(tall, 2.0)  # one failure among thousands must still be seen
            y = max(0.0, y - tall)
            pieces.append(Piece(kind.lower(), round(x, 3), round(width, 3), round(y, 2), round(tall, 2)))
    return tuple(pieces)


def nice_top(most: int) -> int:
    """The least even round number that is not under `most`: 2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, ..."""
    power = 1
    while True:
        for tenths in _STEPS:
            top = tenths * power // 10
            if top >= max(most, 2) and top % 2 == 0 and tenths * power % 10 == 0:
                return top
        power *= 10


_STEPS = (10, 12, 16, 20, 24, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time: `since` it could have run, from `start` to `end` (None: still going)."""

    kind: str
    since: Micros
    start: Micros | None
    end: Micros | None


def timeline(spans: Iterable[Span], now: Micros) -> tuple[list[tuple[Piece, ...]], Micros, Micros]:
    """One row of pieces for every span on a common axis, and the axis's two ends."""
    rows = list(spans)
    left = min((span.since for span in rows), default=now)
    right = max([*(span.end or now for span in rows), left + 1])
    scale = 100 / (right - left)
    return [_row(span, left, right, scale) for span in rows], left, right


def _row(span: Span, left: Micros, right: Micros, scale: float) -> tuple[Piece, ...]:
    def piece(kind: str, start: Micros, end: Micros, least: float) -> Piece:
        # Clocks of several machines disagree: whatever they say, a bar stays within its row.
        first, last = (min(max((at - left) * scale, 0), 100) for at in (start, end))
        width = max(last - first, least)
        return Piece(kind, round(min(first, 100 - width), 3), round(width, 3))

    start = span.start if span.start is not None else span.end or right
    pieces = [piece("waited", span.since, start, 0)] if start > span.since else []
    if span.start is not None:
        pieces.append(piece(span.kind.lower(), span.start, span.end if span.end is not None else right, 0.6))
    return tuple(pieces)
