"""Which controls go together, and the tables of the docs that are made from that."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from hub.engine import flowcontrol
from hub.engine.flowcontrol import ORDER, clash, key_clash, problems

PAGE = (Path(__file__).parents[3] / "docs/flow-control.md").read_text(encoding="utf-8")


def test_the_tables_of_the_docs_are_current() -> None:
    assert flowcontrol.combinations_table() in PAGE, "docs/flow-control.md: put in what combinations_table() gives"
    assert flowcontrol.order_table() in PAGE, "docs/flow-control.md: put in what order_table() gives"


@pytest.mark.parametrize(("one", "other"), list(combinations(ORDER, 2)))
def test_the_table_says_what_is_refused(one: str, other: str) -> None:
    rows = {row.split("|")[1].strip(): row for row in flowcontrol.combinations_table().splitlines() if "|" in row}
    columns = [cell.strip() for cell in rows[""].split("|")]
    cell = rows[one].split("|")[columns.index(other)].strip()
    assert cell == rows[other].split("|")[columns.index(one)].strip(), "it is the same in both directions"
    same, different = problems({one: "params.k", other: "params . k"}), problems({one: "params.k", other: "params.j"})
    expected = {"yes": (0, 0), "same key": (0, 1), "**no**": (1, 1)}[cell.partition(" (")[0]]
    assert (len(same), min(len(different), 1)) == expected
    assert all(reason in "".join(different) for reason in (clash(one, other), key_clash(one, other)) if different)


def test_every_reason_is_said_at_once() -> None:
    wrong = problems(dict.fromkeys(ORDER, "params.k"))
    assert len(wrong) == 5
    assert wrong[0].startswith("idempotency and batch cannot be combined: ")


def test_with_a_batch_the_other_may_have_no_key() -> None:
    assert problems({"batch": "params.k", "throttle": "", "concurrency": ""}) == []
    assert problems({"batch": "", "throttle": "params.k"}) != []
    assert problems({"debounce": "params.k", "singleton": ""}) != []
