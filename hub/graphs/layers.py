"""Where boxes stand: in columns, each right of what it needs, in an order with few crossings.

The steps of Sugiyama's method: columns by the longest way, long edges through invisible boxes, several sweeps that
order each column by its neighbours, and heights that bring neighbours to one line as far as the order allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_X, GAP_Y = 56.0, 14.0
_SWEEPS = 8
_ALONE_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height of a box."""

    width: float
    height: float


@dataclass(slots=True)
class Placed:
    """Upper left corners of boxes; the points that each edge passes, from source to target; the size of it all."""

    at: dict[str, tuple[float, float]]
    ways: dict[tuple[str, str], list[tuple[float, float]]]
    size: Size


def place(sizes: Mapping[str, Size], edges: Iterable[tuple[str, str]]) -> Placed:
    """Place boxes, given in the order in which they came to be."""
    order = {name: number for number, name in enumerate(sizes)}
    # What goes backwards (possible between boxes that hold others) counts forwards.
    forward = sorted({(a, b) if order[a] < order[b] else (b, a) for a, b in edges if a != b}, key=lambda e: order[e[1]])
    tied = _tied(sizes, forward)
    level = _levels(tied, forward)
    columns, links, box = _with_bends(tied, forward, level, sizes)
    _untangle(columns, links)
    tops = _heights(columns, links, box)
    lefts, widths = _lefts(columns, box)
    at = {name: (lefts[level[name]], tops[name]) for name in tied}
    ways = {edge: _way(edge, chain, sizes, at, tops, lefts, widths, level) for edge, chain in _chains(forward, level)}
    width = lefts[-1] + widths[-1] if columns else 0.0
    height = max((tops[name] + box[name].height for column in columns for name in column), default=0.0)
    return _with_loners([name for name in sizes if name not in level], sizes, Placed(at, ways, Size(width, height)))


def _tied(sizes: Mapping[str, Size], edges: Iterable[tuple[str, str]]) -> list[str]:
    ends = {name for edge in edges for name in edge}
    return [name for name in sizes if name in ends]


def _levels(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    level = dict.fromkeys(names, 0)
    for source, target in edges:  # sorted by target, and every source comes before its target
        level[target] = max(level[target], level[source] + 1)
    fed = {target for _, target in edges}
    for name in names:
        if name not in fed:  # as near to its first user as can be
            level[name] = min(level[target] for source, target in edges if source == name) - 1
    return level


def _chains(
    edges: Iterable[tuple[str, str]], level: Mapping[str, int]
) -> Iterable[tuple[tuple[str, str], list[str]]]:  # fmt: skip
    """Each edge with the names of its invisible boxes."""
    for source, target in edges:
        yield (source, target), [f"{source}\0{target}\0{at}" for at in range(level[source] + 1, level[target])]


def _with_bends(
    names: Sequence[str], edges: Sequence[tuple[str, str]], level: Mapping[str, int], sizes: Mapping[str, Size]
) -> tuple[list[list[str]], list[tuple[str, str]], dict[str, Size]]:  # fmt: skip
    columns: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    box = {name: sizes[name] for name in names}
    for name in names:
        columns[level[name]].append(name)
    links: list[tuple[str, str]] = []
    for (source, target), chain in _chains(edges, level):
        for number, bend in enumerate(chain):
            columns[level[source] + 1 + number].append(bend)
            box[bend] = Size(0.0, 4.0)
        whole = [source, *chain, target]
        links += pairwise(whole)
    return columns, links, box


def _neighbours(links: Iterable[tuple[str, str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for source, target in links:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    return before, after


def _untangle(columns: list[list[str]], links: Sequence[tuple[str, str]]) -> None:
    """Order the columns in place so that few edges cross."""
    before, after = _neighbours(links)
    best, fewest = [list(column) for column in columns], _crossings(columns, after)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        near, way = (before, columns[1:]) if sweep % 2 == 0 else (after, columns[-2::-1])
        places = {name: at for column in columns for at, name in enumerate(column)}
        for column in way:
            wanted = {name: _mean([places[other] for other in near.get(name, ())], places[name]) for name in column}
            column.sort(key=wanted.__getitem__)
            places.update((name, at) for at, name in enumerate(column))
        found = _crossings(columns, after)
        if found < fewest:
            best, fewest = [list(column) for column in columns], found
    for column, kept in zip(columns, best, strict=True):
        column[:] = kept


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _crossings(columns: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    total = 0
    for left, right in pairwise(columns):
        places = {name: at for at, name in enumerate(right)}
        ends = [end for name in left for end in sorted(places[other] for other in after.get(name, ()))]
        total += sum(1 for at, end in enumerate(ends) for other in ends[:at] if other > end)
    return total


def _heights(
    columns: Sequence[Sequence[str]], links: Sequence[tuple[str, str]], box: Mapping[str, Size]
) -> dict[str, float]:  # fmt: skip
    """The top of each box: near the middle of its neighbours, in its column's order, without overlap."""
    before, after = _neighbours(links)
    middle: dict[str, float] = {}
    for column in columns:
        top = 0.0
        for name in column:
            middle[name] = top + box[name].height / 2
            top += box[name].height + GAP_Y
    for sweep in range(_SWEEPS):
        near, way = (before, columns) if sweep % 2 == 0 else (after, columns[::-1])
        for column in way:
            wanted = [_mean([middle[other] for other in near.get(name, ())], middle[name]) for name in column]
            middle.update(zip(column, _spread(column, wanted, box), strict=True))
    tops = {name: middle[name] - box[name].height / 2 for column in columns for name in column}
    least = min(tops.values(), default=0.0)
    return {name: top - least for name, top in tops.items()}


def _spread(column: Sequence[str], wanted: Sequence[float], box: Mapping[str, Size]) -> list[float]:
    """The middles that are nearest to the wanted ones and keep order and distance (pool adjacent violators)."""
    offsets, total = list[float](), 0.0
    for number, name in enumerate(column):
        total += box[name].height / 2 + (GAP_Y + box[column[number - 1]].height / 2 if number else 0.0)
        offsets.append(total)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        sum_, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > sum_ / count:
            sum_, count = sum_ + pools[-1][0], count + pools[-1][1]
            pools.pop()
        pools.append((sum_, count))
    shifts = [sum_ / count for sum_, count in pools for _ in range(count)]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _lefts(columns: Sequence[Sequence[str]], box: Mapping[str, Size]) -> tuple[list[float], list[float]]:
    widths = [max(box[name].width for name in column) for column in columns]
    lefts, at = list[float](), 0.0
    for width in widths:
        lefts.append(at)
        at += width + GAP_X
    return lefts, widths


def _way(
    edge: tuple[str, str], chain: Sequence[str], sizes: Mapping[str, Size], at: Mapping[str, tuple[float, float]],
    tops: Mapping[str, float], lefts: Sequence[float], widths: Sequence[float], level: Mapping[str, int],
) -> list[tuple[float, float]]:  # fmt: skip
    source, target = edge
    (x, y), size = at[source], sizes[source]
    points = [(x + size.width, y + size.height / 2)]
    for number, bend in enumerate(chain):
        column = level[source] + 1 + number
        points += [(lefts[column], tops[bend] + 2), (lefts[column] + widths[column], tops[bend] + 2)]
    x, y = at[target]
    return [*points, (x, y + sizes[target].height / 2)]


def _with_loners(names: Sequence[str], sizes: Mapping[str, Size], placed: Placed) -> Placed:
    """Boxes without any edge, side by side below the others."""
    if not names:
        return placed
    across = min(_ALONE_COLUMNS, len(names))
    rows = [names[at : at + across] for at in range(0, len(names), across)]
    widths = [max(sizes[row[at]].width for row in rows if at < len(row)) for at in range(across)]
    top = placed.size.height + (2 * GAP_Y if placed.at else 0.0)
    for row in rows:
        for at, name in enumerate(row):
            placed.at[name] = (sum(widths[:at]) + GAP_Y * at, top)
        top += max(sizes[name].height for name in row) + GAP_Y
    width = sum(widths) + GAP_Y * (across - 1)
    placed.size = Size(max(placed.size.width, width), top - GAP_Y)
    return placed
