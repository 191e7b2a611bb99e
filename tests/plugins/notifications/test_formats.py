"""One alert as each service gets it: through the loop that delivers, in the service's own markup, pinging nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from hub.runtime.commands import Command, apply, register
from hub.settings import load_settings
from hub.store import Store, open_store
from hub.types import Scope
from sqlalchemy import select

from hub_notifications import channels, deliver, firing, notices
from hub_notifications.content import content
from hub_notifications.deliver import Deliverer
from hub_notifications.plugin import hub_commands
from hub_notifications.reach import Reach
from hub_notifications.rules import AlertEvent

from .services import Mails, Reply, Request, World
from .test_sending import part
from .test_services import SERVICES

SCOPE = Scope()
RUN = "01993f2a-7c11-7e55-9d5e-5b1f0c9a7d01"
TITLE = "nightly <b>load</b> failed"
HOSTILE = "boom @everyone <!channel> <@U1> [x](https://evil.example/) <https://evil.example|y> *bold* </pre><img src=x>"
PINGS = re.compile(r"@(everyone|here|channel)(?![a-z])|<[@!]")
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12345"
MAIL = (
    "mailtos://hub%40example.com:the-mail-pass@mail.example.com:587?smtp=mail.example.com&from=hub@example.com"
    "&to=ops@example.com"
)


@dataclass(frozen=True)
class Case:
    """A service, what of a request is its message, and how its markup writes a name, a link and lines of a log."""

    address: str
    shown: Callable[[Request], str]
    title: str
    name: str
    link: str
    block: str
    answer: bytes = b'{"ok":true,"id":"1"}'


def text(request: Request) -> str:
    return str(request.json["text"])


def slack(request: Request) -> str:
    assert request.json["mrkdwn"] is True
    (only,) = request.json["attachments"]
    return f"{only['title']}\n{only['text']}"


def card(request: Request) -> str:
    """Teams: the title is plain text that stands out, the body Markdown."""
    title, body = request.json["attachments"][0]["content"]["body"]
    assert (title["style"], body["wrap"]) == ("heading", True)
    return f"{title['text']}\n{body['text']}"


def telegram(request: Request) -> str:
    assert request.json["parse_mode"] == "HTML"
    assert set(re.findall(r"</?(\w+)", request.json["text"])) <= {"b", "a", "pre"}, "nothing that Telegram refuses"
    return text(request)


def both(request: Request) -> str:
    return f"{request.json['title']}\n{request.json['message']}"


def summary(request: Request) -> str:
    payload = request.json["payload"]
    return f"{payload['summary']}\n{payload['custom_details']['text']}"


SLACK_TITLE = "nightly &lt;b&gt;load&lt;/b&gt; failed"
PLAIN = ("Flow: nightly", "Open the run: {run}", "\n  the last line")
MARKDOWN = ("**Flow**: nightly", "[Open the run]({run})", "```\nthe first line\nthe last line\n```")
MRKDWN = ("*Flow*: nightly", "<{run}|Open the run>", "```\nthe first line\nthe last line\n```")
BOLD = r"**nightly \<b\>load\</b\> failed**"
CASES = {
    "slack": Case(SERVICES["slack"].address, slack, SLACK_TITLE, *MRKDWN, answer=b"ok"),
    "slack-compatible": Case(SERVICES["slack-compatible"].address, text, f"*{SLACK_TITLE}*", *MRKDWN),
    "discord": Case(SERVICES["discord"].address, lambda one: str(one.json["content"]), BOLD, *MARKDOWN),
    "teams workflow": Case(SERVICES["teams workflow"].address, card, TITLE, *MARKDOWN),
    "mattermost": Case(SERVICES["mattermost"].address, text, BOLD, *MARKDOWN),
    "telegram": Case(
        TELEGRAM, telegram, f"<b>{SLACK_TITLE}</b>", "<b>Flow</b>: nightly", '<a href="{run}">Open the run</a>',
        "<pre>the first line\nthe last line</pre>",
    ),
    "ntfy": Case(SERVICES["ntfy"].address, both, TITLE, *PLAIN),
    "json": Case(SERVICES["json"].address, both, TITLE, *PLAIN),
    "pagerduty": Case(SERVICES["pagerduty"].address, summary, TITLE, *PLAIN),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _operations() -> None:
    register(*hub_commands())


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("sqlite://")
    opened.migrate()
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def reach(world: World, monkeypatch: pytest.MonkeyPatch) -> Reach:
    """What is sent goes to the servers of the world: the network's seam."""
    made = world.reach()
    monkeypatch.setattr(deliver, "reach_of", lambda _settings: made)
    return made


def tell(store: Store, folder: Path, address: str) -> tuple[str, str]:
    """A channel and an alert that is brought to it: the ids of the alert and of its run."""
    args = {"name": "ops", "address": address}
    apply(store, Command("channel.add", SCOPE, args=args))
    run = {"id": RUN, "name": "nightly-1", "state": "Failed", "attempt": 1}
    context = {
        "run": run, "error": {"type": "ValueError", "message": HOSTILE}, "logs": ["the first line", "the last line"],
    }  # fmt: skip
    told = AlertEvent(
        "firing", "nightly/", "one", "run-failed", title=TITLE, labels={"flow": "nightly"}, context=context
    )
    with store.write() as tx:
        alert_id = firing.fire(tx, SCOPE, told, routed=False)
        assert alert_id is not None
        one = [{"alert_id": alert_id, "status": "firing", "occurrences": 1}]
        document = content("firing", [firing.find(tx, SCOPE, alert_id)], one, tx.now)
        notices.plan(tx, SCOPE, document, one, channels.targeted(tx, SCOPE, []))
    Deliverer(store, load_settings({"home": folder}, environ={})).step()
    with store.read() as tx:
        rows = tx.conn.execute(select(notices.DELIVERIES.c.status, notices.DELIVERIES.c.error)).all()
    assert [tuple(row) for row in rows] == [("sent", None)]
    return alert_id, f"http://127.0.0.1:4300/ui/runs/{run['id']}"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("reach")
def test_an_alert_arrives_in_the_markup_of_its_service(world: World, store: Store, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    world.replies = [Reply(body=case.answer)]
    alert_id, run = tell(store, tmp_path, case.address)
    (request,) = world.got
    shown = case.shown(request).replace("\r\n", "\n")
    assert shown.startswith(case.title)
    assert len(re.findall("load.{,12} failed", shown)) == 1, "the title is told once"
    for wanted in (case.name, case.link.format(run=run), case.block, "ValueError: boom"):
        assert wanted in shown
    assert not PINGS.search(request.body.decode())
    outside = re.sub(r"(?s)```.*?```", "", shown)
    told = {"".join(one) for one in re.findall(r"\]\((\w[^)]*)\)|<(http[^|>]*)\||href=\"([^\"]*)\"", outside)}
    base = run.partition("/runs/")[0]
    acting = {one for one in told if re.fullmatch(rf"{base}/alert-links/(acknowledge|silence)/[\w.-]+", one)}
    assert told - acting <= {run, f"{base}/alerts/{alert_id}"}
    assert len(acting) in (0, 2)
    assert shown.count("/ui/alert-links/") == 2


def test_mail_is_html_with_a_plain_alternative(
    world: World, mails: Mails, reach: Reach, store: Store, tmp_path: Path
) -> None:
    alert_id, run = tell(store, tmp_path, MAIL)
    (envelope,) = mails.got
    mail = message_from_bytes(envelope.content)
    assert mail["Subject"] == TITLE
    kinds = [one.get_content_type() for one in mail.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "text/html"]
    plain, html = part(mail, "text/plain").replace("\r", ""), part(mail, "text/html")
    for wanted in ("Flow: nightly\n", "Run: nightly-1, Failed\n", "the first line\nthe last line\n"):
        assert wanted in plain
    for wanted in (f"Open the run: {run}\n", f"/alerts/{alert_id}", "\nAcknowledge: http", "\nSilence: http"):
        assert wanted in plain
    assert f'<a class="button" href="{run}"' in html
    assert "<img" not in html
    assert "load</b>" not in html
    assert not PINGS.search(plain + html.replace("@media", ""))
