"""The arrivals of a herd as an SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 300, 46, 40, 44


class Arrivals(Protocol):
    """What is drawn: seconds after the start."""

    sites: int
    asked: list[float]
    let_in: list[float]
    in_step: list[float]


def drawn(told: Arrivals) -> str:
    """Bars: sessions asked for and begun, by second; line: the share of sites that are in step."""
    seconds = int(max(told.asked + told.in_step)) + 1
    asked, begun = (Counter(int(at) for at in found) for found in (told.asked, told.let_in))
    top = max(asked.values())
    wide = (WIDTH - LEFT - 46) / seconds
    high = HEIGHT - BOTTOM - TOP

    def y(share: float) -> float:
        return HEIGHT - BOTTOM - share * high

    bars = "".join(
        f'<rect class="{kind}" x="{LEFT + second * wide:.1f}" y="{y(count / top):.1f}" width="{max(1, wide - 1):.1f}"'
        f' height="{count / top * high:.1f}"/>'
        for kind, counts in (("asked", asked), ("begun", begun))
        for second, count in sorted(counts.items())
    )
    line = " ".join(
        f"{LEFT + at * wide:.1f},{y((place + 1) / told.sites):.1f}" for place, at in enumerate(sorted(told.in_step))
    )
    step = _step(seconds)
    marks = "".join(_text(LEFT + at * wide, HEIGHT - 22, f"{at} s", "middle") for at in range(0, seconds + 1, step))
    left = "".join(_text(LEFT - 6, y(share) + 4, f"{top * share:.0f}", "end") for share in (0, 0.5, 1))
    right = "".join(_text(WIDTH - 40, y(share) + 4, f"{share:.0%}", "start") for share in (0, 0.5, 1))
    title = f"{told.sites} sites come back at once: sessions in each second"
    key = _key([("asked", "asked for"), ("begun", "begun"), ("line", "sites in step")])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        "<style>text{font:12px sans-serif;fill:#57606a}.asked{fill:#d0d7de}.begun{fill:#2f81f7}"
        ".line{fill:none;stroke:#1a7f37;stroke-width:2}.key.line{fill:#1a7f37}</style>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{_text(LEFT, 18, title, "start")}{key}{bars}'
        f'<polyline class="line" points="{LEFT},{y(0):.1f} {line}"/>{marks}{left}{right}</svg>\n'
    )


def _step(seconds: int) -> int:
    return next((step for step in (1, 2, 5, 10, 20, 30, 60) if seconds / step <= 12), 120)


def _key(entries: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f'<rect class="key {name}" x="{LEFT + place * 110}" y="26" width="10" height="10"/>'
        + _text(LEFT + place * 110 + 15, 35, words, "start")
        for place, (name, words) in enumerate(entries)
    )


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'
