"""Layouts keep their promises for any graph: no overlap, everything inside, edges from left to right."""

from __future__ import annotations

import itertools
from typing import Any
from xml.etree import ElementTree as Xml

from hub.graphs.layers import Size, place
from hub.graphs.layout import Box, lay_out
from hub.graphs.mermaid import mermaid
from hub.graphs.model import Cluster, Edge, Graph, Node
from hub.graphs.svg import svg
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def graphs(draw: Any) -> Graph:
    clusters = []
    for number in range(draw(st.integers(0, 4))):
        parent = draw(st.sampled_from(["", *(cluster.id for cluster in clusters)]))
        clusters.append(Cluster(f"c{number}", draw(st.text(max_size=60)), parent))
    homes = st.sampled_from(["", *(cluster.id for cluster in clusters)])
    count = draw(st.integers(0, 14))
    texts = st.text(max_size=50)
    nodes = tuple(Node(f"n{n}", draw(texts), draw(texts), draw(homes)) for n in range(count))
    pairs = draw(st.sets(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=30))
    edges = tuple(Edge(f"n{a}", f"n{b}", (a + b) % 2 == 0) for a, b in sorted(pairs) if a < b < count)
    return Graph(draw(texts), nodes, edges, tuple(clusters))


@given(graphs())
def test_nothing_overlaps_and_all_of_it_is_inside(graph: Graph) -> None:
    drawing = lay_out(graph)
    assert len(drawing.boxes) == len(graph.nodes) + len(graph.clusters)
    homes = {box.of.id: (box.of.cluster if isinstance(box.of, Node) else box.of.parent) for box in drawing.boxes}
    where = {box.of.id: box for box in drawing.boxes}
    for box in drawing.boxes:
        assert _holds(Box(0, 0, drawing.width, drawing.height, box.of), box)
        home = where.get(homes[box.of.id])
        assert home is None or _holds(home, box)
    for one, other in itertools.combinations(drawing.boxes, 2):
        if homes[one.of.id] == homes[other.of.id]:
            apart = one.x + one.width <= other.x + 0.1 or other.x + other.width <= one.x + 0.1
            assert apart or one.y + one.height <= other.y + 0.1 or other.y + other.height <= one.y + 0.1


def _holds(outer: Box, inner: Box) -> bool:
    beside = outer.x <= inner.x and inner.x + inner.width <= outer.x + outer.width + 0.1
    return beside and outer.y <= inner.y and inner.y + inner.height <= outer.y + outer.height + 0.1


@given(graphs())
def test_its_drawing_and_its_text_are_well_formed_whatever_the_names(graph: Graph) -> None:
    for alone in (True, False):
        Xml.fromstring(svg(graph, alone=alone))
    text = mermaid(graph)
    assert text.startswith("flowchart LR\n")
    ends = [line for line in text.splitlines() if line.strip() == "end"]
    assert text.count("subgraph") == len(ends) == len(graph.clusters)


def test_a_step_stands_right_of_what_it_needs_and_a_chain_is_a_line() -> None:
    sizes = {name: Size(40, 30) for name in "abdce"}
    placed = place(sizes, [("a", "b"), ("b", "c"), ("a", "c"), ("d", "c")])
    xs = {name: placed.at[name][0] for name in sizes}
    assert xs["a"] < xs["b"] < xs["c"]
    assert xs["d"] == xs["b"], "what needs nothing stands next to who needs it"
    assert placed.at["e"][1] > max(placed.at[name][1] for name in "abcd"), "what is tied to nothing stands below"
    assert len(placed.ways["a", "c"]) == 4, "a long edge goes through the column between"
    line = place(sizes, [("a", "b"), ("b", "d"), ("d", "c"), ("c", "e")])
    assert {y for _, y in line.at.values()} == {0.0}


def test_few_edges_cross_where_none_need_to() -> None:
    sizes = {f"{kind}{n}": Size(40, 30) for kind in "ab" for n in range(9)}
    placed = place(sizes, [(f"a{n}", f"b{8 - n}") for n in range(9)])
    order = [sorted(range(9), key=lambda n, kind=kind: placed.at[f"{kind}{n}"][1]) for kind in "ab"]  # type: ignore[misc]
    assert order[0] == [8 - n for n in order[1]]


def test_too_many_nodes_are_grouped_by_name_and_state() -> None:
    states = ["FAILED" if n == 7 else "COMPLETED" for n in range(500)]
    nodes = tuple(Node(f"n{n}", f"load-{n}", group="load", state=state) for n, state in enumerate(states))
    end = Node("end", "end")
    graph = Graph("big", (*nodes, end), tuple(Edge(node.id, "end") for node in nodes))
    assert graph.at_most(501) is graph
    small = graph.at_most(300)
    assert [(node.label, node.count, node.state) for node in small.nodes] == [
        ("load", 499, "COMPLETED"), ("load", 1, "FAILED"), ("end", 1, ""),
    ]  # fmt: skip
    assert small.edges == (Edge("n0", "end"), Edge("n7", "end"))


def test_two_hundred_steps_are_laid_out() -> None:
    nodes = tuple(Node(f"n{n}", f"step {n}") for n in range(200))
    edges = tuple(Edge(f"n{a}", f"n{b}") for b in range(1, 200) for a in {b - 1 - b % 7, b // 2} if 0 <= a < b)
    drawing = lay_out(Graph("large", nodes, edges))
    assert len(drawing.boxes) == 200
