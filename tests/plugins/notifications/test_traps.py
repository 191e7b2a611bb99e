"""What Apprise does by itself and must not do here: hang in forks, follow, retry, split, read files, tell addresses."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub.channels import ChannelKind, Outgoing, Sent
from hub.errors import PermanentError, TransientError, UsageError
from tests.receivers import receiver

from hub_notifications.address import check_address, check_allowed
from hub_notifications.reach import make_reach
from hub_notifications.send import send

OPEN = make_reach("open", timeout_s=5)
PUBLIC = make_reach("public")
FIXED = make_reach("fixed")

_FORKING = """
import multiprocessing, os, sys
from hub.channels import Outgoing
from hub_notifications.reach import make_reach
from hub_notifications.send import send
address, reach = sys.argv[1], make_reach("open", timeout_s=5)
def child():
    assert send(Outgoing(address, "child", "x"), reach).status == 204
send(Outgoing(address, "parent", "x"), reach)
"""
_FORK = """
pid = os.fork()
if pid == 0:
    child()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
_POOL = """
from billiard.pool import Pool  # what Celery's prefork workers are made of
with Pool(1) as pool:
    pool.apply(child)
"""


@pytest.mark.parametrize("how", [_FORK, _POOL], ids=["fork", "prefork"])
def test_a_forked_child_sends_although_its_parent_has_sent(how: str) -> None:
    with receiver(204) as server:
        address = f"json://127.0.0.1:{server.port}/hook"
        command = [sys.executable, "-W", "ignore", "-c", _FORKING + how, address]
        done = subprocess.run(command, timeout=60, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(got.body)["title"] for got in server.got] == ["parent", "child"]


def test_a_fork_while_a_lock_is_held_by_another_thread_of_the_parent() -> None:
    from hub_notifications import beside, bridge, wire

    def child() -> None:
        for module in (beside, bridge, wire):
            with module._lock:
                pass

    context = multiprocessing.get_context("fork")
    with beside._lock, bridge._lock, wire._lock:
        process = context.Process(target=child)
        process.start()
    process.join(20)
    assert process.exitcode == 0


def test_what_others_send_with_requests_is_left_alone() -> None:
    import requests

    with receiver(204) as server:
        send(Outgoing(f"json://127.0.0.1:{server.port}/hook", "t", "x"), OPEN)
        moved = {"Location": f"http://127.0.0.1:{server.port}/there"}
        server.answer = lambda number: (307, moved, b"") if number == 2 else (204, {}, b"")
        assert requests.post(server.url, data=b"x", timeout=5).status_code == 204
    assert [got.path for got in server.got] == ["/hook", "/hook", "/there"]


def test_passwords_and_proxies_of_the_machine_are_not_for_receivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login machine password of-the-machine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with receiver(204) as server:
        send(Outgoing(f"json://127.0.0.1:{server.port}/hook", "t", "x"), OPEN)
    assert "authorization" not in server.got[0].headers


# --- where addresses may lead --------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "ntfys://topic", "discord://4174216298/JHMHI8qBe7bk2ZwO5",
        "workflows://prod-00.westus.logic.azure.com:443/3c7ac0ab/J7R9ttDC", "slack+https://chat.example.com/hook",
        "workflows://default.environment.api.powerplatform.com:443/3c7ac0ab/J7R9ttDC",
        "hub+https://hooks.example.com/x?secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
    ],
)  # fmt: skip
def test_the_fixed_level_allows_known_services_and_signed_webhooks(address: str) -> None:
    check_address(address)
    check_allowed(address, FIXED)


@pytest.mark.parametrize(
    "address",
    [
        "json://example.com/x", "jsons://example.com/x", "xml://example.com/x", "form://example.com",
        "mailto://user:pass@example.com", "mailtos://user:pass@example.com", "mqtt://example.com/topic",
        "irc://example.com/#room", "rsyslog://example.com", "apprise://example.com/token", "aprs://user:12345@DF1JSL-15",
        "ntfys://user:pass@ntfy.example.com/topic", "ntfy://10.0.0.1/topic", "slack+http://chat.example.com/hook",
        "workflows://evil.example.com:443/3c7ac0ab/J7R9ttDC", "mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4",
        "workflows://logic.azure.com.evil.example:443/3c7ac0ab/J7R9ttDC", "slack+https://127.0.0.1:8443@x/",
        "slack+https://chat.example.com:22/hook", "gotifys://example.com/tokentokentoken",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?template=/etc/passwd",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ?verify=no",
    ],
)  # fmt: skip
def test_the_fixed_level_refuses_hosts_of_somebodys_choosing(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_allowed(address, FIXED)
    for secret in ("evil", "pass@", "tokentoken", "3ccdd", "passwd"):
        assert secret not in f"{caught.value.detail} {caught.value.hint}"


@pytest.mark.parametrize(
    "address",
    [
        "discord://4174216298/JHMHI8qBe7bk2ZwO5?template=/etc/passwd", "aprs://user:12345@DF1JSL-15",
        "mailtos://u:p@example.com?pgp=sign&pgpprv=/etc/shadow", "rsyslog://example.com", "irc://example.com/#room",
    ],
)  # fmt: skip
def test_the_public_level_refuses_files_and_what_it_cannot_guard(address: str) -> None:
    with pytest.raises(UsageError):
        check_allowed(address, PUBLIC)
    if not address.startswith(("discord", "mail")):
        check_allowed(address, make_reach("public", schemes=(address.partition("://")[0],)))


def test_a_fixed_service_cannot_be_led_elsewhere_while_it_sends() -> None:
    with pytest.raises(PermanentError, match="not allowed here"):
        send(Outgoing("jsons://hooks.example.com/x", "t", "x"), FIXED)


@pytest.mark.parametrize(
    "address",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#one/#two", "tgram://123456789:abcdefg_hijklmnop/111/222",
        "mailto://127.0.0.1?from=hub@example.com&to=first@example.com,second@example.com",
    ],
)  # fmt: skip
def test_an_address_of_several_destinations_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="leads to 2 destinations") as caught:
        check_address(address)
    assert not any(part in caught.value.detail for part in ("first@", "111", "T1JJ"))


# --- kinds of channel of plugins -------------------------------------------------


class Slow:
    """A sender that goes on when it was given up."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.calls = 0
        self.ended = threading.Event()

    def __call__(self, _message: Outgoing) -> Sent:
        self.calls += 1
        self.go_on.wait(20)
        self.ended.set()
        return Sent("late")


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go_on.set()


def test_a_sender_that_was_given_up_and_delivers_late_is_not_doubled(slow: Slow) -> None:
    kinds = {"tape": ChannelKind("tape", "", slow)}
    message, reach = Outgoing("tape://secretname", "t", "x", ident="m-late"), make_reach("open", timeout_s=0.1)
    with pytest.raises(TransientError, match="may arrive all the same"):
        send(message, reach, kinds)
    with pytest.raises(TransientError, match="not sent again yet"):
        send(message, reach, kinds)
    slow.go_on.set()
    assert slow.ended.wait(10)
    deadline = time.monotonic() + 10
    while True:
        try:
            sent = send(message, reach, kinds)
            break
        except TransientError:
            assert time.monotonic() < deadline
    assert sent.message_id == "late"
    assert slow.calls == 1


@pytest.mark.parametrize(
    ("raised", "kind", "says"),
    [
        (RuntimeError("at tape://secretname"), TransientError, "the sender failed: RuntimeError"),
        (SystemExit(3), TransientError, "the sender failed"),
        (TransientError("secretname is busy", retry_after=30), TransientError, r"\*\*\* is busy"),
        (PermanentError("no tape secretname"), PermanentError, r"no tape \*\*\*"),
    ],
)
def test_what_a_plugins_sender_raises_stays_its_own(raised: BaseException, kind: Any, says: str) -> None:
    def failing(_message: Outgoing) -> Sent:
        raise raised

    with pytest.raises(kind, match=says) as caught:
        send(Outgoing("tape://secretname", "t", "x"), OPEN, {"tape": ChannelKind("tape", "", failing)})
    assert getattr(caught.value, "retry_after", None) in (None, 30)


def test_a_plugins_sender_that_keeps_failing_is_left_alone_for_a_while() -> None:
    called: list[str] = []

    def failing(message: Outgoing) -> Sent:
        called.append(message.title)
        raise TransientError("busy") if message.title == "busy" else RuntimeError("secretname")

    def attempt(title: str) -> TransientError:
        with pytest.raises(TransientError) as caught:
            send(Outgoing("worn://secretname", title, "x"), OPEN, {"worn": ChannelKind("worn", "", failing)})
        return caught.value

    for title in ["x"] * 4 + ["busy"] + ["x"] * 5:
        attempt(title)
    error = attempt("x")
    assert str(error) == "the sender of worn:// is not called for a while: it failed: RuntimeError"
    assert 50 < (error.retry_after or 0) <= 60
    assert len(called) == 10


_ECHO = """
import json, sys
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import open_hub
from hub.types import Scope
from hub_notifications.deliver import Deliverer
from hub_notifications.router import Router
settings = load_settings()
store = open_hub(settings)
store.migrate()
plugins = load_plugins(settings, process="upkeep", store=store)
contributed.install(plugins.hooks)
register(*plugins.hooks.commands())
for address in ("echo://", "echo://secretname"):
    try:
        apply(store, Command("channel.add", Scope(), args={"name": "tape", "address": address}))
    except Exception as error:
        print(type(error).__name__, error)
args = {"title": "Something broke", "about": "x", "occurrence": "1"}
apply(store, Command("alert.raise", Scope(), args=args))
router, deliverer = Router(store), Deliverer(store, settings)
while router.step() or deliverer.step():
    pass
with store.read() as tx:
    from hub_notifications import notices
    for row in tx.conn.execute(notices.DELIVERIES.select()).mappings():
        print(row["status"], row["error"])
"""


@pytest.mark.parametrize(("mode", "says"), [("", "sent None"), ("raise", "failed the sender failed: RuntimeError")])
def test_a_strangers_plugin_brings_a_scheme(tmp_path: Path, mode: str, says: str) -> None:
    env = {
        **os.environ, "HUB_HOME": str(tmp_path / "h"), "ECHO_FILE": str(tmp_path / "echo"), "ECHO_MODE": mode,
        "HUB_ALERTS_RETRY_DELAYS": "600",
    }  # fmt: skip
    command = [sys.executable, "-c", _ECHO]
    done = subprocess.run(command, env=env, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "UsageError the echo:// address has no name" in done.stdout
    assert says in done.stdout
    assert "secretname" not in done.stdout
    if not mode:
        line = json.loads((tmp_path / "echo").read_text().splitlines()[-1])
        assert (line["to"], line["title"]) == ("echo://secretname", "Something broke")
