"""A graph as SVG: no script, colours by classes; a drawing that stands alone brings its own for light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from hub.graphs.layout import TITLE, Box, Drawing, Line, cut, detail_of, label_of, lay_out
from hub.graphs.model import Cluster, Graph, Node

_STYLE = """
.hub-graph { --ink: #1a1d23; --soft: #545b68; --line: #858c99; --fill: #ffffff; --edge: #dcdfe5; --box: #f0f2f5; }
@media (prefers-color-scheme: dark) {
  .hub-graph { --ink: #e8eaee; --soft: #a3abb8; --line: #6d7583; --fill: #181b21; --edge: #2c313a; --box: #12151a; }
}
.hub-graph text { font: 13px system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--ink); }
.hub-graph text.detail { font-size: 11px; fill: var(--soft); }
.hub-graph text.title { font-size: 12px; font-weight: 600; fill: var(--soft); }
.hub-graph .node { fill: var(--fill); stroke: var(--line); }
.hub-graph .cluster { fill: var(--box); stroke: var(--edge); }
.hub-graph .edge { fill: none; stroke: var(--line); stroke-width: 1.2; }
.hub-graph .waits { stroke-dasharray: 4 3; }
.hub-graph .tip { fill: var(--line); }
"""


def svg(graph: Graph, *, alone: bool = True) -> str:
    """The drawing. With `alone` it brings its own colours; else the page around it has those of `.hub-graph`."""
    return "".join(_parts(graph, lay_out(graph), alone))


def _parts(graph: Graph, drawing: Drawing, alone: bool) -> Iterator[str]:
    width, height = f"{drawing.width:.0f}", f"{drawing.height:.0f}"
    told = f"{graph.title}: {len(graph.nodes)} steps, {len(graph.edges)} dependencies"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="hub-graph" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label={quoteattr(clean(told))}>'
    )
    if alone:
        yield f"<style>{_STYLE}</style>"
    for box in drawing.boxes:
        if isinstance(box.of, Cluster):
            yield _cluster(box, box.of)
    for line in drawing.lines:
        yield _line(line)
    for box in drawing.boxes:
        if isinstance(box.of, Node):
            yield _node(box, box.of)
    yield "</svg>\n"


def clean(text: str) -> str:
    """A text without what XML cannot hold."""
    return "".join("\ufffd" if c < " " or c in "\ufffe\uffff" or "\ud800" <= c <= "\udfff" else c for c in text)


def _cluster(box: Box, cluster: Cluster) -> str:
    title = escape(clean(cut(cluster.label, 40)))
    place = f'x="{box.x + 14:.1f}" y="{box.y + TITLE - 4:.1f}"'
    return f'{_rect(box, "cluster", 10)}<text class="title" {place}>{title}</text>'


def _node(box: Box, node: Node) -> str:
    label, detail = label_of(node), detail_of(node)
    state = f" state-{node.state.lower()}" if node.state.isalpha() else ""
    middle = box.x + box.width / 2
    first = box.y + (20 if detail else box.height / 2 + 4.5)
    text = f'<text x="{middle:.1f}" y="{first:.1f}" text-anchor="middle">{escape(clean(label))}</text>'
    if detail:
        place = f'x="{middle:.1f}" y="{box.y + 36:.1f}" text-anchor="middle"'
        text += f'<text class="detail" {place}>{escape(clean(detail))}</text>'
    told = escape(clean(" ".join(part for part in (node.label, node.detail) if part)))
    whole = f"<g><title>{told}</title>{_rect(box, 'node' + state, 7)}{text}</g>"
    return f"<a href={quoteattr(clean(node.address))}>{whole}</a>" if node.address else whole


def _rect(box: Box, kind: str, radius: int) -> str:
    return (
        f'<rect class="{kind}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{radius}"/>'
    )


def _line(line: Line) -> str:
    kind = "edge waits" if line.waits else "edge"
    (x, y), *rest = line.points
    forward = rest[-1][0] >= x
    tip = 6 if forward else -6
    rest[-1] = (rest[-1][0] - tip, rest[-1][1])
    path = [f"M{x:.1f} {y:.1f}"]
    for at, (to_x, to_y) in enumerate(rest):
        if at % 2:  # through a column: straight
            path.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            half = (x + to_x) / 2
            path.append(f"C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    head = f"M{x + tip:.1f} {y:.1f}l{-1.3 * tip:.1f} -4v8z"
    return f'<path class="{kind}" d="{"".join(path)}"/><path class="tip" d="{head}"/>'
