"""Which quotes are open at a place of a shell script."""

from __future__ import annotations

_OPENS = "\"'(`"


class Quotes:
    """Reads a script piece by piece. What it takes wrongly (a here-document) costs a word's form, never more."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._before = "\n"
        self._comment = False
        self._skip = False

    @property
    def inside(self) -> str:
        """The quotes that the next character stands in: `"`, `'` or none."""
        top = self._open[-1] if self._open else ""
        return top if top in ("'", '"') else ""

    def read(self, text: str) -> None:
        """Go on to the end of `text`."""
        for character in text:
            if self._skip:
                self._skip = False
            else:
                self._one(character)
            self._before = character

    def _one(self, character: str) -> None:
        if self._comment:
            self._comment = character != "\n"
        elif self.inside == "'":
            if character == "'":
                self._open.pop()
        elif character == "\\":
            self._skip = True
        elif self.inside == '"':
            self._in_double(character)
        elif character == "#" and self._before.isspace():
            self._comment = True
        elif self._open and character == {"(": ")"}.get(self._open[-1], self._open[-1]):
            self._open.pop()
        elif character in _OPENS:
            self._open.append(character)

    def _in_double(self, character: str) -> None:
        if character == '"':
            self._open.pop()
        elif character == "`" or (character == "(" and self._before == "$"):
            self._open.append(character)
