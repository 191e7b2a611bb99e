"""Everything a user can name is named in the documentation and in a test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cyclopts import App
from hub import hookspecs
from hub.cli.app import build
from hub.cli.events import markdown_table as events_table
from hub.cli.settings import markdown_table as settings_table
from hub.events import CATALOG
from hub.settings import Settings
from hub.states import MOVES, NAMES

from .repository import ROOT, all_tests, code_blocks, documentation, markdown, short

UNTESTED_SETTINGS: set[str] = set()
UNTESTED_COMMANDS: set[str] = set()
UNTESTED_EVENTS: set[str] = set()
UNTESTED_HOOKS: set[str] = set()
"""What no test names yet. These sets only ever get smaller: what is tested must leave them."""


def hooks() -> list[str]:
    """Every hook."""
    return [name for name in vars(hookspecs) if name.startswith("hub_")]


def commands() -> list[str]:
    """Every command as it is typed, without the leading `hub`."""

    def walk(app: App, words: tuple[str, ...]) -> Iterator[str]:
        subs = {name: app[name] for name in app if not name.startswith("-")}
        if not subs:
            yield " ".join(words)
        for name, sub in subs.items():
            yield from walk(sub, (*words, name))

    return sorted(walk(build(), ()))


def test_every_hook_is_documented_and_tested() -> None:
    assert [name for name in hooks() if f"`{name}`" not in documentation()] == []
    _ratchet({name for name in hooks() if name not in all_tests()}, UNTESTED_HOOKS)


def test_every_command_is_documented_and_tested() -> None:
    everything = commands()
    assert [name for name in everything if f"`hub {name}" not in documentation()] == []
    _ratchet({name for name in everything if not _typed_in_a_test(name)}, UNTESTED_COMMANDS)


def test_every_event_is_documented_and_tested() -> None:
    page = (ROOT / "docs/events.md").read_text(encoding="utf-8")
    assert events_table() in page, "docs/events.md: replace its table by what `hub events types --markdown` prints"
    _ratchet({name for name in CATALOG if name not in all_tests()}, UNTESTED_EVENTS)


def test_every_setting_is_documented_and_tested() -> None:
    page = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert settings_table() in page, "docs/settings.md: replace its table by what `hub settings --markdown` prints"
    untested = {name for name in Settings.model_fields if not _set_in_a_test(name)}
    _ratchet(untested, UNTESTED_SETTINGS)


def test_every_state_is_documented() -> None:
    page = (ROOT / "docs/states.md").read_text(encoding="utf-8")
    assert [name for name in (*MOVES, *NAMES) if f"`{name}`" not in page] == []


def test_the_drawing_of_the_states_is_the_table_of_the_states() -> None:
    page = ROOT / "docs/states.md"
    drawing = next(text for _, info, text in code_blocks(page) if info == "mermaid")
    drawn = set(re.findall(r"^\s*([A-Z]+) --> ([A-Z]+)", drawing, re.MULTILINE))
    assert drawn == {(before.value, after.value) for before, others in MOVES.items() for after in others}


def test_every_code_block_says_its_language() -> None:
    bare = [f"{short(path)}:{line}" for path in markdown() for line, info, _ in code_blocks(path) if not info]
    assert bare == []


def test_every_command_in_a_code_block_exists() -> None:
    known, wrong = set(commands()), []
    for path in markdown():
        for line, info, text in code_blocks(path):
            if info.split()[0] in ("sh", "console", "bash"):
                wrong += [f"{short(path)}:{line}: {typed}" for typed in _hub_lines(text) if not _exists(typed, known)]
    assert wrong == []


PYTHON_BLOCKS: list[Any] = [
    pytest.param(text, id=f"{short(path)}:{line}")
    for path in markdown()
    for line, info, text in code_blocks(path)
    if info == "python run"
]


@pytest.mark.parametrize("text", PYTHON_BLOCKS)
def test_python_blocks_marked_to_run_do(text: str) -> None:
    # On a thread of its own: a browser test leaves its event loop running on this one.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(exec, compile(text, "<documentation>", "exec"), {"__name__": "documentation"}).result()


def _ratchet(untested: set[str], known: set[str]) -> None:
    assert untested - known == set(), "no test names these"
    assert known - untested == set(), "a test names these now: take them out of the set"


def _typed_in_a_test(command: str) -> bool:
    words = r"""["'\s,]+""".join(map(re.escape, command.split()))
    return re.search(rf"""["'\s]{words}["'\s]""", all_tests()) is not None


def _set_in_a_test(name: str) -> bool:
    return re.search(rf"\b({name}|HUB_{name.upper()})\b", all_tests()) is not None


def _hub_lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        match = re.match(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*hub ([a-z].*)$", line)
        if match:
            yield match.group(1)


def _exists(typed: str, known: set[str]) -> bool:
    words = typed.split()
    return any(" ".join(words[:length]) in known for length in (1, 2, 3))


def test_links_between_pages_lead_somewhere() -> None:
    dead = []
    for path in markdown():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if not (path.parent / target).exists():
                dead.append(f"{short(path)}: {target}")
    assert dead == []
