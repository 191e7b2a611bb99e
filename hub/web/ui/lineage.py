"""The geometry of a lineage graph: assets in columns by their distance from one, and curves between them.

Numbers only; a template writes them as SVG. No script, no inline style.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.graphs.layout import wide
from hub.types import Id

WIDTH, HEIGHT = 200, 46
"""Of a box, in pixels."""
GAP_X, GAP_Y = 44, 14
PAD = 12
"""Left and right of a text in its box."""
NAME, NOTE = 7.3, 6.2
"""How wide a character is, on the safe side: in the first line of a box, in the second."""


@dataclass(frozen=True, slots=True)
class Box:
    """An asset's place."""

    id: Id
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes, and the paths of the curves between them."""

    boxes: tuple[Box, ...]
    curves: tuple[str, ...]
    width: int
    height: int


def layered(columns: Mapping[int, Sequence[Id]], links: Sequence[tuple[Id, Id]]) -> Graph:
    """Place assets: `columns` by their number of steps before (negative) or after the one in column 0."""
    steps = sorted(columns)
    tall = max((len(columns[step]) for step in steps), default=0)
    height = max(1, tall) * (HEIGHT + GAP_Y) - GAP_Y
    boxes = {}
    for place, step in enumerate(steps):
        ids = columns[step]
        top = (height - (len(ids) * (HEIGHT + GAP_Y) - GAP_Y)) // 2
        for row, asset_id in enumerate(ids):
            boxes[asset_id] = Box(asset_id, place * (WIDTH + GAP_X), top + row * (HEIGHT + GAP_Y))
    curves = tuple(_curve(boxes[a], boxes[b]) for a, b in links if a in boxes and b in boxes)
    width = max(1, len(steps)) * (WIDTH + GAP_X) - GAP_X
    return Graph(tuple(boxes.values()), curves, width, height)


def start_of(text: str, character: float = NOTE) -> str:
    """As much of a text's beginning as a box has room for."""
    return end_of(text[::-1], character)[::-1]


def end_of(text: str, character: float = NAME) -> str:
    """As much of a text's end as a box has room for: the end of a long key says more than its beginning."""
    room = WIDTH - 2 * PAD
    if wide(text, character) <= room:
        return text
    while text and wide("…" + text, character) > room:
        text = text[1:]
    return "…" + text


def _curve(start: Box, end: Box) -> str:
    """From the right side of a box to the left side of another; backwards it bends around."""
    x1, y1 = start.x + WIDTH, start.y + HEIGHT // 2
    x2, y2 = end.x, end.y + HEIGHT // 2
    bend = max(GAP_X // 2, abs(x2 - x1) // 2)
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
