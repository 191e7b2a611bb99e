"""Alerts from a failed run to a person, over real SMTP and real HTTP."""

from __future__ import annotations

import http.server
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from hub.engine.run import Claim, Complete, Dispatch, Fail
from hub.errors import UsageError
from hub.outbound.again import next_delay
from hub.plugins import Context
from hub.runtime.commands import Command, apply, register
from hub.runtime.orchestrator import handle
from hub.settings import Settings, load_settings
from hub.store import Store, runs
from hub.store.tables import AuditEntry, Channel, CommandOutcome, Delivery, Event, Log
from hub.testing.demo.site import free_port
from hub.types import Scope, new_id
from sqlalchemy import update

from hub_notifications import channels, firing, notices
from hub_notifications.deliver import Deliverer
from hub_notifications.plugin import hub_commands, hub_run_state
from hub_notifications.router import Router

SCOPE = Scope()
CANARY = "s3cretpath5521"
DELIVERIES = Delivery.__table__  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path, "alerts_retry_delays": (60.0, 300.0)}, environ={})


class Slack:
    """A receiver of Slack's incoming-webhook format; what it answers can be chosen."""

    def __init__(self, port: int = 0) -> None:
        self.texts: list[str] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.port = port
        self._server: http.server.ThreadingHTTPServer | None = None

    def start(self) -> None:
        slack = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, headers = slack.answers.pop(0) if slack.answers else (200, {})
                if status == 200:
                    slack.texts.append(body["text"])
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def address(self) -> str:
        return f"slack+http://127.0.0.1:{self.port}/services/{CANARY}"


@pytest.fixture
def slack() -> Iterator[Slack]:
    server = Slack()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def smtp_server() -> Iterator[tuple[int, list[bytes]]]:
    from aiosmtpd.controller import Controller

    mails: list[bytes] = []

    class Handler:
        async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
            mails.append(envelope.content)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        yield controller.port, mails
    finally:
        controller.stop()


def add_channel(store: Store, name: str, address: str) -> str:
    return str(apply(store, Command("channel.add", SCOPE, args={"name": name, "address": address})).result["id"])


def fail_a_run(store: Store, settings: Settings, *, message: str = "boom <!channel> @everyone", **more: Any) -> str:
    """A run that fails, with its hook called twice, as an outbox that repeats itself does."""
    run_id = new_id()
    with store.write() as tx:
        runs.create(tx, SCOPE, {"id": run_id, "name": "nightly-1", "flow_name": "nightly", **more})
        line = {"workspace_id": SCOPE.workspace_id, "run_id": run_id, "attempt": 1, "at": tx.now, "level": 20,
                "logger": "", "message": "the last line it wrote"}  # fmt: skip
        tx.insert(Log.__table__, line)  # type: ignore[attr-defined]
    handle(store, SCOPE, run_id, Dispatch(new_id()))
    handle(store, SCOPE, run_id, Claim(1, 1))
    handle(store, SCOPE, run_id, Fail(1, 1, message), error_type="ValueError", error_message=message)
    tell(store, settings, run_id, "failed")
    tell(store, settings, run_id, "failed")
    router = Router(store)
    while router.step():
        pass
    router.close()
    return run_id


def tell(store: Store, settings: Settings, run_id: str, verb: str) -> None:
    context = Context("upkeep", settings, None, store)  # type: ignore[arg-type]
    with store.read() as tx:
        row = runs.row(tx, SCOPE, run_id)
    assert row is not None
    hub_run_state(ctx=context, event={"type": f"hub.run.{verb}"}, run=row)


def make_due(store: Store) -> None:
    """Let the waiting time of planned attempts pass."""
    with store.write() as tx:
        waiting = DELIVERIES.c.status == "pending"
        tx.conn.execute(update(DELIVERIES).where(waiting).values(due_at=tx.now))


def attempts(store: Store) -> list[tuple[int, str]]:
    with store.read() as tx:
        rows = notices.list_deliveries(tx, SCOPE, alert_id=None, limit=50, cursor=None).items
    return sorted((row["attempt"], row["status"]) for row in rows)


def test_an_alert_reaches_smtp_and_slack_once_each(store: Store, settings: Settings, slack: Slack) -> None:
    with smtp_server() as (port, mails):
        add_channel(store, "mail", f"mailto://127.0.0.1:{port}?from=hub@example.com&to=you@example.com&smtp=127.0.0.1")
        add_channel(store, "chat", slack.address)
        run_id = fail_a_run(store, settings)
        deliverer = Deliverer(store, settings)
        while deliverer.step():
            pass
    assert attempts(store) == [(1, "sent"), (1, "sent")]
    assert len(mails) == len(slack.texts) == 1
    mail = message_from_bytes(mails[0])
    payloads = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text"]
    text = "".join(payload.decode() for payload in payloads if isinstance(payload, bytes))
    for body in (text, slack.texts[0]):
        for wanted in (
            "nightly",
            "nightly-1",
            run_id,
            "ValueError",
            "boom",
            "the last line it wrote",
            f"/ui/runs/{run_id}",
        ):
            assert wanted in body
        assert "<!channel>" not in body
        assert "@everyone" not in body
    assert "nightly failed" in str(mail["subject"])


def test_a_receiver_that_is_down_at_first_gets_it_once(store: Store, settings: Settings) -> None:
    slack = Slack(free_port())
    add_channel(store, "chat", slack.address)
    fail_a_run(store, settings)
    deliverer = Deliverer(store, settings)
    assert deliverer.step()
    assert attempts(store) == [(1, "failed"), (2, "pending")]
    assert not deliverer.step(), "the second attempt waits for its time"
    slack.start()
    try:
        make_due(store)
        assert deliverer.step()
        assert not deliverer.step()
    finally:
        slack.stop()
    assert attempts(store) == [(1, "failed"), (2, "sent")]
    assert len(slack.texts) == 1


def test_tries_end_and_the_last_is_dead(store: Store, settings: Settings) -> None:
    add_channel(store, "chat", Slack(free_port()).address)
    fail_a_run(store, settings)
    for _ in range(4):
        Deliverer(store, settings).step()
        make_due(store)
    assert attempts(store) == [(1, "failed"), (2, "failed"), (3, "dead")]


def test_a_retry_after_is_honoured(store: Store, settings: Settings, slack: Slack) -> None:
    slack.answers = [(429, {"Retry-After": "900"})]
    add_channel(store, "chat", slack.address)
    fail_a_run(store, settings)
    Deliverer(store, settings).step()
    with store.read() as tx:
        rows = notices.list_deliveries(tx, SCOPE, alert_id=None, limit=9, cursor=None).items
        planned = next(row for row in rows if row["attempt"] == 2)
        assert planned["due_at"] > tx.now + 890_000_000


@pytest.mark.parametrize("status", [301, 401, 404, 410])
def test_a_permanent_refusal_switches_the_channel_off_and_tells_another(
    store: Store, settings: Settings, slack: Slack, status: int
) -> None:
    other = Slack()
    other.start()
    try:
        slack.answers = [(status, {"Location": "http://127.0.0.1:1/"})]
        add_channel(store, "bad", slack.address)
        add_channel(store, "good", other.address)
        fail_a_run(store, settings)
        deliverer = Deliverer(store, settings)
        while deliverer.step():
            pass
    finally:
        other.stop()
    with store.read() as tx:
        channel = channels.find(tx, SCOPE, "bad")
    assert not channel["enabled"]
    assert str(status) in channel["disabled_reason"]
    assert len(other.texts) == 2
    assert any("Channel bad" in text for text in other.texts)


@contextmanager
def root_log() -> Iterator[io.StringIO]:
    """What a handler on the root logger gets; caplog also hooks loggers that do not propagate."""
    root, text = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(text), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def test_no_address_leaves_the_hub(store: Store, settings: Settings, slack: Slack) -> None:
    slack.answers = [(404, {})]
    channel = add_channel(store, "chat", slack.address)
    add_channel(store, "json", f"json://127.0.0.1:{free_port()}/{CANARY}?+Authorization={CANARY}")
    fail_a_run(store, settings)
    with root_log() as log:
        deliverer = Deliverer(store, settings)
        while deliverer.step():
            pass
    shown = [log.getvalue()]
    assert "answered 404" in shown[0]
    with store.read() as tx:
        models: tuple[Any, ...] = (AuditEntry, Channel, CommandOutcome, Delivery, Event)
        shown += [repr(tx.conn.execute(model.__table__.select()).all()) for model in models]
        shown.append(repr(channels.listed(tx, SCOPE, limit=9, cursor=None)))
        row = channels.find(tx, SCOPE, channel)
        assert channels.open_address(tx.keyring, row, channel) == slack.address
    assert CANARY not in "".join(shown)


@pytest.mark.parametrize(
    "address",
    ["no url", "nosuch://x", "mailto://", f"json://{CANARY}:x:y", "syslog://", "slack+http:///x", "json://a\x00b"],
)
def test_a_wrong_address_is_refused_and_not_repeated(store: Store, address: str) -> None:
    with pytest.raises(UsageError) as caught:
        add_channel(store, "chat", address)
    assert CANARY not in str(caught.value)


def test_a_success_resolves_what_fired(store: Store, settings: Settings) -> None:
    fail_a_run(store, settings)
    run_id = new_id()
    with store.write() as tx:
        runs.create(tx, SCOPE, {"id": run_id, "name": "nightly-2", "flow_name": "nightly"})
    handle(store, SCOPE, run_id, Dispatch(new_id()))
    handle(store, SCOPE, run_id, Claim(1, 1))
    handle(store, SCOPE, run_id, Complete(1, 1))
    tell(store, settings, run_id, "completed")
    with store.read() as tx:
        (alert,) = firing.list_alerts(tx, SCOPE, status=None, limit=9, cursor=None).items
    assert alert["status"] == "resolved"


def test_a_removed_channel_gets_nothing_more(store: Store, settings: Settings, slack: Slack) -> None:
    add_channel(store, "chat", slack.address)
    fail_a_run(store, settings)
    apply(store, Command("channel.rm", SCOPE, "chat"))
    Deliverer(store, settings).step()
    assert slack.texts == []
    assert attempts(store) == [(1, "dead")]


_DYING = """
import os, signal, sys
from hub.settings import load_settings
from hub.store import open_hub
from hub_notifications import deliver
settings = load_settings()
store = open_hub(settings)
real = deliver.send
def dying(*args):
    real(*args)
    os.kill(os.getpid(), signal.SIGKILL)
deliver.send = dying
deliver.Deliverer(store, settings).step()
"""


def test_a_sender_killed_between_sending_and_noting_loses_nothing(tmp_path: Path, slack: Slack) -> None:
    from hub.store import open_hub

    settings = load_settings({"home": tmp_path / "h"}, environ={})
    store = open_hub(settings)
    store.migrate()
    try:
        add_channel(store, "chat", slack.address)
        fail_a_run(store, settings)
        env = {**os.environ, "HUB_HOME": str(tmp_path / "h")}
        done = subprocess.run([sys.executable, "-c", _DYING], env=env, timeout=60, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert attempts(store) == [(1, "sending")]
        assert not Deliverer(store, settings).step(), "its claim still runs"
        with store.write() as tx:
            tx.conn.execute(update(DELIVERIES).values(claimed_until=tx.now - 1))
        assert Deliverer(store, settings).step()
    finally:
        store.close()
    assert len(slack.texts) == 2  # at least once: the peer had taken the first one


def test_delays_grow_spread_and_end() -> None:
    delays = (10.0, 60.0)
    assert next_delay(delays, 1, retry_after=None, spread=0) == 10
    assert next_delay(delays, 2, retry_after=None, spread=1) == 72
    assert next_delay(delays, 1, retry_after=500, spread=0) == 500
    assert next_delay(delays, 3, retry_after=None, spread=0) is None


_FORKING = """
import os, sys
from hub.channels import Outgoing
from hub_notifications.reach import make_reach
from hub_notifications.send import send
address, reach = sys.argv[1], make_reach("open")
send(Outgoing(address, "parent", "x"), reach)
child = os.fork()
if child == 0:
    send(Outgoing(address, "child", "x"), reach)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_apprise_sends_in_a_forked_child() -> None:
    with smtp_server() as (port, mails):
        address = f"mailto://127.0.0.1:{port}?from=hub@example.com&to=you@example.com&smtp=127.0.0.1"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _FORKING, address], timeout=50, capture_output=True, check=False
        )
    assert done.returncode == 0, done.stderr.decode()
    assert len(mails) == 2
