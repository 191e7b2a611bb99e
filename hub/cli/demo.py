"""`hub demo`: the whole story on a hub of its own."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter


def demo(
    *,
    keep: Annotated[bool, Parameter(negative=(), help="Stay up afterwards and print the dashboard's address.")] = False,
) -> None:
    """Start a hub in a temporary home, send it signed GitHub webhooks, and watch what happens."""
    from hub.testing.demo import run

    run(keep=keep)
