"""Labels of sites, as people write them and read them. The command line needs no more of placing runs than this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hub.errors import UsageError

MAX_LABELS = 50
"""Of one site."""
LONGEST = 200


def read_labels(texts: Sequence[str]) -> dict[str, str]:
    """Labels as they are written: `region=berlin`. Raises UsageError."""
    found = dict(_read(text) for text in texts)
    if len(found) > MAX_LABELS:
        raise UsageError(f"a hub has {MAX_LABELS} labels at most, not {len(found)}")
    return found


def check_label(name: str, value: str) -> None:
    """Whether a site can have it. Raises UsageError."""
    if (name, value) != _read(f"{name}={value}"):
        raise _no_label(f"{name}={value}")


def in_words(place: Mapping[str, Any]) -> str:
    """Where runs are placed (`labels`, `site`), as people read it."""
    labels = ", ".join(f"{name}={value}" for name, value in sorted((place.get("labels") or {}).items()))
    if place.get("site"):
        return f"at the site {place['site']}" + (f" if it has {labels}" if labels else "")
    return f"at a site with {labels}"


def _read(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()) or len(text) > LONGEST or not text.isprintable():
        raise _no_label(text)
    return name.strip(), value.strip()


def _no_label(text: str) -> UsageError:
    return UsageError(f"{text[:100]!r} is not a label", hint="Write it as region=berlin.")
