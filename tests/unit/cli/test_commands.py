"""Commands on a local store: through the real API in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hub.cli import main
from tests.strangers import stranger

from .conftest import Shell


def test_listings_are_empty_arrays_at_first(hub: Shell) -> None:
    for words in (["runs", "ls"], ["deployments", "ls"], ["schedules", "ls"], ["automations", "ls"], ["workers", "ls"]):
        assert hub.json(*words) == []
    for words in (["secrets", "ls"], ["tokens", "ls"], ["events", "ls"]):
        assert hub.json(*words) == []


def test_a_flow_is_deployed_started_and_removed(hub: Shell, flow_file: str) -> None:
    made = hub.json("deploy", f"{flow_file}:twice", "--name", "nightly", "-p", "n=4", "--cron", "0 8 * * *")
    assert (made["parameters"], made["retry_policy"]["retries"]) == ({"n": 4}, 1)
    run = hub.json("deployments", "run", "nightly", "-p", "code=007")
    shown = hub.json("runs", "show", run["id"])
    assert (shown["state_name"], shown["parameters"]) == ("Scheduled", {"n": 4, "code": "007"})
    assert "nightly" in hub("deployments", "show", "nightly")
    assert [row["spec"] for row in hub.json("schedules", "ls")] == ["0 8 * * *"]
    assert hub.json("runs", "ls", "--state", "SCHEDULED", "--deployment", "nightly")[0]["id"] == run["id"]
    assert "nightly" in hub("deployments", "rm", "nightly", code=2)
    hub("deployments", "rm", "nightly", "--yes")
    assert hub.json("deployments", "ls") == []
    assert hub.json("schedules", "ls") == []


def test_the_same_key_starts_one_run(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    first, second = (hub.json("deployments", "run", "twice", "--key", "k1") for _ in range(2))
    assert first["id"] == second["id"]
    assert len(hub.json("runs", "ls")) == 1


def test_a_run_is_paused_resumed_and_cancelled(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    run = hub.json("deployments", "run", "twice")["id"]
    assert "Paused" in hub("runs", "pause", run)
    assert "Scheduled" in hub("runs", "resume", run)
    assert "--yes" in hub("runs", "cancel", run, code=2)
    assert "Cancelled" in hub("runs", "cancel", run, "--yes", "--message", "not today")
    assert hub.json("runs", "show", run)["state_message"] == "not today"
    assert hub("runs", "logs", run) == ""
    hub("runs", "cancel", run, "--yes", code=4)
    restarted = hub("runs", "restart", run)
    assert "on its way" in restarted


def test_runs_are_restarted_by_state_after_a_look(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    ended = [hub.json("deployments", "run", "twice")["id"] for _ in range(3)]
    for run in ended:
        hub("runs", "cancel", run, "--yes")
    waiting = hub.json("deployments", "run", "twice")["id"]
    fits = hub.json("runs", "restart", "--flow", "twice", "--dry-run")
    assert {run["id"] for run in fits} == set(ended)
    assert "--yes" in hub("runs", "restart", "--flow", "twice", code=2)
    made = hub.json("runs", "restart", "--state", "CANCELLED", "--yes")
    assert {run["restart_of"] for run in made} == set(ended)
    assert "fits" in hub("runs", "restart", "--state", "CRASHED")
    hub("run", flow_file)
    assert "fits" in hub("runs", "restart", "--state", "COMPLETED"), "only its caller can call it again"
    assert "one of the two" in hub("runs", "restart", code=2)
    assert "one of the two" in hub("runs", "restart", ended[0], "--flow", "twice", code=2)
    assert "only a run that has ended" in hub("runs", "restart", waiting, code=4)
    assert "no task 'nowhere'" in hub("runs", "restart", ended[0], "--from", "nowhere", code=3)
    assert "on its way" in hub("runs", "restart", ended[0], "--fresh")


def test_why_names_what_a_run_waits_for(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    run = hub.json("deployments", "run", "twice")["id"]
    assert "worker" in json.dumps(hub.json("runs", "why", run))
    assert "worker" in hub("runs", "why", run)


def test_what_is_deployed_says_how_it_is_started(hub: Shell, tmp_path: Path) -> None:
    flow = tmp_path / "flows.py"
    flow.write_text("from hub import flow\n\n@flow\ndef greet(name: str, times: int, loud: bool = True): ...\n")
    assert "Start it: hub deployments run greet -p name=... -p times=...\n" in hub("deploy", f"{flow}:greet")
    assert "Start it: hub deployments run greet -p name=...\n" in hub("deploy", f"{flow}:greet", "-p", "times=2")


def test_deployments_and_schedules_rest_and_go_on(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    hub("deployments", "pause", "twice")
    assert hub.json("deployments", "show", "twice")["paused"] is True
    hub("deployments", "resume", "twice")
    schedule = hub.json("schedules", "create", "twice", "--interval", "3600")["id"]
    hub("schedules", "pause", schedule)
    assert hub.json("schedules", "ls")[0]["active"] is False
    hub("schedules", "resume", schedule)
    hub("schedules", "rm", schedule, "--yes")
    assert hub.json("schedules", "ls") == []


def test_an_automation_is_made_shown_rested_and_removed(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    hub("automations", "create", "on-push", "--on", "github.push", "--run", "twice", "-p", "n=2")
    assert hub.json("automations", "ls")[0]["trigger"]["types"] == ["github.push"]
    assert "github.push" in hub("automations", "show", "on-push")
    hub("automations", "pause", "on-push")
    assert hub.json("automations", "show", "on-push")["enabled"] is False
    hub("automations", "resume", "on-push")
    hub("automations", "rm", "on-push", "--yes")
    assert hub.json("automations", "ls") == []


def test_secrets_are_set_from_standard_input_and_never_shown(hub: Shell) -> None:
    hub("secrets", "set", "api", stdin="s3cr3t-value\n")
    assert hub.json("secrets", "ls")[0]["name"] == "api"
    assert "s3cr3t-value" not in hub("secrets", "ls")
    assert "sealed with key" in hub("secrets", "rotate", "--yes")
    assert "empty" in hub("secrets", "set", "none", code=2)
    hub("secrets", "rm", "api", "--yes")
    assert hub.json("secrets", "ls") == []


def test_a_token_is_shown_once_and_can_be_revoked(hub: Shell) -> None:
    made = hub.json("tokens", "create", "ci", "--scope", "runs:read", "--days", "1")
    assert made["token"].startswith("hub_api_")
    listed = hub.json("tokens", "ls")[0]
    assert "token" not in listed
    hub("tokens", "revoke", listed["id"], "--yes")
    assert hub.json("tokens", "ls")[0]["revoked_at"]


def test_the_owner_gets_an_account(hub: Shell) -> None:
    assert "can log in" in hub("owner", "create", "ada", stdin="correct horse battery\n")


def test_a_queue_is_made_and_changed(hub: Shell) -> None:
    hub("queues", "set", "big", "--slots", "3")
    hub("queues", "set", "big", "--slots", "5", "--paused")
    found = {row["name"]: row for row in hub.json("queues", "ls")}
    assert (found["big"]["slots"], found["big"]["paused"]) == (5, True)


def test_a_limit_is_made_shown_changed_and_removed(hub: Shell) -> None:
    assert "2 at once, 10 in 60 s" in hub("limits", "create", "api", "--slots", "2", "--rate", "10/60s")
    assert "already" in hub("limits", "create", "api", "--slots", "2", code=4)
    hub("limits", "set", "tag:db", "--rate", "5/min")
    found = {row["name"]: row for row in hub.json("limits", "ls")}
    assert (found["api"]["slots"], found["tag:db"]["rate"], found["tag:db"]["period_s"]) == (2, 5, 60.0)
    assert "0 of 2" in hub("limits", "show", "api")
    assert hub.json("limits", "show", "api")["holders"] == []
    assert "not a rate" in hub("limits", "set", "api", "--rate", "fast", code=2)
    assert "needs --slots" in hub("limits", "set", "api", code=2)
    hub("limits", "rm", "api", "--yes")
    assert "no limit" in hub("limits", "show", "api", code=3)


def test_what_is_not_there_is_exit_code_3(hub: Shell) -> None:
    assert "no deployment" in hub("deployments", "run", "nothing", code=3)
    assert "Error:" in hub("runs", "show", "00000000-0000-7000-8000-000000000009", code=3)


def test_a_parameter_of_the_wrong_type_is_exit_code_2(hub: Shell, flow_file: str) -> None:
    hub("deploy", flow_file)
    assert "n" in hub("deployments", "run", "twice", "-p", "n=many", code=2)
    assert "no parameter m" in hub("deploy", flow_file, "-p", "m=1", code=2)


def test_a_file_that_does_not_import_says_where(hub: Shell, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_the_kind\n")
    shown = hub("deploy", f"{broken}:flow", code=1)
    assert "broken.py, line 1" in shown
    assert "Traceback" not in shown


def test_the_description_of_the_api_can_be_printed(hub: Shell) -> None:
    assert json.loads(hub("openapi"))["openapi"].startswith("3.1")


def test_migrating_twice_is_fine(hub: Shell) -> None:
    hub("migrate")
    assert "at this version" in hub("migrate")


def test_the_catalogue_of_events_can_be_listed(hub: Shell) -> None:
    assert "hub.run.failed" in hub("events", "types")


def test_the_doctor_looks_at_everything(hub: Shell) -> None:
    main(["migrate"])
    main(["doctor", "--json"])


def test_a_home_that_cannot_be_written_is_a_sentence(
    hub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "not-a-folder"
    file.write_text("")
    monkeypatch.setenv("HUB_HOME", str(file))
    given = main(["runs", "ls"])
    assert given != 0


def test_plugins_are_listed_with_what_is_wrong_with_them(hub: Shell) -> None:
    found = {row["name"]: row for row in hub.json("plugins", "ls")}
    assert found["notifications"]["state"] == "loaded"
    assert "hub_routes" in hub.json("plugins", "show", "notifications")["hooks"]
    assert "NAME" in hub("plugins", "ls")
    hub("plugins", "show", "nothing-like-it", code=3)


def test_a_hundred_plugins_are_listed_and_none_is_imported(
    hub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "strangers"
    for number in range(100):
        stranger(folder, f"many-{number}", "raise RuntimeError('imported')", more='config = "os:environ"')
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    found = {row["name"]: row["state"] for row in hub.json("plugins", "ls")}
    assert {state for name, state in found.items() if name.startswith("many-")} == {"loaded"}
    assert len([name for name in found if name.startswith("many-")]) == 100
    assert [name for name in set(sys.modules) - before if name.startswith("stranger_many")] == []


CHAT = """
from pydantic import BaseModel, Field, SecretStr


class Config(BaseModel):
    room: str = Field(description="Where it talks.")
    token: SecretStr | None = None
"""


def test_a_plugin_is_configured_switched_and_looked_at(
    hub: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, needs = tmp_path / "strangers", ("starlette==0.1", "no-such-thing-at-all>=2")
    stranger(folder, "talk", CHAT, more='config = "stranger_talk.plugin:Config"', runs_in=["cli"], requires=needs)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "stranger_talk.plugin", raising=False)
    monkeypatch.setenv("HUB_PLUGINS", "only:notifications,talk")
    assert "Nothing was changed." in hub("plugins", "configure", "talk", "room=lobby", "--dry-run")
    assert hub.json("plugins", "show", "talk")["state"] == "failed"
    assert "can be read by others" in hub("plugins", "configure", "talk", "token=hunter2hunter2", code=2)
    assert "did you mean room?" in hub("plugins", "configure", "talk", "rom=x", code=2)
    hub("plugins", "configure", "talk", "room=lobby", "--secret", "token", stdin="hunter2hunter2\n")
    shown = hub.json("plugins", "show", "talk")
    assert [(one["name"], one["value"], one["source"]) for one in shown["fields"]] == [
        ("room", "lobby", "set"), ("token", None, "set"),
    ]  # fmt: skip
    assert shown["state"] == "loaded"
    told = hub("plugins", "show", "talk")
    assert "HUB_PLUGIN__TALK__ROOM" in told
    assert "***" in told
    assert "hunter2" not in told
    hub("plugins", "configure", "talk", "--unset", "room")
    assert "neither HUB_PLUGIN__TALK__ROOM" in hub.json("plugins", "show", "talk")["problem"]

    assert "Would switch off" in hub("plugins", "disable", "talk", "--dry-run")
    hub("plugins", "disable", "talk")
    assert hub.json("plugins", "show", "talk")["state"] == "disabled"
    hub("plugins", "enable", "talk")
    hub("plugins", "reset", "talk")
    hub("plugins", "reset", "nothing-like-it", code=3)

    monkeypatch.setenv("HUB_PLUGINS", "only:talk")
    hub("plugins", "doctor", "--json", code=1)
    found = {row["check"]: row for row in json.loads(hub.out) if row["plugin"] == "talk"}
    assert found["loads"]["ok"]
    assert "it wants starlette ==0.1" in found["has what it requires"]["detail"]
    assert "no-such-thing-at-all is not installed" in found["has what it requires"]["detail"]
    assert "it pins starlette==0.1" in found["leaves versions to others"]["detail"]

    monkeypatch.setenv("HUB_SAFE_MODE", "1")
    assert "Safe mode" in hub("plugins", "ls")
    assert hub.json("plugins", "show", "talk")["problem"] == "not loaded in safe mode (HUB_SAFE_MODE)"


def test_connections_take_secrets_from_standard_input_and_show_none(hub: Shell, tmp_path: Path) -> None:
    assert "s3" in hub("connections", "kinds")
    hub("connections", "create", "http", "crm", "--url", "http://127.0.0.1:9/", stdin="token=s3cr3t-value\n")
    hub("connections", "create", "postgresql", "db", "--database", "x", stdin="s3cr3t-value\n")
    hub("connections", "create", "files", "disk", "--path", str(tmp_path))
    listed = {row["name"]: row["secret_fields"] for row in hub.json("connections", "ls")}
    assert listed == {"crm": ["token"], "db": ["password"], "disk": []}
    assert "s3cr3t-value" not in hub("connections", "show", "crm") + hub("connections", "ls")
    assert "works" in hub("connections", "test", "disk")
    assert "does not work" in hub("connections", "test", "crm", code=1)
    refused = hub("connections", "create", "http", "x", "--url", "http://h/", "--token", "s3cr3t-value", code=2)
    assert "asked for" in refused
    assert "s3cr3t-value" not in refused
    hub("connections", "create", "http", "ref", "--url", "http://h/", "--token", "env:HUB_SECRET_X")
    assert "secret unavailable: env:HUB_SECRET_X" in hub("connections", "test", "ref", code=1)
    assert "--replace" in hub("connections", "create", "files", "disk", "--path", "/tmp", code=4)
    assert "FIELD=VALUE" in hub("connections", "create", "http", "y", "--url", "http://h/", stdin="what\n", code=2)
    assert "Would remove" in hub("connections", "rm", "disk", "--dry-run")
    hub("connections", "rm", "disk", "--yes")
    hub("connections", "show", "disk", code=3)


def test_a_run_shows_what_of_it_was_undone(hub: Shell, tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples/saga.py"
    hub("run", f"{example}:trip", "-p", f"folder={tmp_path}", "-p", "amount=800", code=1)
    (run,) = hub.json("runs", "ls")
    undone = hub.json("runs", "show", run["id"])["compensations"]
    assert (undone["summary"], undone["rollback_run_id"]) == ("rolled back: 2 of 2 steps", None)
    assert [(step["name"], step["state"]) for step in undone["items"]] == [
        ("book-flight-0", "done"), ("book-hotel-0", "done"),
    ]  # fmt: skip
    assert "rolled back: 2 of 2 steps" in hub("runs", "show", run["id"])
