"""What bounds a template: sizes of everything that it may make, and the error that says which one it met."""

from __future__ import annotations

MAX_SOURCE = 20_000
"""Characters of a template."""
MAX_OUTPUT = 50_000
"""Characters that a template prints; the text is cut there."""
MAX_STRING = 50_000
MAX_ITEMS = 10_000
MAX_RANGE = 1_000
MAX_BITS = 256
MAX_DEPTH = 50
"""Nodes inside each other."""
CPU_S = 1.0
"""Seconds of computing for one text."""
MEMORY = 256 * 1024 * 1024
"""Bytes of address space over what the renderer has before it begins."""


class Refused(Exception):
    """A template does what a text for people need not do; the message says what."""


def bounded(text: str) -> str:
    """The text itself. Raises Refused when it is longer than a text in a template may be."""
    if len(text) > MAX_STRING:
        raise Refused(f"it makes a text longer than {MAX_STRING:,} characters")
    return text
