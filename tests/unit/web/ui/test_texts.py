"""What templates tell people to type exists."""

from __future__ import annotations

import re

from hub.web.ui.navigation import NOTES
from hub.web.ui.templating import FOLDER
from tests.architecture.test_documented import _exists, commands

ROOT = FOLDER.parents[2]
PANELS = ROOT / "plugins" / "hub_plugins" / "dashboard" / "templates"
ALERTS = ROOT / "notifications" / "hub_notifications" / "ui"
PLANES = ROOT / "hybrid" / "hub_hybrid" / "ui"
SOURCES = [path for folder in (FOLDER, PANELS, ALERTS, PLANES) for path in folder.rglob("*.html")]


def test_every_command_in_a_page_exists() -> None:
    known = set(commands())
    typed = {found for path in SOURCES for found in re.findall(r'[">]hub ([a-z][^"<]*)', path.read_text("utf-8"))}
    assert len(typed) >= 8
    assert [line for line in sorted(typed) if not _exists(line, known)] == []


def test_every_note_is_given_by_a_page_and_every_page_gives_a_known_one() -> None:
    pages = [*(FOLDER / "pages").glob("*.py"), *ALERTS.glob("*.py"), *PLANES.glob("*.py")]
    code = "".join(path.read_text("utf-8") for path in pages)
    given = {note for note in NOTES if f'"{note}"' in code}
    assert given == set(NOTES)
    asked = set(re.findall(r'done="([a-z-]+)"', code))
    assert asked <= set(NOTES)


def test_the_scripts_are_two_short_files_and_nothing_comes_from_elsewhere() -> None:
    scripts = {path.name: path.read_text("utf-8") for path in (FOLDER / "static").glob("*.js")}
    assert sorted(scripts) == ["hub.js", "steps.js"]
    for script in scripts.values():
        assert script.count("\n") < 180
        assert not re.search(r"\bimport\b|innerHTML\s*=|eval\(|document\.write", script)
    for path in [*SOURCES, *(FOLDER / "static").iterdir()]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""(src|href)=["']https?:|url\(|@import""", text), path
