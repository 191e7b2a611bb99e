"""Waiting for a run: what it waits for is told, and the wait has an end."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable

import pytest
from hub.cli import main, waiting
from hub.cli.waiting import Progress, describe

from .conftest import Shell


class Terminal(io.StringIO):
    """Standard error of somebody who looks."""

    def isatty(self) -> bool:
        return True


class Printed:
    """What has been printed so far, readable while a command runs."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._out, self._err = capsys, "", ""

    @property
    def out(self) -> str:
        return self._read()[0]

    @property
    def err(self) -> str:
        return self._read()[1]

    def _read(self) -> tuple[str, str]:
        more = self._capsys.readouterr()
        self._out, self._err = self._out + more.out, self._err + more.err
        return self._out, self._err


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What is printed; waits explain themselves at once."""
    monkeypatch.setattr(waiting, "QUIET", 0.0)
    return Printed(capsys)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_wait_without_a_worker_says_so_and_ends_in_time(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    shown = hub("deployments", "run", "twice", "--wait", "--timeout", "0", code=75)
    run = hub.json("runs", "ls")[0]
    assert run["state_type"] == "SCHEDULED"
    for part in (
        "No live worker serves queue default. [rule no_worker, holder default]", f"hub runs logs -f {run['id']}"
    ):  # fmt: skip
        assert part in " ".join(shown.split())


def test_a_wait_for_programs_ends_with_an_error_they_can_read(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    error = json.loads(hub("deployments", "run", "twice", "--wait", "--timeout", "0", "--json", code=75))["error"]
    assert error["code"] == "not-ended"
    assert "no_worker" in error["detail"]


def test_every_change_of_the_reason_is_a_line(flow_file: str, printed: Printed) -> None:
    main(["deploy", flow_file])
    codes: list[int] = []
    command = ["deployments", "run", "twice", "--wait", "--timeout", "30", "--json"]
    thread = threading.Thread(target=lambda: codes.append(main(command)))
    thread.start()
    until(lambda: "no_worker" in printed.err)
    run = printed.err.split("(")[1].split(")")[0]
    main(["runs", "pause", run])
    until(lambda: "rule paused" in printed.err)
    main(["runs", "cancel", run, "--yes"])
    thread.join(20)
    assert codes == [1]
    assert [line.split("[rule ")[1].split("]")[0].split(",")[0] for line in printed.err.splitlines()] == [
        "no_worker", "paused",
    ]  # fmt: skip
    assert '"state_type": "CANCELLED"' in printed.out


def test_following_a_log_says_what_it_waits_for_too(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    run = hub.json("deployments", "run", "twice")["id"]
    assert "rule no_worker" in hub("runs", "logs", "-f", run, "--timeout", "0", code=75)


def test_a_time_limit_without_a_wait_is_refused(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    assert "--wait" in hub("deployments", "run", "twice", "--timeout", "3", code=2)
    assert "--follow" in hub("runs", "logs", "x", "--timeout", "3", code=2)
    assert hub.json("runs", "ls") == []


def test_who_leaves_a_wait_is_told_that_the_run_goes_on(
    flow_file: str, printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["deploy", flow_file])

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hub.cli.waiting.time.sleep", interrupt)
    assert main(["deployments", "run", "twice", "--wait"]) == 130
    assert "goes on. `hub runs logs -f" in printed.err


def test_a_terminal_shows_one_line_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress()
    progress.tell("it waits for [one]", key=1)
    progress.tell("it waits for [two]", key=1)
    progress.clear()
    assert "[two]" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K")  # the line is gone


def test_elsewhere_a_line_is_written_when_its_key_changes(printed: Printed) -> None:
    progress = Progress()
    for line, key in (("1 s ago", "a"), ("2 s ago", "a"), ("gone", "b")):
        progress.tell(line, key=key)
    assert printed.err == "1 s ago\ngone\n"


def test_a_reason_is_one_line_with_rule_holder_and_time() -> None:
    reason = {
        "rule": "not_due", "sentence": "It is not due yet.", "holder": "", "hint": "Wait.",
        "expected_at": "2199-01-01T00:00:00Z",
    }  # fmt: skip
    assert describe(reason).startswith("It is not due yet. [rule not_due, expected in ")
    assert describe(reason).endswith("days] Wait.")
