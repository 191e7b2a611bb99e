"""Parameters on a command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub.cli import parameters
from hub.cli.automations import mapping
from hub.cli.schedules import timing
from hub.errors import UsageError


def test_values_are_json_or_else_text() -> None:
    given = ["n=3", "ok=true", "day=2026-01-31", 'names=["a"]', "empty=", "sum=1=1"]
    assert parameters.parse(given) == {
        "n": 3, "ok": True, "day": "2026-01-31", "names": ["a"], "empty": "", "sum": "1=1"
    }  # fmt: skip


def test_a_text_parameter_stays_text_where_the_schema_says_so() -> None:
    schema = {"properties": {"code": {"type": "string"}}}
    assert parameters.parse(["code=007", "n=7"], schema=schema) == {"code": "007", "n": 7}


def test_not_a_number_is_no_json() -> None:
    assert parameters.parse(["n=NaN"]) == {"n": "NaN"}


def test_a_file_gives_parameters_and_the_command_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text('{"n": 1, "m": 2}')
    assert parameters.parse(["n=5"], file) == {"n": 5, "m": 2}


@pytest.mark.parametrize("pair", ["n", "=1", "a b=1"])
def test_a_pair_that_is_none_is_refused(pair: str) -> None:
    with pytest.raises(UsageError, match="name=value"):
        parameters.parse([pair])


@pytest.mark.parametrize("text", ["[1]", "{", "\udcff"])
def test_a_file_that_holds_no_object_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(UsageError):
        parameters.parse([], file)


def test_a_mapping_keeps_expressions_as_they_are() -> None:
    assert mapping(("repo==body.repository", "n=3", "who=me")) == {
        "repo": "=body.repository", "n": 3, "who": "me"
    }  # fmt: skip


def test_a_schedule_is_one_of_cron_interval_and_rrule() -> None:
    assert timing("0 8 * * *", None, None) == {"kind": "cron", "spec": "0 8 * * *"}
    assert timing(None, 90.0, None) == {"kind": "interval", "spec": "90"}
    assert timing(None, None, "FREQ=DAILY") == {"kind": "rrule", "spec": "FREQ=DAILY"}
    for wrong in ((None, None, None), ("* * * * *", 5.0, None), ("* * * * *", None, "FREQ=DAILY")):
        with pytest.raises(UsageError, match="one of"):
            timing(*wrong)
