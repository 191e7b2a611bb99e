"""A graph to look at: in a notebook, in a file, as text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hub.errors import UsageError
from hub.graphs.mermaid import mermaid
from hub.graphs.model import Graph
from hub.graphs.svg import svg

MOST = 300
"""Nodes; beyond that, those of one task are one."""


@dataclass(frozen=True)
class Picture:
    """What a flow does, as `flow.visualize()` found out. Notebooks show it as a drawing."""

    graph: Graph

    def __repr__(self) -> str:
        return f"<picture of {self.graph.title}: {len(self.graph.nodes)} steps>"

    @cached_property
    def svg(self) -> str:
        """The drawing; light or dark as its reader prefers."""
        return svg(self.graph.at_most(MOST))

    @cached_property
    def mermaid(self) -> str:
        """The same as Mermaid text, for Markdown."""
        return mermaid(self.graph.at_most(MOST))

    def save(self, path: str | Path) -> Path:
        """Write it to a file: `.svg`, `.mmd`, or `.md` with the Mermaid text in a block. Raises UsageError, OSError."""
        place = Path(path)
        texts = {".svg": lambda: self.svg, ".mmd": lambda: self.mermaid, ".md": self._repr_markdown_}
        if place.suffix not in texts:
            raise UsageError(f"{place} is none of the files that a picture makes", hint="End it in .svg, .mmd or .md.")
        place.write_text(texts[place.suffix](), encoding="utf-8")
        return place

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_markdown_(self) -> str:
        return f"```mermaid\n{self.mermaid}```\n"
