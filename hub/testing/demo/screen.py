"""What the demo prints: rich on a terminal, the same words without colour elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Screen:
    """Prints the story and keeps how long each step took."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._timings: list[tuple[str, float]] = []

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step of the story, timed."""
        self._console.print(Text(f"\n{title}", style="bold"))
        began = time.monotonic()
        yield
        self._timings.append((title, time.monotonic() - began))

    def command(self, words: Sequence[str]) -> None:
        """A command that is run, as one would type it."""
        shown = " ".join(f"'{word}'" if set(word) & set(" ?&=;*") else word for word in words)
        self._console.print(Text("  $ ", style="dim").append(f"hub {shown}", style="cyan"))

    def fact(self, name: str, text: str, *, good: bool = True, seconds: float | None = None) -> None:
        """Something that turned out as it should (or that was refused, as it should)."""
        line = Text("  ✓ " if good else "  ✗ ", style="green" if good else "red")
        line.append(f"{name:<9}", style="bold").append(f" {text}")
        if seconds is not None:
            line.append(f"  {seconds * 1000:.0f} ms", style="dim")
        self._console.print(line)

    def line(self, text: str, *, style: str = "") -> None:
        """A plain line, indented."""
        self._console.print(Text(f"    {text}", style=style))

    def timings(self) -> None:
        """How long each step took."""
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
        for title, seconds in self._timings:
            table.add_row(f"  {title}", f"{seconds:.2f} s")
        total = sum(seconds for _, seconds in self._timings)
        table.add_row(Text("  all of it", style="bold"), Text(f"{total:.2f} s", style="bold"))
        self._console.print(Text("\nTimings", style="bold"))
        self._console.print(table)
