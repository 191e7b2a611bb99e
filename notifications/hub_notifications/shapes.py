"""What a service takes: the format of its texts, how long they may be, and how it counts."""

from __future__ import annotations

from dataclasses import dataclass

from hub.texts.cutting import Unit
from hub.texts.formats import Format

LONGEST_TITLE = 200
"""Of every title; services that have none get it as the first line of the text."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a service takes."""

    format: Format = "text"
    max_title: int = LONGEST_TITLE
    """0: the service has no title; it is the first line of the text then."""
    max_text: int = 3_500
    unit: Unit = "characters"
    """What `max_title` and `max_text` count."""
    is_page: bool = True
    """Of HTML: it may have tables and styles, as in mail. False: lines of a chat, with the few elements it knows."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as a service takes it."""

    title: str
    """Plain text of one line, in every format."""
    text: str
    """In `format`. Begins with the title where the service has none: `has_title` is False then."""
    format: Format
    has_title: bool = True
    logs: int = 0
    """How many of the last log lines it shows; 0 too where a template wrote it."""
    problem: str = ""
    """Why a template of the channel was not used, for whoever wrote it."""
