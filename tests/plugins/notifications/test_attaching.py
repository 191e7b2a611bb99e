"""The log of a failed run goes with its message: bounded, only where it says more, only where files are taken."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import Store, open_store
from hub.store.tables import Log
from hub.types import Scope

from hub_notifications import channels, deliver, firing, notices
from hub_notifications.attaching import MAX_BYTES, MAX_LINES, written
from hub_notifications.content import content
from hub_notifications.deliver import Deliverer
from hub_notifications.plugin import hub_commands
from hub_notifications.rules import AlertEvent

from .services import Mails, Reply, World
from .test_formats import MAIL, RUN
from .test_services import SERVICES

SCOPE = Scope()


def lines(count: int, text: str = "line") -> list[dict[str, Any]]:
    return [{"at": number, "level": 20, "message": f"{text} {number}"} for number in range(count)]


def test_a_log_is_bounded_and_says_what_is_left_out() -> None:
    assert written(lines(2)).decode().splitlines() == [
        "1970-01-01T00:00:00.000000Z INFO line 0", "1970-01-01T00:00:00.000001Z INFO line 1",
    ]  # fmt: skip
    many = written(lines(MAX_LINES + 1)).decode().splitlines()
    assert len(many) == MAX_LINES + 1
    assert many[0] == "... earlier lines are left out ..."
    assert many[-1].endswith(f"line {MAX_LINES}")
    wide = written(lines(300, "é" * 1_000))
    assert MAX_BYTES - 3_000 < len(wide) <= MAX_BYTES
    assert wide.decode().startswith("... earlier lines are left out ...\n1970")
    assert len(written(lines(1, "é" * MAX_BYTES))) <= MAX_BYTES
    written(lines(1, "\ud800"))


def tell(folder: Path, address: str, count: int, **more: Any) -> None:
    """A failed run with so many lines of log is told to a channel."""
    register(*hub_commands())
    store: Store = open_store("sqlite://")
    store.migrate()
    try:
        apply(store, Command("channel.add", SCOPE, args={"name": "ops", "address": address}))
        run = {"id": RUN, "name": "nightly/1", "state": "Failed", "attempt": 1}
        with store.write() as tx:
            own = {"workspace_id": SCOPE.workspace_id, "run_id": RUN, "attempt": 1, "logger": ""}
            tx.insert(Log.__table__, [{**own, **one} for one in lines(count)])  # type: ignore[attr-defined]
            logs = [one["message"] for one in firing.last_logs(tx, SCOPE, RUN)]
            told = AlertEvent("firing", "x/", "1", "run-failed", title="failed", context={"run": run, "logs": logs})
            alert_id = firing.fire(tx, SCOPE, told, routed=False)
            one = [{"alert_id": alert_id, "status": "firing", "occurrences": 1, **more}]
            row = {**firing.find(tx, SCOPE, str(alert_id)), "status": one[0]["status"]}
            reason = "resolved" if more else "firing"
            notices.plan(tx, SCOPE, content(reason, [row], one, tx.now), one, channels.targeted(tx, SCOPE, []))
        Deliverer(store, load_settings({"home": folder}, environ={})).step()
    finally:
        store.close()


@pytest.mark.parametrize(
    ("name", "count", "more", "files"),
    [
        ("discord", 12, {}, 1),
        ("discord", 8, {}, 0),
        ("discord", 12, {"status": "resolved"}, 0),
        ("slack", 12, {}, 0),
        ("teams workflow", 12, {}, 0),
        ("ntfy", 12, {}, 0),
        ("json", 12, {}, 1),
    ],
)
def test_the_log_is_attached_where_it_says_more_and_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, count: int, more: Any, files: int
) -> None:
    made = world.reach()
    monkeypatch.setattr(deliver, "reach_of", lambda _settings: made)
    world.replies = [Reply(body=SERVICES[name].answer)]
    tell(tmp_path, SERVICES[name].address, count, **more)
    assert sum(b"nightly-1.log" in one.body for one in world.got) == files


def test_a_file_that_is_refused_does_not_send_the_text_again(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = world.reach()
    monkeypatch.setattr(deliver, "reach_of", lambda _settings: made)
    world.replies = [Reply(body=b'{"id":"1"}'), Reply(500)]
    tell(tmp_path, SERVICES["discord"].address, 12)
    assert [b"nightly-1.log" in one.body for one in world.got] == [False, True]


def test_mail_brings_the_log(world: World, mails: Mails, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = world.reach()
    monkeypatch.setattr(deliver, "reach_of", lambda _settings: made)
    tell(tmp_path, MAIL, 12)
    (envelope,) = mails.got
    (log,) = [one for one in message_from_bytes(envelope.content).walk() if one.get_filename()]
    assert log.get_filename() == "nightly-1.log"
    assert len(str(log.get_payload(decode=True), "utf-8").splitlines()) == 12  # type: ignore[arg-type]
