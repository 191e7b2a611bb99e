"""The demo: a whole story on a hub of its own, through public commands and the API only."""

from __future__ import annotations

from hub.testing.demo.story import run

__all__ = ["run"]
