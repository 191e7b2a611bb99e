"""Examples stay short, say how they are run, and are listed, tested."""

from __future__ import annotations

import ast
import re

import pytest

from .repository import ROOT, all_tests

PAGE = ROOT / "docs/examples.md"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES])
def test_an_example_is_short_says_how_it_is_run_is_listed_and_tested(name: str) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert text.count("\n") < 100
    flows = re.findall(rf"hub (?:run|deploy) examples/{name}:(\w+)", ast.get_docstring(ast.parse(text)) or "")
    assert flows, "its first lines say how it is run"
    assert [flow for flow in flows if not re.search(rf"^(?:async )?(?:def )?{flow}\b", text, re.MULTILINE)] == []
    assert f"](../examples/{name})" in PAGE.read_text(encoding="utf-8"), "docs/examples.md has no line for it"
    assert re.search(rf"\b{name}\b", all_tests()), "no test names it"


def test_the_page_of_examples_lists_no_others() -> None:
    listed = set(re.findall(r"\.\./examples/(\w+\.py)", PAGE.read_text(encoding="utf-8")))
    assert listed == {path.name for path in EXAMPLES}
