"""The story: a signed webhook starts a flow, a failure reaches a person, nothing happens twice, forgery is refused."""

from __future__ import annotations

import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import hub.testing
from hub.errors import HubError, NotFoundError
from hub.testing.demo import github
from hub.testing.demo.mail import Mailbox
from hub.testing.demo.screen import Screen
from hub.testing.demo.site import Site, until
from hub.types import JsonObject

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
DEPLOYMENT = "github-ci"


def run(*, keep: bool = False) -> None:
    """Play the story. Raises HubError when something turns out other than it should. `keep` stays until Ctrl-C."""
    screen = Screen()
    with Mailbox() as mailbox, Site() as site:
        try:
            with screen.step("A hub, from nothing"):
                screen.command(["up"])
                screen.fact("hub", f"answers at {site.url}: broker, web, upkeep, worker", seconds=site.start())
            play(screen, site, mailbox, examples())
        except HubError:
            screen.line(site.log(), style="dim")
            raise
        screen.timings()
        if keep:
            screen.fact("dashboard", f"{site.url}/ui (Ctrl-C ends it)")
            site.wait()


def play(screen: Screen, site: Site, mailbox: Mailbox, folder: Path, *, post: str = "127.0.0.1") -> None:
    """Play the story on a hub that runs and has no runs yet. Raises HubError when something turns out otherwise.

    `folder` holds the examples and `post` is where the mailbox is, as the hub's processes see them.
    """
    source = _set_up(screen, site, folder, f"{post}:{mailbox.port}")
    push = _push(screen, site, source)
    _failure(screen, site, source, mailbox)
    _again(screen, site, source, push)
    _forged(screen, site, source)


def examples() -> Path:
    """Where the examples are: inside the wheel, or beside the sources."""
    installed = Path(hub.testing.__file__).parent / "examples"
    found = installed if installed.is_dir() else Path(hub.testing.__file__).parents[2] / "examples"
    if not (found / "github_ci.py").is_file():
        raise NotFoundError(f"the examples are not in {found}", hint="Install Hubspoke again.")
    return found


def _set_up(screen: Screen, site: Site, folder: Path, post: str) -> JsonObject:
    with screen.step("What it shall do"):
        _command(screen, site, "deploy", f"{folder / 'github_ci.py'}:github_ci", "--name", DEPLOYMENT)
        address = f"mailto://{post}?from=hub@example.com&to=you@example.com&mode=insecure&format=text"
        _command(screen, site, "channels", "add", "mail", address)
        source: JsonObject = site.json("webhooks", "create", "github", "--preset", "github")
        screen.command(["webhooks", "create", "github", "--preset", "github"])
        common = ("--run", DEPLOYMENT, "-p", "repository==body.repository.full_name")
        _command(
            screen, site, "automations", "create", "on-push", "--on", "github.push", *common,
            "-p", "commit==body.after",
        )  # fmt: skip
        _command(
            screen, site, "automations", "create", "on-workflow", "--on", "github.workflow_run", *common,
            "-p", "commit==body.workflow_run.head_sha", "-p", "workflow==body.workflow_run.name",
            "-p", "conclusion==body.workflow_run.conclusion",
        )  # fmt: skip
    return source


def _push(screen: Screen, site: Site, source: JsonObject) -> tuple[github.Delivery, str]:
    with screen.step("GitHub sends a signed push"):
        request = github.delivery("push", github.PUSH, str(source["secret"]))
        receipt = _accepted(screen, site, source, request)
        screen.fact("event", _event(site, receipt, "github.push"))
        ended = _ended_run(screen, site, 1)
        _expect(ended["state_type"] == "COMPLETED", f"the run ended {ended['state_name']}: {ended['state_message']}")
        tasks = list(site.client.items(f"/runs/{ended['id']}/tasks"))
        for task in sorted(tasks, key=lambda item: str(item["created_at"])):
            used = int(str(task.get("retries_used") or 0))
            retried = f", after {used} retry" if used else ""
            screen.line(f"task {task['name']:<12} {task['state_name']}{retried}")
        _expect(any(task.get("retries_used") for task in tasks), "no task was retried")
    return request, receipt


def _failure(screen: Screen, site: Site, source: JsonObject, mailbox: Mailbox) -> None:
    with screen.step("GitHub says that a workflow failed"):
        request = github.delivery("workflow_run", github.WORKFLOW_RUN, str(source["secret"]))
        receipt = _accepted(screen, site, source, request)
        screen.fact("event", _event(site, receipt, "github.workflow_run"))
        ended = _ended_run(screen, site, 2)
        _expect(ended["state_type"] == "FAILED", f"the run ended {ended['state_name']}, not Failed")
        began = time.monotonic()
        mail = mailbox.next(timeout=30)
        _expect(mail is not None, "no email arrived within 30 s")
        screen.fact("email", f"arrived: {mail['subject'] if mail else ''}", seconds=time.monotonic() - began)
        for line in _text(mail).splitlines()[:8]:
            screen.line(line, style="dim")


def _again(screen: Screen, site: Site, source: JsonObject, push: tuple[github.Delivery, str]) -> None:
    request, receipt = push
    with screen.step("The same request once more"):
        answer = github.send(site.http, _address(site, source), request)
        _expect(200 <= answer.status < 300, f"it was answered {answer.status}")
        _expect(_receipt(answer) == receipt, "it got a receipt of its own")
        screen.fact("answered", f"{answer.status} with the first receipt's id {receipt}")
        time.sleep(0.5)  # what must not happen needs a moment in which it could
        runs = list(site.client.items("/runs"))
        _expect(len(runs) == 2, f"there are {len(runs)} runs now")
        screen.fact("runs", "still two: it started nothing")


def _forged(screen: Screen, site: Site, source: JsonObject) -> None:
    with screen.step("A forged request"):
        answer = github.send(site.http, _address(site, source), github.delivery("push", github.PUSH, "not the secret"))
        _expect(answer.status in (400, 401, 403), f"it was answered {answer.status}")
        screen.fact("refused", f"{answer.status} {answer.document.get('detail', '')}".rstrip())


def _command(screen: Screen, site: Site, *words: str) -> None:
    screen.command(words)
    site.run(*words)


def _accepted(screen: Screen, site: Site, source: JsonObject, request: github.Delivery) -> str:
    began = time.monotonic()
    answer = github.send(site.http, _address(site, source), request)
    took = time.monotonic() - began
    _expect(200 <= answer.status < 300, f"the webhook was answered {answer.status}: {answer.document}")
    receipt = _receipt(answer)
    screen.fact("receipt", f"{receipt} verified, kept, answered {answer.status}", seconds=took)
    return receipt


def _address(site: Site, source: JsonObject) -> str:
    """The source's path on this hub, whatever public address it is told to print."""
    return site.url + "/in/" + str(source["url"]).rpartition("/in/")[2]


def _receipt(answer: github.Answer) -> str:
    return str(answer.document.get("receipt") or "")


def _event(site: Site, receipt: str, type_: str) -> str:
    def look() -> JsonObject | None:
        found = site.client.items("/events", {"type": type_}, limit=20)
        return next((event for event in found if _body(event).get("receipt_id") == receipt), None)

    event = until(f"the event {type_}", look)
    return f"{event['type']}, number {event['seq']}"


def _body(event: JsonObject) -> dict[str, Any]:
    body = event.get("body")
    return body if isinstance(body, dict) else {}


def _ended_run(screen: Screen, site: Site, number: int) -> JsonObject:
    """Wait until the `number`th run has ended, and tell of it."""
    began = time.monotonic()

    def look() -> JsonObject | None:
        found = sorted(site.client.items("/runs"), key=lambda item: str(item["created_at"]))
        return found[number - 1] if len(found) >= number and found[number - 1]["state_type"] in FINAL else None

    row = until(f"run {number} to end", look, seconds=30)
    ended: JsonObject = site.client.get(f"/runs/{row['id']}")
    good = ended["state_type"] == "COMPLETED"
    said = f"{ended['name']} {ended['state_name']}" + (f": {ended['state_message']}" if not good else "")
    screen.fact("run", said, good=good, seconds=time.monotonic() - began)
    return ended


def _text(mail: EmailMessage | None) -> str:
    part = mail.get_body(("plain", "html")) if mail is not None else None
    return str(part.get_content()).strip() if part is not None else ""


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise HubError(f"the demo went wrong: {otherwise}", code="demo")
