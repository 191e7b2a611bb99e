"""How long a text is as its service counts, and a cut that breaks nothing. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from hub.texts.formats import Format

Unit: TypeAlias = Literal["characters", "utf16", "bytes"]
UNITS: tuple[Unit, ...] = get_args(Unit)

_WHOLE = {
    "text": r"https?://\S+",
    "slack": r"```|<[^<>\n]*>|&(?:amp|lt|gt);|`[^`\n]+`",
    "markdown": r"```|\\.|!?\[(?:\\.|[^\]\\])*\]\([^)\s]*\)|<[^<>\n]*>|&#?\w+;|`[^`\n]+`|https?://\S+",
    "html": r"(?si:<(style|script|head)\b.*?</\1\s*>)|<!--(?s:.*?)-->|<[^<>]*>|&#?\w+;",
}
_GRAPHEME = r"(?s:.)(?:[\u0300-\u036f\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]|\u200d(?s:.))*"
_PIECES = {form: re.compile(f"{whole}|{_GRAPHEME}") for form, whole in _WHOLE.items()}
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*?(/?)>")
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "wbr", "area", "base", "embed", "source"})
_DEEPEST = 100
_ENOUGH = 0.6
"""A cut at a line's end is better than one at a word's end unless it costs more than this leaves."""


def measure(text: str, unit: Unit = "characters") -> int:
    """The length of a text as a service counts it."""
    if unit == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) if unit == "characters" else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int, form: Format = "text", unit: Unit = "characters") -> str:
    """The text, or as much of it as is no longer than `limit`, with a note of what is left out.

    Cut at the end of a line or a word, and never inside a link, an entity, an escape or a character made of several;
    a code block or an element that is open is closed. Empty where not even the note has room.
    """
    if measure(text, unit) <= limit:
        return text
    fitting = [end for end in _ends(text, form, unit, limit) if end.size + measure(_tail(text, end), unit) <= limit]
    if not fitting:
        return ""
    end = _best(fitting)
    return text[: end.at].rstrip(" \n") + _tail(text, end)


@dataclass(frozen=True, slots=True)
class _End:
    """A place where the text may end, how long it is up to there, and what is open."""

    at: int
    size: int
    kind: Literal["line", "word", "piece"]
    form: Format
    is_fenced: bool = False
    tags: tuple[str, ...] = ()


def _ends(text: str, form: Format, unit: Unit, limit: int) -> Iterator[_End]:
    """Every place where it may be cut, in order, up to the limit."""
    size, is_fenced = 0, False
    tags: tuple[str, ...] = ()
    yield _End(0, 0, "piece", form)
    for found in _PIECES[form].finditer(text):
        piece = found[0]
        if piece == "\n" or piece.isspace():
            kind: Literal["line", "word"] = "line" if piece == "\n" else "word"
            if "a" not in tags and size:
                yield _End(found.start(), size, kind, form, is_fenced, tags)
        if piece == "```" and form in ("slack", "markdown"):
            is_fenced = not is_fenced
        elif form == "html" and piece.startswith("<"):
            tags = _opened(tags, piece)
        size += measure(piece, unit)
        if size > limit:
            return
        if "a" not in tags and not (piece == "```" and is_fenced):
            yield _End(found.end(), size, "piece", form, is_fenced, tags)


def _opened(tags: tuple[str, ...], piece: str) -> tuple[str, ...]:
    """The elements that are open behind a tag."""
    found = _TAG.fullmatch(piece)
    if found is None or found[2].lower() in _VOID or found[3]:
        return tags
    name = found[2].lower()
    if not found[1]:
        return (*tags, name) if len(tags) < _DEEPEST else tags
    where = max((place for place, tag in enumerate(tags) if tag == name), default=-1)
    return tags if where < 0 else tags[:where]


def _best(fitting: list[_End]) -> _End:
    """The last end of a line, else of a word, unless that gives away too much."""
    last = fitting[-1]
    for kind in ("line", "word"):
        found = next((end for end in reversed(fitting) if end.kind == kind), None)
        if found is not None and found.size >= last.size * _ENOUGH:
            return found
    return last


def _tail(text: str, end: _End) -> str:
    """What is put behind: the note, and the closing of what is open."""
    note = "…"
    if end.kind == "line":
        left = text.count("\n", end.at, len(text.rstrip("\n"))) or 1
        note = f"\n… {left} line{'s' if left > 1 else ''} left out"
    if end.form != "html":
        return f"{note}\n```" if end.is_fenced else note
    if end.kind == "line" and "pre" not in end.tags:
        note = f"<br>{note}"
    closing = "".join(f"</{tag}>" for tag in reversed(end.tags))
    return closing + note if "table" in end.tags else note + closing
