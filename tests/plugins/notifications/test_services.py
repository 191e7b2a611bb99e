"""Each service with each behaviour of its server: what is sent, to the byte that matters, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hub.channels import Attachment, Outgoing
from hub.errors import DeclinedError, PermanentError, TransientError
from hub.webhooks import standard
from tests.receivers import holds

from hub_notifications.send import send

from .services import Reply, Request, World

LONG = "a line of the text\n" * 6_000
SECRET = standard.new_secret()
MESSAGE = Outgoing(
    "", "nightly failed", "ValueError: boom <b> & *more*", key="nightly/run-failed", ident="0190-message",
    link="https://hub.example.com/ui/runs/1",
)  # fmt: skip


@dataclass(frozen=True)
class Service:
    """A service: where its requests must go, what it answers, and what of a request is the text."""

    address: str
    host: str
    target: str
    answer: bytes
    text: Callable[[Request], str]
    longest: int
    message_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()


def _attachment(request: Request) -> str:
    (only,) = request.json["attachments"]
    return f"{only.get('title', '')}\n{only['text']}"


def _pagerduty(request: Request) -> str:
    body = request.json
    assert (body["routing_key"], body["event_action"], body["dedup_key"]) == (
        "R0UT1NGKEYabcdef", "trigger", "nightly/run-failed",
    )  # fmt: skip
    assert body["payload"]["severity"] == "error"
    assert body["links"] == [{"href": MESSAGE.link, "text": "Hubspoke"}]
    return f"{body['payload']['summary']}\n{body['payload']['custom_details']['text']}"


def _signed(request: Request) -> str:
    assert request.headers["webhook-id"] == MESSAGE.ident
    assert holds({"scheme": "v1", "key": SECRET}, request.headers, request.body)
    data = request.json["data"]
    assert (request.json["type"], data["key"]) == ("hub.alert.firing", MESSAGE.key)
    return f"{data['title']}\n{data['text']}"


def _card(request: Request) -> str:
    (card,) = request.json["attachments"]
    return "\n".join(block.get("text", "") for block in card["content"]["body"])


def _discord(request: Request) -> str:
    assert request.query == {"wait": "true"}
    return str(request.json.get("content") or request.json["embeds"][0]["description"])


def _both(title: str, text: str) -> Callable[[Request], str]:
    return lambda request: f"{request.json[title]}\n{request.json[text]}"


SERVICES = {
    "slack": Service(
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "hooks.slack.com",
        "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", b"ok", _attachment, 35_014,
    ),
    "slack bot": Service(
        "slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#ops", "slack.com", "/api/chat.postMessage",
        b'{"ok":true,"ts":"1503435956.000247"}', _attachment, 35_014, "1503435956.000247",
        (("authorization", "Bearer xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d"),),
    ),
    "slack-compatible": Service(
        "slack+https://chat.example.com/hooks/abcdef", "chat.example.com", "/hooks/abcdef", b"ok",
        lambda request: str(request.json["text"]), 200_000,
    ),
    "discord": Service(
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord.com",
        "/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?wait=true", b'{"id":"1187"}', _discord, 2_000, "1187",
    ),
    "teams workflow": Service(
        "workflows://prod-00.westus.logic.azure.com:443/3c7ac0ab/J7R9ttDC", "prod-00.westus.logic.azure.com",
        "/workflows/3c7ac0ab/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0"
        "&sig=J7R9ttDC", b"", _card, 28_000,
    ),
    "mattermost": Service(
        "mmosts://chat.example.com/3ccdd113474722377935511fc85d3dd4", "chat.example.com",
        "/hooks/3ccdd113474722377935511fc85d3dd4", b"ok", lambda request: str(request.json["text"]), 4_000,
    ),
    "ntfy": Service(
        "ntfys://alerts-of-ours", "ntfy.sh", "/", b'{"id":"sPs71M8A2T"}', _both("title", "message"), 4_096,
        "sPs71M8A2T",
    ),
    "json": Service(
        "jsons://hooks.example.com/alerts?+X-Key=k3yk3yk3y", "hooks.example.com", "/alerts", b"",
        _both("title", "message"), 33_000, headers=(("x-key", "k3yk3yk3y"),),
    ),
    "signed json": Service(
        f"hub+https://hooks.example.com/alerts?a=b&secret={SECRET}", "hooks.example.com", "/alerts?a=b", b"", _signed,
        200_000,
    ),
    "pagerduty": Service(
        "pagerduty://R0UT1NGKEYabcdef@APIKEYabcdef", "events.pagerduty.com", "/v2/enqueue",
        b'{"status":"success","dedup_key":"nightly/run-failed"}', _pagerduty, 200_000, "nightly/run-failed",
    ),
}  # fmt: skip


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]


def to(service: Service, **more: Any) -> Outgoing:
    return replace(MESSAGE, address=service.address, **more)


def test_success(world: World, service: Service) -> None:
    world.replies = [Reply(body=service.answer)]
    sent = send(to(service), world.reach())
    (request,) = world.got
    assert (request.method, request.host, request.target) == ("POST", service.host, service.target)
    for name, value in service.headers:
        assert request.headers[name] == value
    assert "nightly failed" in service.text(request)
    assert "ValueError: boom" in service.text(request)
    assert (sent.message_id, sent.status) == (service.message_id, 200)
    assert sent.elapsed > 0
    assert world.dialled == [("8.8.8.8", 443)]


def test_429_with_retry_after(world: World, service: Service) -> None:
    world.replies = [Reply(429, headers={"Retry-After": "900"})]
    with pytest.raises(TransientError, match="answered 429") as caught:
        send(to(service), world.reach())
    assert (caught.value.retry_after, caught.value.status) == (900.0, 429)
    assert len(world.got) == 1, "Apprise's plugin must not try again by itself"


def test_500_then_success(world: World, service: Service) -> None:
    world.replies = [Reply(500), Reply(body=service.answer)]
    with pytest.raises(TransientError, match="answered 500"):
        send(to(service), world.reach())
    assert send(to(service), world.reach()).status == 200
    assert len(world.got) == 2
    first, second = (service.text(request) for request in world.got)
    assert first == second


def test_timeout(world: World, service: Service) -> None:
    world.replies = [Reply(hang=True)]
    with pytest.raises(TransientError, match="no whole answer"):
        send(to(service), world.reach(timeout_s=0.3))
    assert len(world.got) == 1


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirects_are_not_followed(world: World, service: Service, status: int) -> None:
    world.replies = [Reply(status, headers={"Location": "https://slack.com/elsewhere"})]
    address = f"{service.address}{'&' if '?' in service.address else '?'}redirect=yes"
    with pytest.raises(PermanentError, match=f"answered {status}") as caught:
        send(replace(to(service), address=address), world.reach())
    assert caught.value.status == status
    assert len(world.got) == 1


def test_401(world: World, service: Service) -> None:
    world.replies = [Reply(401, b'{"error":"invalid_auth"}')]
    with pytest.raises(PermanentError, match="answered 401: invalid_auth") as caught:
        send(to(service), world.reach())
    assert not isinstance(caught.value, DeclinedError)
    assert len(world.got) == 1


def test_oversize(world: World, service: Service) -> None:
    """A text over every limit is one message within the service's."""
    world.replies = [Reply(body=service.answer)]
    assert send(to(service, text=LONG), world.reach()).status == 200
    (request,) = world.got
    assert 500 < len(service.text(request)) <= service.longest


def test_an_answer_without_end(world: World, service: Service) -> None:
    """It is cut. Apprise's plugin for Slack looks for its "ok", the status is enough for the others."""
    world.replies = [Reply(endless=True)]
    if service.host.endswith("slack.com"):
        with pytest.raises(TransientError, match="does not answer as this service does"):
            send(to(service), world.reach())
    else:
        assert send(to(service), world.reach()).status == 200
    assert len(world.got) == 1


def test_a_message_that_is_refused_as_too_large_leaves_the_channel_on(world: World, service: Service) -> None:
    world.replies = [Reply(413)]
    with pytest.raises(DeclinedError, match="answered 413"):
        send(to(service), world.reach())


def test_a_bot_that_slack_refuses_with_a_200_is_no_success(world: World) -> None:
    world.replies = [Reply(body=b'{"ok":false,"error":"channel_not_found"}')]
    with pytest.raises(PermanentError, match="channel_not_found"):
        send(to(SERVICES["slack bot"]), world.reach())


@pytest.mark.parametrize(
    ("status", "path", "action"),
    [("acknowledged", "acknowledge", "acknowledge"), ("resolved", "close", "resolve")],
)
def test_incidents_are_acknowledged_and_resolved_by_the_key_of_the_alert(
    world: World, status: Any, path: str, action: str
) -> None:
    world.replies = [Reply(202, b'{"requestId":"r-1"}')]
    assert send(to(SERVICES["pagerduty"], status=status), world.reach()).status == 202
    genie = replace(MESSAGE, address="opsgenie://a-b-c-d/#team?tags=x", status=status)
    assert send(genie, world.reach()).message_id == "r-1"
    assert send(replace(genie, status="firing", severity="critical"), world.reach()).message_id == "r-1"
    pager, ended, created = world.got
    assert pager.json == {
        "routing_key": "R0UT1NGKEYabcdef", "event_action": action, "dedup_key": "nightly/run-failed",
    }  # fmt: skip
    assert ended.target == f"/v2/alerts/nightly%2Frun-failed/{path}?identifierType=alias"
    assert ended.headers["authorization"] == "GenieKey a-b-c-d"
    assert created.json["alias"] == "nightly/run-failed"
    assert (created.json["priority"], created.json["tags"]) == ("P1", ["x"])


def test_a_failure_that_an_address_calls_optional_is_a_failure(world: World) -> None:
    world.replies = [Reply(500)]
    address = "jsons://hooks.example.com/x?optional=yes&retry=3&wait=0"
    with pytest.raises(TransientError, match="500"):
        send(replace(MESSAGE, address=address), world.reach())
    assert len(world.got) == 1, "and is not tried again but by the hub"


def test_an_overflow_that_an_address_asks_for_never_makes_two_messages(world: World) -> None:
    world.replies = [Reply(body=b'{"id":"1"}')]
    send(replace(MESSAGE, address=SERVICES["discord"].address + "?overflow=split", text=LONG), world.reach())
    assert len(world.got) == 1


def test_a_fixed_service_cannot_be_led_elsewhere(world: World) -> None:
    world.replies = [Reply(body=b"ok")]
    send(to(SERVICES["slack"]), world.reach("fixed"))
    for name in ("mattermost", "json"):
        with pytest.raises(PermanentError, match="not allowed here"):
            send(to(SERVICES[name]), world.reach("fixed"))
    elsewhere = SERVICES["teams workflow"].address.replace("prod-00.westus.logic.azure.com", "hooks.example.com")
    with pytest.raises(PermanentError, match="not one of those that count"):
        send(replace(MESSAGE, address=elsewhere), world.reach("fixed"))
    assert len(world.got) == 1


def test_a_name_that_leads_to_a_private_address_is_refused(world: World) -> None:
    world.names["chat.example.com"] = "10.0.0.5"
    for address in (SERVICES["mattermost"].address, SERVICES["slack-compatible"].address):
        with pytest.raises(PermanentError, match="not one that the hub may call"):
            send(replace(MESSAGE, address=address), world.reach())
    assert world.dialled == []
    send(to(SERVICES["mattermost"]), world.reach(private=("10.0.0.0/8",)))
    world.names["chat.example.com"] = "169.254.169.254"
    with pytest.raises(PermanentError, match="not one that the hub may call"):
        send(to(SERVICES["mattermost"]), world.reach("open"))


def test_a_file_goes_with_the_message_where_the_service_takes_it(world: World) -> None:
    world.replies = [Reply(body=b'{"id":"1"}')]
    files = (Attachment("run.log", b"first line\nlast line\n"),)
    send(to(SERVICES["discord"], attachments=files), world.reach())
    assert any(b'filename="run.log"' in one.body and b"last line" in one.body for one in world.got)
    world.got.clear()
    send(to(SERVICES["teams workflow"], attachments=files), world.reach())
    assert not any(b"last line" in one.body for one in world.got)
    assert len(world.got) == 1
