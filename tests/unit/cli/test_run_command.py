"""`hub run FILE:FLOW`: the log of the run on standard error while it runs, its result on standard output at the end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hub.cli import main

FLOW = """
from hub import flow, get_run_logger, task

@task
def add(n: int) -> int:
    get_run_logger().info("adding [red]1[/] to %d", n)
    return n + 1

@flow(flow_run_name="inner-{n}")
def inner(n: int) -> int:
    get_run_logger().error("within")
    return add.submit(n).result()

@flow(log_prints=True, flow_run_name="whole-{n}")
def whole(n: int = 1) -> int:
    print("printed")
    get_run_logger().warning("n is %d", n)
    get_run_logger().debug("never seen")
    return inner(add(n))
"""
TIME = re.compile(r"^\d\d:\d\d:\d\d\.\d{3}  ", re.MULTILINE)


@pytest.fixture
def whole(tmp_path: Path) -> str:
    file = tmp_path / "whole.py"
    file.write_text(FLOW)
    return f"{file}:whole"


def test_the_log_is_seen_and_the_result_comes_last(whole: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", whole]) == 0
    out, err = capsys.readouterr()
    assert TIME.sub("", err).splitlines() == [
        "WARNING  whole-1  n is 1",
        "INFO     add-0  adding [red]1[/] to 1",
        "ERROR    inner-2  within",
        "INFO     add-0  adding [red]1[/] to 2",
    ]
    assert out.splitlines()[0] == "printed"
    assert re.fullmatch(r"Flow whole completed in .*: 3", out.splitlines()[-1])


def test_the_least_level_is_a_setting(
    whole: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_LOG_LEVEL", "ERROR")
    assert main(["run", whole]) == 0
    assert TIME.sub("", capsys.readouterr().err) == "ERROR    inner-2  within\n"


def test_it_needs_no_journal(whole: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_JOURNAL", "off")
    assert main(["run", whole]) == 0
    assert "n is 1" in capsys.readouterr().err


def test_levels_have_colours_on_a_terminal(
    whole: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["run", whole, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "\x1b[33m" in err
    assert '"result": 3' in out


def test_plain_calls_of_flows_show_nothing(whole: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", whole]) == 0
    capsys.readouterr()
    space: dict[str, Any] = {"__name__": "elsewhere"}
    exec(FLOW, space)
    assert space["whole"]() == 3
    assert capsys.readouterr().err == ""
