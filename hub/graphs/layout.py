"""Where everything of a graph stands: clusters are laid out by themselves and stand as boxes among the others."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from hub.graphs.layers import Placed, Size, place
from hub.graphs.model import Cluster, Edge, Graph, Node

PAD = 16.0
TITLE = 24.0
_LABEL, _DETAIL = 40, 44
"""Characters; longer texts are cut."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the drawing, with the node or the cluster that it stands for."""

    x: float
    y: float
    width: float
    height: float
    of: Node | Cluster


@dataclass(frozen=True, slots=True)
class Line:
    """An edge, and the points it passes."""

    points: tuple[tuple[float, float], ...]
    waits: bool


@dataclass(slots=True)
class Drawing:
    """All rectangles, clusters before what is in them, and all lines."""

    width: float
    height: float
    boxes: list[Box] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def cut(text: str, limit: int) -> str:
    """A text in one line of at most so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def label_of(node: Node) -> str:
    """What is written in a node."""
    times = "" if node.count == 1 else f" \u00d7{node.count if node.count >= 0 else '?'}"
    return cut(node.label, _LABEL) + times


def detail_of(node: Node) -> str:
    """What is written below that."""
    return cut(node.detail, _DETAIL)


def lay_out(graph: Graph) -> Drawing:
    """Place all of it."""
    inside = _Inside(graph)
    made = inside.drawn("")
    drawing = Drawing(made.size.width + 2 * PAD, made.size.height + 2 * PAD)
    inside.put("", made, PAD, PAD, drawing)
    return drawing


class _Inside:
    def __init__(self, graph: Graph) -> None:
        self._clusters = {cluster.id: cluster for cluster in graph.clusters}
        self._nodes = {node.id: node for node in graph.nodes}
        self._parts: dict[str, list[str]] = {"": []}
        self._made: dict[str, Placed] = {}
        self._waits: dict[tuple[str, str, str], bool] = {}
        self._edges: dict[str, list[tuple[str, str]]] = {}
        for cluster in graph.clusters:
            self._parts[cluster.id] = []
        # A cluster stands among its neighbours where its first node was made.
        for node in graph.nodes:
            self._hold(node.cluster, node.id)
        for cluster in graph.clusters:
            self._hold(cluster.parent, cluster.id)
        for edge in graph.edges:
            self._lift(edge)

    def _hold(self, holder: str, name: str) -> None:
        if name in self._parts[holder]:
            return
        self._parts[holder].append(name)
        if holder:
            self._hold(self._clusters[holder].parent, holder)

    def _path(self, name: str) -> list[str]:
        """The clusters around something, outermost first, and itself."""
        path = [name]
        at = self._nodes[name].cluster if name in self._nodes else self._clusters[name].parent
        while at:
            path.append(at)
            at = self._clusters[at].parent
        return path[::-1]

    def _lift(self, edge: Edge) -> None:
        """An edge between boxes of different clusters is one between the boxes around them."""
        source, target = self._path(edge.source), self._path(edge.target)
        holder = ""
        while source[0] == target[0] and len(source) > 1 and len(target) > 1:
            holder = source.pop(0)
            target.pop(0)
        if source[0] != target[0]:
            key = (holder, source[0], target[0])
            self._waits[key] = self._waits.get(key, True) and edge.waits
            self._edges.setdefault(holder, []).append(key[1:])

    def drawn(self, holder: str) -> Placed:
        """What is inside a cluster, from its own upper left corner."""
        sizes = {name: self._size(name) for name in self._parts[holder]}
        made = self._made[holder] = place(sizes, self._edges.get(holder, ()))
        return made

    def _size(self, name: str) -> Size:
        node = self._nodes.get(name)
        if node is not None:
            detail = detail_of(node)
            return Size(max(wide(label_of(node), 7.3), wide(detail, 6.2), 40.0) + 28.0, 48.0 if detail else 34.0)
        size = self.drawn(name).size
        title = wide(cut(self._clusters[name].label, _LABEL), 7.0) + 2 * PAD
        return Size(max(size.width + 2 * PAD, title), size.height + TITLE + 2 * PAD)

    def put(self, holder: str, made: Placed, x: float, y: float, drawing: Drawing) -> None:
        """Add what is inside a cluster to the drawing, at its place."""
        for name, (left, top) in made.at.items():
            size = self._size_of(name)
            node = self._nodes.get(name)
            drawing.boxes.append(Box(x + left, y + top, size.width, size.height, node or self._clusters[name]))
            if node is None:
                self.put(name, self._made[name], x + left + PAD, y + top + PAD + TITLE, drawing)
        for (source, target), points in made.ways.items():
            waits = self._waits.get((holder, source, target))
            backwards = waits is None
            if backwards:
                points, waits = points[::-1], self._waits.get((holder, target, source), False)
            drawing.lines.append(Line(tuple((x + a, y + b) for a, b in points), bool(waits)))

    def _size_of(self, name: str) -> Size:
        if name in self._nodes:
            return self._size(name)
        size = self._made[name].size
        title = wide(cut(self._clusters[name].label, _LABEL), 7.0) + 2 * PAD
        return Size(max(size.width + 2 * PAD, title), size.height + TITLE + 2 * PAD)


def wide(text: str, character: float) -> float:
    """About how wide a text is drawn. Without fonts this is a guess, on the safe side."""
    return sum(character * (1.9 if unicodedata.east_asian_width(letter) in "WF" else 1.0) for letter in text)
