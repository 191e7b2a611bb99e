"""docs/coming-from-prefect.md is made from a list whose every claim names the tests that show it.

With HUB_TEST_WRITE=1 the page is written; else it has to be what the list says.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coming-from-prefect.md"
SECTIONS: dict[str, list[list[Any]]] = yaml.safe_load((Path(__file__).parent / "prefect_rows.yaml").read_text())
ROWS = [row for rows in SECTIONS.values() for row in rows]
HEAD = """# Coming from Prefect

What you know, and what it is here. Made from a list whose tests run with the others:
`tests/architecture/prefect_rows.yaml`.
**yes**: offered; **partly**: the rest is named; **planned**: not yet; **no**: left out, and why.

Differences that surprise: a final state never changes, so a retry by hand is a new run; results are kept unless you say
otherwise; a limit that nobody made is an error; calling a flow needs no server.
"""


def page() -> str:
    """The page as the list has it."""
    parts = [HEAD]
    for title, rows in SECTIONS.items():
        parts.append(f"\n## {title}\n\n| There | Here | How | Shown by |\n|---|---|---|---|")
        for what, offered, how, tests in rows:
            shown = "<br>".join(f"`{test.rpartition('::')[2] or test}`" for test in tests) or "-"
            parts.append(f"| {what} | {offered} | {how or '-'} | {shown} |")
    return "\n".join(parts) + "\n"


def _names(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].replace("`", ""))
def test_what_is_offered_names_tests_that_exist(row: list[Any]) -> None:
    what, offered, how, tests = row
    assert offered in ("yes", "partly", "planned", "no")
    assert bool(tests) or offered in ("planned", "no"), f"{what}: nothing shows it"
    assert how or offered == "planned", f"{what}: not a word about it"
    for test in tests:
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        assert path.is_file(), f"{what}: there is no {file}"
        assert not name or name in _names(path), f"{what}: {file} has no {name}"


def test_the_page_is_what_the_list_says() -> None:
    if os.environ.get("HUB_TEST_WRITE") == "1":
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), "HUB_TEST_WRITE=1 scripts/test tests/architecture writes it"
