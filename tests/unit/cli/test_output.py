"""What commands print."""

from __future__ import annotations

import json

import pytest
from hub.cli import output
from hub.cli.output import Column
from hub.errors import UsageError

COLUMNS = (
    Column("NAME", "name"),
    Column("STATE", output.state, "state"),
    Column("AT", "at", "time"),
    Column("TAGS", "tags", "list"),
)
ROWS = [
    {"name": "a", "state_name": "Completed", "state_type": "COMPLETED", "at": "2026-01-31T08:00:00.12Z", "tags": []},
    {"name": "longer", "state_name": "TimedOut", "state_type": "FAILED", "at": None, "tags": ["x", "y"]},
]  # fmt: skip


def test_a_table_is_plain_columns_when_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(ROWS, COLUMNS, as_json=False, empty="none")
    assert capsys.readouterr().out.splitlines() == [
        "NAME    STATE      AT                    TAGS",
        "a       Completed  2026-01-31T08:00:00Z  -",
        "longer  TimedOut   -                     x, y",
    ]


def test_json_is_an_array_even_when_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([], COLUMNS, as_json=True, empty="none")
    assert json.loads(capsys.readouterr().out) == []


def test_an_empty_list_says_what_to_type_next_and_keeps_standard_output_clean(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.table([], COLUMNS, as_json=False, empty="No runs yet. Start one: hub run FILE:FLOW")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "hub run" in captured.err


def test_details_leave_out_what_has_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    output.detail(ROWS[1], COLUMNS, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["NAME   longer", "STATE  TimedOut", "TAGS   x, y"]


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (2, "now"),
        (30, "30 s ago"),
        (600, "10 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 days ago"),
        (-600, "in 10 min"),
    ],
)
def test_times_are_relative_to_now(offset: float, words: str) -> None:
    assert output.ago("2026-01-31T08:00:00Z", now=1769846400 + offset) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.004, "4 ms"), (0.25, "0.2 s"), (59, "59.0 s"), (200, "3 min 20 s"), (7260, "2 h 1 min")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert output.duration(seconds) == words


def test_what_cannot_be_undone_needs_yes_without_a_terminal() -> None:
    with pytest.raises(UsageError) as caught:
        output.confirm("Remove everything?", yes=False)
    assert "--yes" in caught.value.hint
    output.confirm("Remove everything?", yes=True)


def test_markup_in_data_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("[red]not red[/red]")
    assert capsys.readouterr().out == "[red]not red[/red]\n"
