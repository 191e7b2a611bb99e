"""A graph of steps: nodes in the order in which they were made, edges, and clusters that hold them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Node:
    """A step. `group` is what it counts as when there are too many, `state` a state's type, `address` a link."""

    id: str
    label: str
    detail: str = ""
    cluster: str = ""
    group: str = ""
    state: str = ""
    address: str = ""
    count: int = 1
    """How many calls it stands for; -1: not known."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` needs `source`; with `waits` it only waits for it."""

    source: str
    target: str
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """A box around nodes, in another one if `parent` says so."""

    id: str
    label: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """All of it. Clusters stand before those inside them."""

    title: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    clusters: tuple[Cluster, ...] = ()

    def at_most(self, count: int) -> Graph:
        """The same graph, or one node for each group, cluster and state when it has more nodes than that."""
        return self if len(self.nodes) <= count else _grouped(self)


def _grouped(graph: Graph) -> Graph:
    places: dict[str, str] = {}
    made: dict[tuple[str, str, str], Node] = {}
    for node in graph.nodes:
        key = (node.group or node.label, node.cluster, node.state)
        known = made.get(key)
        if known is None:
            made[key] = replace(node, label=node.group or node.label, address="")
        else:
            made[key] = replace(known, count=known.count + node.count)
        places[node.id] = made[key].id
    return replace(graph, nodes=tuple(made.values()), edges=tuple(_moved(graph.edges, places)))


def _moved(edges: Iterable[Edge], places: dict[str, str]) -> Iterable[Edge]:
    found: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        source, target = places.get(edge.source, edge.source), places.get(edge.target, edge.target)
        if source != target:
            known = found.get((source, target))
            found[source, target] = Edge(source, target, edge.waits and (known is None or known.waits))
    return found.values()
