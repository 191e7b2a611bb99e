"""A command that several processes carry out at the same moment."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from hub.runtime.commands import Command, apply, registry
from hub.runtime.commands.holding import Nothing
from hub.store import open_store
from hub.store.base import Tx
from hub.store.tables import SiteValue

from .doors import SCOPE


def test_a_command_that_two_processes_carry_out_at_once_is_done_once(postgres_url: str) -> None:
    """Both have done it and want to note so: the second finds the outcome of the first, and nothing has failed."""
    store = open_store(postgres_url)
    both = threading.Barrier(2)

    def do(tx: Tx, command: Command, _args: Nothing) -> dict[str, Any]:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(5)
        tx.insert_ignore(SiteValue.__table__, {"name": "done", "value": command.id})  # type: ignore[attr-defined]
        return {"id": command.id}

    registry._ops["test.do"] = registry.Op("test.do", Nothing, do, "runs:write")
    command = Command("test.do", SCOPE)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(apply(store, command))) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    finally:
        del registry._ops["test.do"]
        store.close()
    assert sorted(outcome.repeated for outcome in found) == [False, True]
    assert {outcome.result["id"] for outcome in found} == {command.id}
