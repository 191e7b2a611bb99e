"""What templates tell people to type exists."""

from __future__ import annotations

import re

from hub.web.ui.navigation import NOTES
from hub.web.ui.templating import FOLDER
from tests.architecture.test_documented import _exists, commands

PLUGIN = FOLDER.parents[2] / "plugins" / "hub_plugins" / "dashboard" / "templates"
SOURCES = [*FOLDER.rglob("*.html"), *PLUGIN.rglob("*.html")]


def test_every_command_in_a_page_exists() -> None:
    known = set(commands())
    typed = {found for path in SOURCES for found in re.findall(r'[">]hub ([a-z][^"<]*)', path.read_text("utf-8"))}
    assert len(typed) >= 8
    assert [line for line in sorted(typed) if not _exists(line, known)] == []


def test_every_note_is_given_by_a_page_and_every_page_gives_a_known_one() -> None:
    code = "".join(path.read_text("utf-8") for path in (FOLDER / "pages").glob("*.py"))
    given = {note for note in NOTES if f'"{note}"' in code}
    assert given == set(NOTES)
    asked = set(re.findall(r'done="([a-z-]+)"', code))
    assert asked <= set(NOTES)
