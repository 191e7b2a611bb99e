"""Upkeep killed with SIGKILL while webhooks are on their way: all arrive, each under one id."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import Store, open_hub, outgoing
from hub.types import Scope
from tests.processes import until, upkeep
from tests.receivers import receiver

SCOPE = Scope()


def statuses(store: Store) -> Counter[str]:
    with store.read() as tx:
        return Counter(row["status"] for row in tx.conn.execute(outgoing.TABLE.select()).mappings())


@pytest.mark.slow
def test_a_kill_between_answer_and_commit_sends_again_under_the_same_id(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HUB_OUTBOUND_NETWORKS", "127.0.0.0/8")
    store = open_hub(load_settings())
    store.migrate()
    with receiver() as there:
        apply(store, Command("endpoint.create", SCOPE, "", {"name": "partner", "url": there.url}))
        sent = [
            apply(store, Command("endpoint.send", SCOPE, "partner", {"type": "a", "data": number})).result["id"]
            for number in range(40)
        ]
        with upkeep() as process:

            def answer(number: int) -> tuple[int, dict[str, str], bytes]:
                if number == 10:
                    # It has the request and its sender never hears the answer.
                    os.killpg(process.pid, signal.SIGKILL)
                    time.sleep(0.2)
                return 204, {}, b""

            there.answer = answer
            process.wait(60)
        assert statuses(store)["delivered"] < 40
        there.answer = lambda _number: (204, {}, b"")
        with upkeep():
            until(lambda: statuses(store) == {"delivered": 40}, 60)
    arrived = Counter(got.headers["webhook-id"] for got in there.got)
    assert set(arrived) == set(sent)
    assert 1 < max(arrived.values()) <= 2, "what was on its way came twice, and nothing more often"
    bodies = {got.headers["webhook-id"]: got.body for got in there.got}
    assert all(got.body == bodies[got.headers["webhook-id"]] for got in there.got)
    store.close()
