"""A graph as Mermaid text, as Markdown of many services shows it."""

from __future__ import annotations

from collections.abc import Iterator

from hub.graphs.layout import detail_of, label_of
from hub.graphs.model import Cluster, Graph, Node


def mermaid(graph: Graph) -> str:
    """The text."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    names |= {cluster.id: f"c{number}" for number, cluster in enumerate(graph.clusters)}
    yield "flowchart LR"
    yield from _inside(graph, "", names, "  ")
    for edge in graph.edges:
        yield f"  {names[edge.source]} {'-.->' if edge.waits else '-->'} {names[edge.target]}"


def _inside(graph: Graph, holder: str, names: dict[str, str], indent: str) -> Iterator[str]:
    for node in graph.nodes:
        if node.cluster == holder:
            yield f'{indent}{names[node.id]}["{_text(node)}"]'
    for cluster in graph.clusters:
        if cluster.parent == holder:
            yield f'{indent}subgraph {names[cluster.id]}["{_text(cluster)}"]'
            yield from _inside(graph, cluster.id, names, indent + "  ")
            yield f"{indent}end"


def _text(of: Node | Cluster) -> str:
    text = of.label if isinstance(of, Cluster) else " ".join(part for part in (label_of(of), detail_of(of)) if part)
    return "".join(letter if letter.isalnum() or letter in " -_.,:/?\u00d7" else f"#{ord(letter)};" for letter in text)
