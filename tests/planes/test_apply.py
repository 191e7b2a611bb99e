"""`hub apply` by the real command and API, on both databases: planned, made, changed, unchanged, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hub.cli import apply as command
from hub.cli import main
from hub.settings import load_settings
from hub.store import open_hub, sources
from hub.types import Scope
from hub.web.app import build_app
from tests.unit.cli.conftest import Shell
from tests.unit.web.ui.serving import serve

FLOWS = """
from hub import flow

@flow(retries=2, description="Says hello.")
def hello(name: str = "x", events: list = []) -> str:
    return name
"""
SECRET = "a-secret-of-the-tests"
WHOLE = """
project: shop
x-common: &common
  tags: [a, b]
deployments:
  nightly:
    <<: *common
    entrypoint: flows.py:hello
    parameters: {name: Ada}
    schedules:
      - {cron: "0 2 * * *", timezone: Europe/Berlin}
      - interval: 300
    flow_control: {debounce: {period: 5s}}
sources:
  ci:
    preset: github
    secret: {env: CI_SECRET}
    keep_s: 12h
    redact: ["json:a.b"]
    allow_from: [192.0.2.0/24]
    schemas: {push: {type: object}}
    paused: true
"""


class Folder:
    """A folder with a file, and a shell that stands beside it."""

    def __init__(self, hub: Shell, path: Path) -> None:
        self.hub, self.path = hub, path
        (path / "flows.py").write_text(FLOWS)

    def write(self, text: str, name: str = "hub.yaml") -> str:
        file = self.path / name
        file.write_text(text)
        return str(file)

    def apply(self, text: str, *words: str, code: int = 0) -> str:
        return self.hub("apply", self.write(text), *words, code=code)

    def items(self, text: str, *words: str) -> dict[str, Any]:
        """What came of it, by section.name."""
        done = json.loads(self.apply(text, "--json", *words))
        return {f"{item['section']}.{item['name']}": item for item in done["items"]}

    def actions(self, text: str, *words: str) -> dict[str, str]:
        return {name: item["action"] for name, item in self.items(text, *words).items()}


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Folder:
    if request.param == "postgresql":
        monkeypatch.setenv("HUB_DATABASE_URL", request.getfixturevalue("postgres_url"))
    monkeypatch.setenv("CI_SECRET", SECRET)
    return Folder(Shell(capsys, monkeypatch), tmp_path)


@pytest.mark.long("sqlite")
def test_it_makes_what_a_file_says_and_the_second_time_there_is_nothing_to_do(folder: Folder) -> None:
    planned = folder.apply(WHOLE, "--dry-run")
    assert "+ deployments.nightly" in planned
    assert planned.endswith("Nothing was changed.\n")
    assert folder.hub.json("webhooks", "ls") == []

    made = folder.apply(WHOLE)
    assert "  made: sources.ci\n      address: http" in made
    assert SECRET not in planned + made
    assert folder.apply(WHOLE).endswith("= 2 unchanged\nNothing to do.\n")

    source = folder.hub.json("webhooks", "show", "ci")
    assert (source["keep_s"], source["redact"], source["allow_from"]) == (43_200, ["json:a.b"], ["192.0.2.0/24"])
    assert source["schema_mode"] == "observe"
    assert source["paused_at"] is not None
    deployment = folder.hub.json("deployments", "show", "nightly")
    assert deployment["entrypoint"] == f"{folder.path}/flows.py:hello"
    assert (deployment["tags"], deployment["retry_policy"]["retries"]) == (["a", "b"], 2)
    schedules = {(one["kind"], one["spec"], one["timezone"]) for one in folder.hub.json("schedules", "ls")}
    assert schedules == {("cron", "0 2 * * *", "Europe/Berlin"), ("interval", "300", "UTC")}


@pytest.mark.long("postgresql")
def test_a_change_is_shown_field_by_field_and_done(folder: Folder) -> None:
    folder.apply(WHOLE)
    changed = WHOLE.replace("12h", "1d").replace("name: Ada", "name: Bob").replace("      - interval: 300\n", "")
    changed = changed.replace("schemas: {push: {type: object}}", "schemas: {pull: {type: object}}")
    planned = folder.apply(changed, "--dry-run")
    assert 'parameters: {"name": "Ada"} -> {"name": "Bob"}' in planned
    assert "keep_s: 43200 -> 86400" in planned
    assert folder.actions(changed) == {"deployments.nightly": "change", "sources.ci": "change"}
    assert set(folder.actions(changed).values()) == {"unchanged"}
    assert [one["kind"] for one in folder.hub.json("schedules", "ls")] == ["cron"]
    assert [one["event_type"] for one in folder.hub.json("webhooks", "catalog", "ls", "ci")] == ["pull"]


@pytest.mark.long("postgresql")
def test_what_the_file_does_not_say_is_as_new_but_switches_stay_as_somebody_has_set_them(folder: Folder) -> None:
    text = WHOLE.replace("    paused: true\n", "")
    folder.apply(text)
    folder.hub("webhooks", "update", "ci", "--rate", "5")
    folder.hub("webhooks", "pause", "ci")
    folder.hub("deployments", "pause", "nightly")
    folder.hub("schedules", "pause", folder.hub.json("schedules", "ls")[0]["id"])
    found = folder.items(text)
    assert [change["field"] for change in found["sources.ci"]["changes"]] == ["rate_per_minute"]
    assert found["deployments.nightly"]["action"] == "unchanged"
    assert folder.hub.json("webhooks", "show", "ci")["paused_at"] is not None
    assert folder.hub.json("deployments", "show", "nightly")["paused"] is True
    assert folder.actions(WHOLE.replace("paused: true", "paused: false"))["sources.ci"] == "change"
    assert folder.hub.json("webhooks", "show", "ci")["paused_at"] is None


def test_a_secret_is_compared_and_never_shown(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.apply(WHOLE)
    monkeypatch.setenv("CI_SECRET", "another-secret-of-the-tests")
    told = folder.apply(WHOLE)
    assert "secret: (a secret, not shown) is written anew" in told
    assert "another-secret" not in told
    assert folder.actions(WHOLE)["sources.ci"] == "unchanged"
    store = open_hub(load_settings())
    with store.read() as tx:
        held = {one.value for one in sources.open_secrets(tx, sources.row(tx, Scope(), "ci")["id"])}
    store.close()
    assert held == {SECRET, "another-secret-of-the-tests"}  # the old one holds for a day
    assert "another-secret" not in folder.hub("apply", str(folder.path / "hub.yaml"), "--json")


def test_a_secret_may_be_in_a_file_or_stored_in_the_hub(folder: Folder) -> None:
    (folder.path / "token.txt").write_text(f"{SECRET}\n")
    folder.hub("secrets", "set", "CI", stdin=f"{SECRET}\n")
    folder.apply(WHOLE)
    for reference in ("{file: token.txt}", "{secret: CI}"):
        assert folder.actions(WHOLE.replace("{env: CI_SECRET}", reference))["sources.ci"] == "unchanged"
    wrong = folder.apply(WHOLE.replace("{env: CI_SECRET}", "{secret: NOBODY}"), code=2)
    assert "hub.yaml:17:5: sources.ci.secret: there is no secret 'NOBODY'" in wrong


def test_a_secret_may_be_a_reference_that_stays_one(folder: Folder) -> None:
    connected = "connections:\n  crm: {kind: http, fields: {url: 'http://h/', token: {ref: 'vault:a/b#c'}}}\n"
    text = WHOLE.replace("{env: CI_SECRET}", "{ref: 'env:HUB_SECRET_CI'}") + connected
    folder.apply(text)
    assert set(folder.actions(text).values()) == {"unchanged"}
    assert "ref: env:HUB_SECRET_CI" in folder.hub("export")
    folder.hub("connections", "create", "http", "own", "--url", "http://h/", "--token", "env:HUB_SECRET_X")
    assert "ref: env:HUB_SECRET_X" in folder.hub("export")
    wrong = folder.apply(text.replace("env:HUB_SECRET_CI", "no-reference"), code=2)
    assert "a reference to a secret is one word" in wrong


def test_everything_that_is_wrong_is_told_at_once_with_its_place_and_nothing_is_done(folder: Folder) -> None:
    told = folder.apply(
        """\
deploymnts: {}
deployments:
  a:
    entrypoint: flows.py:hallo
  b:
    entrypoint: flows.py:hello
    quue: x
    schedules: [{cron: "0 2 * *"}, {}]
  c:
    entrypoint: flows.py:hello
    parameters: {nam: 1}
  d:
    entrypoint: flows.py:hello
    schedules: [{cron: "0 2 * *", timezone: Nowhere}]
    flow_control: {debounce: {period: 5s}, batch: {max_size: 2, timeout: 5s}}
sources:
  ci: {preset: github, secret: clear-text-of-the-tests, keep_s: 12x, max_body: "5"}
  pay: {preset: stripee}
  ok: {preset: github, redact: [xx], allow_from: [nowhere]}
  env: {preset: github, secret: {env: NOT_SET}}
  list: [1]
""",
        code=2,
    )
    for said in (
        ":1:1: deploymnts: there is no section 'deploymnts'. Did you mean 'deployments'?",
        ":4:5: deployments.a.entrypoint: ",
        ":7:5: deployments.b.quue: there is no such setting. Did you mean `queue`?",
        ":8:36: deployments.b.schedules.1: a schedule has one of `cron`, `interval` and `rrule`",
        ":11:5: deployments.c.parameters: flow hello has no parameter nam. It takes name, events.",
        ":14:18: deployments.d.schedules.0.cron: '0 2 * *' is not a cron expression",
        ":14:35: deployments.d.schedules.0.timezone: there is no time zone 'Nowhere'",
        ":15:5: deployments.d.flow_control: flow_control: batch and debounce cannot be combined",
        ":17:24: sources.ci.secret: a secret never stands in the file itself. Write {env: NAME}, {file: PATH}",
        ":17:57: sources.ci.keep_s: it must be a length of time. Write seconds, or 90s, 30m, 2h, 7d.",
        ":17:70: sources.ci.max_body: it must be a valid integer.",
        ":18:9: sources.pay.preset: there is no preset 'stripee'",
        ":19:24: sources.ok.redact: 'xx' is no place that can be redacted",
        ":19:38: sources.ok.allow_from: 'nowhere' is no address or network",
        ":20:25: sources.env.secret: the environment variable NOT_SET is not set. export NOT_SET=...",
        ":21:3: sources.list: it must be an object.",
    ):
        assert f"hub.yaml{said}" in told
    assert "clear-text-of-the-tests" not in told
    assert "Nothing was changed: 16 things are to be mended." in told
    assert folder.hub.json("webhooks", "ls") == []


def test_the_preset_of_a_source_cannot_be_changed(folder: Folder) -> None:
    folder.apply(WHOLE)
    told = folder.apply(WHOLE.replace("preset: github", "preset: gitea"), code=2)
    assert "hub.yaml:16:5: sources.ci.preset: it is 'github' there and cannot be changed to 'gitea'" in told


def test_what_fails_is_named_and_the_rest_is_done(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = command._ask

    def meanwhile(todo: Any, *, yes: bool) -> None:
        folder.hub("webhooks", "create", "ci", "--preset", "gitea")
        asked(todo, yes=yes)

    file = folder.write(WHOLE.replace("  ci:\n", "  a: {preset: stripe}\n  ci:\n"))
    with monkeypatch.context() as patch:
        patch.setattr(command, "_ask", meanwhile)  # somebody makes a source of that name between plan and apply
        assert main(["apply", file]) == 1
    told = folder.hub("apply", file, "--json", code=2)
    assert "it is 'gitea' there and cannot be changed to 'github'" in told
    folder.hub("webhooks", "rm", "ci", "--yes")
    assert folder.apply(Path(file).read_text()).endswith("1 made.\n")


@pytest.mark.long("sqlite")
def test_only_what_the_project_made_is_pruned_after_a_question(folder: Folder) -> None:
    folder.hub("variables", "set", "by-hand", "1")
    two = "project: shop\nvariables: {a: {value: 1}, by-hand: {value: 2}}\nqueues: {q: {}}\n"
    two += "secrets: {S: {value: {env: CI_SECRET}}}\n"
    folder.apply(two)
    nothing = "project: shop\n"
    told = folder.apply(nothing)
    assert "? variables.a  is not in the file any more and stays; --prune removes it" in told
    assert told.endswith("Nothing to do.\n")
    assert "--prune needs to know what is this file's" in folder.apply("variables: {}\n", "--prune", code=2)
    asked = folder.apply(nothing, "--prune", code=2)
    assert "Remove variables.a, secrets.S? This cannot be undone." in asked
    assert folder.actions(nothing, "--prune", "--dry-run")["variables.a"] == "remove"
    done = folder.apply(nothing, "--prune", "--yes")
    assert "2 removed." in done
    assert [one["name"] for one in folder.hub.json("variables", "ls")] == ["by-hand"]
    assert folder.hub.json("secrets", "ls") == []
    assert "q" in {one["name"] for one in folder.hub.json("queues", "ls")}, "nothing removes a queue"


@pytest.mark.long("postgresql")
def test_an_export_makes_the_same_on_an_empty_hub(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder.apply(WHOLE)
    folder.hub("webhooks", "create", "by-hand", "--preset", "stripe", "--secret", "whsec_by_hand_of_the_tests")
    folder.hub("schedules", "create", "nightly", "--interval", "60")
    monkeypatch.chdir(folder.path)
    text = folder.hub("export")
    assert "whsec_by_hand_of_the_tests" not in text
    assert SECRET not in text
    assert "env: BY_HAND_SECRET" in text
    assert "    entrypoint: flows.py:hello\n" in text
    out = folder.path / "exported.yaml"
    assert "3 definitions" in folder.hub("export", "-o", str(out))
    assert "is there already" in folder.hub("export", "-o", str(out), code=2)
    assert out.read_text() == text
    assert folder.hub.json("export", "--project", "shop", "--section", "sources") == {
        "project": "shop",
        "sources": {
            "ci": {
                "keep_s": 43200, "redact": ["json:a.b"], "allow_from": ["192.0.2.0/24"], "preset": "github",
                "secret": {"env": "CI_SECRET"}, "schemas": {"push": {"type": "object"}}, "paused": True,
            }
        },
    }  # fmt: skip
    assert "there is no section 'nothing'" in folder.hub("export", "--section", "nothing", code=3)
    monkeypatch.setenv("HUB_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("HUB_DATABASE_URL", raising=False)
    assert "BY_HAND_SECRET is not set" in folder.hub("apply", str(out), code=2)
    monkeypatch.setenv("BY_HAND_SECRET", "whsec_by_hand_of_the_tests")
    assert "3 made." in folder.hub("apply", str(out))
    assert folder.hub("export") == text


@pytest.mark.long("postgresql")
def test_a_hub_elsewhere_is_applied_to_with_its_token(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    limited = folder.hub.json("tokens", "create", "limited", "--scope", "deployments:write")["token"]
    whole = folder.hub.json("tokens", "create", "whole", "--scope", "*")["token"]
    store = open_hub(load_settings())
    app = build_app(load_settings({"web_login": "always"}), store)
    with serve(app) as url:
        monkeypatch.setenv("HUB_API_URL", url)
        monkeypatch.setenv("HUB_HOME", str(folder.path / "elsewhere"))
        monkeypatch.delenv("HUB_DATABASE_URL", raising=False)
        monkeypatch.setenv("HUB_API_KEY", limited)
        assert "this needs the scope 'sources:write'" in folder.apply(WHOLE, code=4)
        monkeypatch.setenv("HUB_API_KEY", whole)
        assert "2 made." in folder.apply(WHOLE)
        assert set(folder.actions(WHOLE).values()) == {"unchanged"}
    store.close()
    assert "cannot be reached" in folder.apply(WHOLE, code=75)
