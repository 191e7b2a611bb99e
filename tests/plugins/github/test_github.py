"""What flows do on GitHub, against a server that takes only what GitHub's API describes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hub import flow
from hub.connections import ConnectionKind
from hub.errors import PermanentError, UsageError
from hub.plugins import load_plugins
from hub.settings import load_settings
from hub.testing import harness
from hub.testing.kit import Hub
from tests.plugins.github.server import GIVEN, TOKEN, GitHub, github

from hub_plugins.github import tasks
from hub_plugins.github.client import _tokens
from hub_plugins.github.plugin import check
from hub_plugins.github.settings import GitHub as Settings


@pytest.fixture
def server() -> Iterator[GitHub]:
    with github() as made:
        yield made


@pytest.fixture
def kit(server: GitHub) -> Iterator[Hub]:
    with harness() as made:
        made.connect("github", "github", url=server.url, token=TOKEN)
        yield made


REPOSITORY = "octo/spoke"
DOES: dict[str, tuple[Callable[[], Any], str]] = {
    "create_issue": (lambda: tasks.create_issue(REPOSITORY, "It fails", "since today", ["bug"]), "issues"),
    "comment": (lambda: tasks.comment(REPOSITORY, 1, "seen"), "comments"),
    "set_check": (lambda: tasks.set_check(REPOSITORY, "ab" * 20, "etl", "success", summary="well"), "checks"),
    "create_release": (lambda: tasks.create_release(REPOSITORY, "v1", notes="first"), "releases"),
}


@flow
def does(name: str) -> Any:
    return DOES[name][0]()


@pytest.mark.parametrize("name", DOES)
def test_it_is_done_as_the_api_describes_it(kit: Hub, server: GitHub, name: str) -> None:
    found = does(name)
    (made,) = getattr(server, DOES[name][1])
    assert found["url"] == made["html_url"]
    assert kit.run(does).ok
    assert set(server.versions) == {"2022-11-28"}
    assert len(server.asked) == (2 if name == "set_check" else 1), "a first try looks for nothing"


@pytest.mark.parametrize("name", DOES)
def test_a_try_whose_answer_was_lost_is_found_by_the_next(kit: Hub, server: GitHub, name: str) -> None:
    last = 2 if name == "set_check" else 1
    server.trouble = lambda number: "cut" if number == last else None
    found = does(name)
    (made,) = getattr(server, DOES[name][1])
    assert found["url"] == made["html_url"]
    assert kit.run(does).tasks[0].attempt == 2


@pytest.mark.parametrize("name", ["create_issue", "comment", "set_check"])
def test_two_calls_are_two(kit: Hub, server: GitHub, name: str) -> None:
    @flow
    def twice() -> None:
        DOES[name][0]()
        DOES[name][0]()

    twice()
    assert len(getattr(server, DOES[name][1])) == (1 if name == "set_check" else 2), "a check is set anew"


def test_a_check_goes_from_under_way_to_its_conclusion_beside_that_of_another_app(kit: Hub, server: GitHub) -> None:
    sha = "cd" * 20
    server.checks.append(
        {"id": 1, "head_sha": sha, "name": "etl", "external_id": "theirs", "status": "queued", "html_url": ""}
    )

    @flow
    def checked() -> None:
        tasks.set_check(REPOSITORY, sha, "etl")
        tasks.set_check(REPOSITORY, sha, "etl", "failure", title="Failed", summary="3 of 40", details_url="https://hub")

    checked()
    theirs, ours = server.checks
    assert (theirs["status"], ours["status"], ours["conclusion"]) == ("queued", "completed", "failure")
    assert ours["output"] == {"title": "Failed", "summary": "3 of 40"}


def test_workflows_and_events_are_dispatched(kit: Hub, server: GitHub) -> None:
    @flow
    def dispatched() -> None:
        tasks.dispatch_workflow(REPOSITORY, "ci.yml", "main", {"level": "high"})
        tasks.dispatch_event(REPOSITORY, "loaded", {"rows": 3})

    dispatched()
    assert server.dispatched == [
        ("ci.yml", {"ref": "main", "inputs": {"level": "high"}}),
        ("", {"event_type": "loaded", "client_payload": {"rows": 3}}),
    ]


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        ((403, {"retry-after": "120"}), 120),
        ((429, {}), 60),
        ((403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}), 3_600),
        ((502, {}), 1),
    ],
    ids=["a secondary limit", "one that does not say", "the hour's requests are used", "away"],
)
def test_what_passes_is_waited_for(
    kit: Hub, server: GitHub, trouble: tuple[int, dict[str, str]], waits: int
) -> None:  # fmt: skip
    server.trouble = lambda number: trouble if number == 1 else None
    does("create_issue")
    run = kit.run(does)
    assert (run.ok, run.tasks[0].attempt, len(server.issues)) == (True, 2, 1)
    assert (run.ended_at - run.started_at).total_seconds() >= waits


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: tasks.create_issue("octo/other", "x"), "404 to POST /repos/octo/other/issues: Not Found (or the cred"),
        (lambda: tasks.create_issue(REPOSITORY, ""), "422 to POST /repos/octo/spoke/issues: Validation Failed; title"),
        (lambda: tasks.create_issue("octo/../x", "x"), "'octo/../x' is no repository"),
        (lambda: tasks.create_issue("../octo", "x"), "'../octo' is no repository"),
        (lambda: tasks.create_issue(REPOSITORY, "x", connection="files"), "of the kind files, not github"),
    ],
    ids=["unknown", "invalid", "no repository", "dots", "another kind"],
)
def test_what_no_try_mends_fails_at_once_and_says_why(
    kit: Hub, server: GitHub, call: Callable[[], Any], told: str
) -> None:  # fmt: skip
    kit.connect("files", "files", path="/tmp")

    @flow
    def fails() -> None:
        call()

    with pytest.raises(Exception, match=r"GitHub|repository|kind") as caught:
        fails()
    assert told in str(caught.value)
    assert kit.run(fails).tasks[0].attempt == 1
    assert TOKEN not in repr(caught.value)


def test_an_app_gets_a_token_for_its_installation_once(server: GitHub) -> None:
    key = rsa.generate_private_key(65_537, 2_048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    server.key, server.token = key.public_key(), GIVEN
    _tokens.clear()
    with harness() as kit:
        kit.connect("github", "github", url=server.url, app_id="Iv1.app", installation_id="77", private_key=pem)

        @flow
        def twice() -> None:
            tasks.comment(REPOSITORY, 1, "one")
            tasks.comment(REPOSITORY, 1, "two")

        twice()
    assert len(server.comments) == 2
    assert [path for path in server.asked if "access_tokens" in path] == ["POST /app/installations/77/access_tokens"]


def test_a_connection_is_checked(server: GitHub) -> None:
    assert check(Settings(url=server.url, token=TOKEN)) == (  # type: ignore[arg-type]
        "GitHub takes it; 4990 of 5000 requests are left this hour"
    )
    with pytest.raises(PermanentError, match="401 to GET /rate_limit: Bad credentials"):
        check(Settings(url=server.url, token="wrong"))  # type: ignore[arg-type]
    with pytest.raises(PermanentError, match="no RSA key"):
        check(Settings(url=server.url, app_id="1", installation_id=1, private_key="canary"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"token": "x", "app_id": "1"},
        {"app_id": "1", "installation_id": "5"},
        {"token": "x", "url": "http://github.example"},
        {"token": "x", "url": "https://user@github.example"},
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, str]) -> None:
    kind = ConnectionKind("github", "", Settings)
    with pytest.raises(UsageError):
        kind.parse(fields)


def test_the_plugin_brings_its_kind_and_its_actions() -> None:
    loaded = load_plugins(load_settings(), process="worker")
    assert "github" in {kind.name for kind in loaded.hooks.connection_kinds()}
    names = {name for name in loaded.hooks.actions() if name.startswith("github.")}
    assert names == {
        f"github.{name}"
        for name in ("create_issue", "comment", "set_check", "create_release", "dispatch_workflow", "dispatch_event")
    }
