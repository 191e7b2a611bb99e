"""What flows do in Slack, against a server that takes only what Slack documents; what Slack sends, as it sends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hub import flow
from hub.errorclasses import ErrorClass
from hub.errors import PermanentError, UsageError
from hub.plugins import load_plugins
from hub.settings import load_settings
from hub.testing import harness
from hub.testing.kit import Hub
from hub.types import Scope
from tests.plugins.slack.server import CHANNEL, TOKEN, Slack, slack

from hub_notifications.deliver import Deliverer
from hub_notifications.router import Router
from hub_plugins.slack import alerts
from hub_plugins.slack import tasks as on_slack
from hub_plugins.slack.client import SlackError
from hub_plugins.slack.plugin import check
from hub_plugins.slack.settings import Slack as Settings

SCOPE = Scope()


@pytest.fixture
def server() -> Iterator[Slack]:
    with slack() as made:
        yield made


@pytest.fixture
def kit(server: Slack) -> Iterator[Hub]:
    with harness() as made:
        made.connect("slack", "slack", url=server.url, token=TOKEN)
        yield made


def test_messages_threads_reactions_and_files(kit: Hub, server: Slack) -> None:
    @flow
    def whole() -> Any:
        first = on_slack.post_message("#ops", "It *fails*")
        on_slack.post_message(first["channel"], "since today", thread=first["ts"], broadcast=True)
        on_slack.update_message(first["channel"], first["ts"], "It is well again")
        for _ in range(2):
            on_slack.react(first["channel"], first["ts"], ":white_check_mark:")
        on_slack.upload_file(first["channel"], "log.txt", "line\n", comment="see", thread=first["ts"])
        return first

    first = whole()
    assert first == {"channel": CHANNEL, "ts": "1795166100.000100"}
    top, reply = server.messages
    assert (top["text"], top["reactions"]) == ("It is well again", ["white_check_mark"])
    assert (reply["thread_ts"], reply["reply_broadcast"]) == (first["ts"], True)
    (file,) = server.files
    assert (file["data"], file["title"], file["thread"]) == (b"line\n", "log.txt", first["ts"])
    assert not [name for name in server.asked if "history" in name], "a first try looks for nothing"


DOES: dict[str, tuple[Callable[[], Any], str, int]] = {
    "message": (lambda: on_slack.post_message(CHANNEL, "once"), "messages", 1),
    "reply": (lambda: on_slack.post_message(CHANNEL, "once", thread="1795166000.000100"), "messages", 1),
    "file": (lambda: on_slack.upload_file(CHANNEL, "log.txt", b"x"), "files", 3),
}


@flow
def does(name: str) -> Any:
    return DOES[name][0]()


@pytest.mark.parametrize("name", DOES)
def test_a_try_whose_answer_was_lost_is_found_by_the_next(kit: Hub, server: Slack, name: str) -> None:
    server.trouble = lambda number: "cut" if number == DOES[name][2] else None
    does(name)
    assert len(getattr(server, DOES[name][1])) == 1
    assert kit.run(does).tasks[0].attempt == 2


def test_two_calls_are_two(kit: Hub, server: Slack) -> None:
    @flow
    def twice() -> None:
        does.fn("message")
        does.fn("message")

    twice()
    assert len(server.messages) == 2


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        ((429, {"retry-after": "120"}, None), 120),
        ((429, {}, None), 30),
        ((200, {}, {"ok": False, "error": "internal_error"}), 1),
        ((503, {}, None), 1),
    ],
    ids=["a limit", "one that does not say", "ok: false that passes", "away"],
)
def test_what_passes_is_waited_for(kit: Hub, server: Slack, trouble: Any, waits: int) -> None:
    server.trouble = lambda number: trouble if number == 1 else None
    does("message")
    run = kit.run(does)
    assert (run.ok, run.tasks[0].attempt, len(server.messages)) == (True, 2, 1)
    assert (run.ended_at - run.started_at).total_seconds() >= waits


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "channel": (lambda: on_slack.post_message("C0000009999", "x"), "refuses chat.postMessage: channel_not_found"),
    "nothing": (lambda: on_slack.post_message(CHANNEL), "needs a text or blocks"),
    "message": (lambda: on_slack.update_message(CHANNEL, "1.0", "x"), "message_not_found"),
    "file": (lambda: on_slack.upload_file(CHANNEL, "a/b", b"x"), "is no file"),
    "address": (lambda: on_slack.respond("https://evil.example/x", "x"), "no response_url of Slack's"),
    "user": (lambda: on_slack.respond("https://u@hooks.slack.com/x", "x"), "no response_url of Slack's"),
    "payload": (lambda: on_slack.show_acknowledged({"type": "shortcut"}), "no payload of a button"),
}


def test_what_no_try_mends_fails_at_once_and_says_why(kit: Hub, server: Slack) -> None:
    @flow
    def fails(name: str) -> None:
        WRONG[name][0]()

    for name, (_, told) in WRONG.items():
        with pytest.raises((SlackError, UsageError), match=told) as caught:
            fails(name)
        assert kit.runs(fails)[-1].tasks[0].attempt == 1, name
        assert TOKEN not in repr(caught.value)


def test_what_is_missing_is_named(server: Slack) -> None:
    server.scopes.clear()
    client = on_slack.Client(Settings(token=TOKEN, url=server.url))  # type: ignore[arg-type]
    with pytest.raises(SlackError, match="missing_scope: the app needs the scope channels:history"):
        client.read("conversations.history", channel=CHANNEL, limit=1)
    server.trouble = lambda _number: (200, {}, {"ok": False, "error": "ratelimited"})
    with pytest.raises(SlackError) as caught:
        client.write("chat.postMessage", channel=CHANNEL, text="x")
    assert caught.value.error_class is ErrorClass.RATE_LIMITED


def test_a_connection_is_checked(server: Slack) -> None:
    assert check(Settings(token=TOKEN, url=server.url)) == "Slack takes it: hub in Acme"  # type: ignore[arg-type]
    with pytest.raises(PermanentError, match="invalid_auth"):
        check(Settings(token="xoxb-wrong", url=server.url))  # type: ignore[arg-type]


# --- what comes from Slack ------------------------------------------------------------------------------------------


def form(kit: Hub, **fields: str) -> Any:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return kit.webhook("slack", body=urlencode(fields).encode(), headers=kind)


@flow
def deploy(what: str, url: str) -> None:
    on_slack.respond(url, f"Deploying {what} ...", in_channel=True)


def test_a_slash_command_starts_a_flow(kit: Hub, server: Slack) -> None:
    kit.on("slack./deploy", deploy, {"what": "=body.text", "url": "=body.response_url"})
    told = {"command": "/deploy", "text": "billing", "user_id": "U061F7AUR", "trigger_id": "39.47.01"}
    hook = form(kit, **told, response_url=f"{server.url.removesuffix('/api')}/hooks/1")
    done = kit.deliver(hook)
    assert (done.status, done.answer, done.run.ok) == (200, "", True), "an empty answer shows nothing to who typed it"
    assert server.responses == [{"response_type": "in_channel", "text": "Deploying billing ..."}]
    assert kit.deliver(hook).runs == (), "Slack sends it again when it got no answer"


@pytest.fixture
def alerting(server: Slack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(alerts, "API", server.url)
    plugins = "only:webhooks,notifications,slack,storage,secrets"
    with harness(plugins=plugins, public_url="https://hub.example") as made:
        made.connect("slack", "slack", url=server.url, token=TOKEN)
        yield made


@flow
def breaks() -> None:
    raise RuntimeError("no <tea> left")


def alarm(kit: Hub) -> None:
    kit.client.post("/channels", {"name": "ops", "address": f"slack-app://{TOKEN}@{CHANNEL}"})
    with pytest.raises(RuntimeError):
        breaks()
    bring(kit)


def bring(kit: Hub, *, after: float = 0) -> None:
    """What upkeep does for alerts, which the harness leaves out."""
    steps = (Router(kit.store).step, Deliverer(kit.store, kit.settings).step)
    kit.advance(after)
    for _ in range(10):
        kit.settle()
        for step in steps:
            step()


def pressed(kit: Hub, server: Slack, message: dict[str, Any]) -> Any:
    """The request as Slack sends it when the first button of a message is pressed."""
    (actions,) = (block for block in message["blocks"] if block["type"] == "actions")
    payload = {
        "type": "block_actions", "user": {"id": "U061F7AUR", "username": "mona", "team_id": "T1"}, "api_app_id": "A1",
        "trigger_id": "12.34.ab", "team": {"id": "T1", "domain": "acme"}, "channel": {"id": CHANNEL, "name": "ops"},
        "container": {"type": "message", "message_ts": message["ts"], "channel_id": CHANNEL, "is_ephemeral": False},
        "message": {"type": "message", "ts": message["ts"], "text": message["text"], "blocks": message["blocks"]},
        "response_url": f"{server.url.removesuffix('/api')}/hooks/2",
        "actions": [{**actions["elements"][0], "type": "button", "action_ts": "1795166130.000300"}],
    }  # fmt: skip
    return form(kit, payload=json.dumps(payload))


def test_an_alert_is_acknowledged_by_its_button(alerting: Hub, server: Slack) -> None:
    kit = alerting
    trigger = {"types": ["slack.block_actions"], "match": 'body.actions[0].action_id == "hub_acknowledge"'}
    does = [
        {"acknowledge_alert": "=body.actions[0].value", "by": "=body.user.username + ' in Slack'"},
        {"run_action": "slack.show_acknowledged", "parameters": {"interaction": "=body"}},
    ]
    kit.client.put("/automations/acknowledge", {"trigger": trigger, "actions": does})
    alarm(kit)
    (message,) = server.messages
    assert "no &lt;tea&gt; left" in message["blocks"][0]["text"]["text"]
    buttons = message["blocks"][1]["elements"]
    assert [one["text"]["text"] for one in buttons] == ["Acknowledge", "Open"]
    done = kit.deliver(pressed(kit, server, message))
    assert (done.status, [event["type"] for event in done.events]) == (200, ["slack.block_actions"])
    (alert,) = kit.client.get("/alerts")["items"]
    assert alert["acknowledged_by"] == "mona in Slack"
    (told,) = server.responses
    assert told["replace_original"] is True
    assert [block["type"] for block in told["blocks"]] == ["section", "actions", "context"]
    assert [one["text"]["text"] for one in told["blocks"][1]["elements"]] == ["Open"]
    assert told["blocks"][2]["elements"][0]["text"] == "Acknowledged by <@U061F7AUR>"
    assert kit.run("slack.show_acknowledged").ok


def test_a_forged_press_acknowledges_nothing(alerting: Hub, server: Slack) -> None:
    from dataclasses import replace

    alarm(alerting)
    hook = pressed(alerting, server, server.messages[0])
    done = alerting.deliver(replace(hook, body=hook.body.replace(b"mona", b"eve")))
    assert (done.status, done.events) == (401, ())
    assert alerting.client.get("/alerts")["items"][0]["acknowledged_by"] in ("", None)


def test_an_alert_whose_answer_was_lost_comes_once(alerting: Hub, server: Slack) -> None:
    server.trouble = lambda number: "cut" if number == 1 else None
    alarm(alerting)
    bring(alerting, after=3_600)
    assert len(server.messages) == 1
    assert [one["status"] for one in alerting.client.get("/deliveries")["items"]].count("sent") == 1


def test_addresses_that_cannot_be_are_refused_without_the_token(alerting: Hub) -> None:
    for wrong in (f"slack-app://{TOKEN}", f"slack-app://{TOKEN}@ops", f"slack-app://{CHANNEL}@{CHANNEL}"):
        with pytest.raises(UsageError, match="is not TOKEN@CHANNEL") as caught:
            alerting.client.post("/channels", {"name": "x", "address": wrong})
        assert TOKEN not in str(caught.value)


def test_the_plugin_brings_its_kinds_and_its_actions() -> None:
    hooks = load_plugins(load_settings(), process="worker").hooks
    assert "slack" in {kind.name for kind in hooks.connection_kinds()}
    assert "slack-app" in {kind.scheme for kind in hooks.channel_kinds()}
    names = {"post_message", "update_message", "react", "upload_file", "respond", "show_acknowledged"}
    assert {name for name in hooks.actions() if name.startswith("slack.")} == {f"slack.{name}" for name in names}
