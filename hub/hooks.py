"""Typed callers, one per hook, that keep a plugin's failure to itself: collected, timed, reported."""

from __future__ import annotations


class Hooks:
    """The callers of one process; made by `hub.plugins.load_plugins`."""
