"""`hub runs waits`, `hub runs answer` and `hub runs send`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hub import flow, receive, wait_for_input
from hub.runtime import inline
from pydantic import BaseModel
from tests.unit.cli.conftest import Shell


class Approval(BaseModel):
    """What is asked for."""

    approved: bool
    code: str = ""


@pytest.fixture
def asking(hub: Shell) -> Iterator[tuple[str, list[Any]]]:
    """The id of a run of this process that asks for three things, and what it was given."""
    given: list[Any] = []

    @flow
    def asks() -> None:
        given.append(wait_for_input(Approval, key="approval", description="May it?"))
        given.append(wait_for_input(Literal["a", "b"], key="letter"))
        given.append(receive("orders"))

    caller = threading.Thread(target=asks)
    caller.start()
    yield _run_id(hub), given
    caller.join(30)
    assert not caller.is_alive()
    inline.forget()


def _run_id(hub: Shell) -> str:
    found: list[Any] = []
    while not found:
        found = hub.json("runs", "ls", "--flow", "asks")
    return str(found[0]["id"])


def _until(hub: Shell, run: str, key: str) -> str:
    while True:
        waits = hub.json("runs", "waits", run)
        if [row["key"] for row in waits] == [key]:
            return hub("runs", "waits", run)


def test_a_run_is_answered_and_sent_messages(hub: Shell, asking: tuple[str, list[Any]], tmp_path: Path) -> None:
    run, given = asking
    listed = _until(hub, run, "approval")
    assert "May it?" in listed
    assert "approved" in listed
    assert "approved: missing" in hub("runs", "answer", run, "approval", code=2)
    assert "approved: expected true or false" in hub("runs", "answer", run, "approval", "-p", "approved=7", code=2)
    assert "does not ask for input 'other'" in hub("runs", "answer", run, "other", code=4)
    assert "one of the two" in hub("runs", "answer", run, "--value", "1", "-p", "approved=true", code=2)
    done = hub.json("runs", "answer", run, "approval", "-p", "approved=true", "-p", "code=007")
    assert done["key"] == "approval"
    _until(hub, run, "letter")
    assert "is answered" in hub("runs", "answer", run, "--value", "a")
    _until(hub, run, "orders")
    file = tmp_path / "order.json"
    file.write_text('{"n": 1}')
    assert "is on its way" in hub("runs", "send", run, "orders", "--params", str(file), "-p", "m=2")
    while len(given) < 3:
        pass
    assert given == [Approval(approved=True, code="007"), "a", {"n": 1, "m": 2}]
    assert hub.json("runs", "waits", run) == []
    assert "does not ask for any input" in hub("runs", "answer", run, code=4)
