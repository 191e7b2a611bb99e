"""Labels of sites, as people write them."""

from __future__ import annotations

from collections.abc import Sequence

from hub.errors import UsageError

MAX_LABELS = 50
"""Of one site."""


def read_labels(texts: Sequence[str]) -> dict[str, str]:
    """Labels as they are written: `region=berlin`. Raises UsageError."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.strip() and value.strip()) or len(text) > 200 or not text.isprintable():
            raise UsageError(f"{text[:100]!r} is not a label", hint="Write it as region=berlin.")
        found[name.strip()] = value.strip()
    if len(found) > MAX_LABELS:
        raise UsageError(f"a hub has {MAX_LABELS} labels at most, not {len(found)}")
    return found
