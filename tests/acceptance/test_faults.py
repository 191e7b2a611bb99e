"""One hub with every plugin that misbehaves installed at once: it stays up, works, and says what is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hub import hookspecs
from hub.runtime.commands import Command, apply
from hub.types import Id, Scope, new_id
from tests.strangers import stranger

from .conftest import Site, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CLOSED = frozenset({"hub_webhook_parse"})
"""A plugin that fails here stops what it was asked about, and that is meant: its request is a dead letter."""
HOOKS = tuple(sorted(name for name in dir(hookspecs) if name.startswith("hub_") and name not in CLOSED))
SECRET = "acceptance-secret"
FOREVER = "threading.Event().wait()"


def implementing(*hooks: str, does: str, head: str = "") -> str:
    """A module whose hooks all do the same."""
    lines = ["import logging, threading", "from hub import hookimpl", head]
    for hook in hooks:
        lines += ["@hookimpl", f"def {hook}():", *(f"    {line}" for line in does.format(hook=hook).splitlines())]
    return "\n".join(lines) + "\n"


LEAKING = """
class Loud(logging.Handler):
    def emit(self, record):
        raise RuntimeError("a handler that was left behind")


logging.getLogger().addHandler(Loud())
threading.Thread(target=threading.Event().wait, name="left-behind").start()
"""
CONFIGURED = """
from pydantic import BaseModel, SecretStr


class Config(BaseModel):
    token: SecretStr
    tries: int = 3
"""
TELLING = """
@hookimpl
def hub_startup(ctx):
    logging.getLogger("hub.stranger").error("the token is %s", ctx.config.token.get_secret_value())
    raise RuntimeError("the token is " + ctx.config.token.get_secret_value())
"""
CANARY = "canary-4711-in-a-token"
FAULTS: dict[str, tuple[str, str, str]] = {
    "import-raises": ("raise RuntimeError('told to fail')", "failed", "RuntimeError: told to fail"),
    "import-exits": ("raise SystemExit(3)", "failed", "SystemExit: 3"),
    "import-hangs": ("import threading\nthreading.Event().wait()\n", "failed", "did not end within"),
    "registers-wrong": (implementing("hub_startup", does="pass").replace("()", "(wrong)"), "failed", "wrong"),
    "misspells": (implementing("hub_run_stat", does="pass"), "failed", "no hook named hub_run_stat"),
    "hooks-raise": (implementing(*HOOKS, does="raise RuntimeError('told in {hook}')"), "loaded", "told in hub_"),
    "hooks-exit": (implementing(*HOOKS, does="raise SystemExit('told in {hook}')"), "loaded", "told in hub_"),
    "hooks-garble": (implementing(*HOOKS, does="return 42"), "loaded", "it gave int"),
    "items-garble": (implementing(*HOOKS, does="return [42, None, {{}}]"), "loaded", ""),
    "hooks-hang": (implementing("hub_run_state", "hub_health", does=FOREVER), "loaded", "did not end within"),
    "leaks": (implementing("hub_run_state", does="pass", head=LEAKING), "degraded", "left-behind"),
    "tells-secret": (implementing(does="", head=CONFIGURED) + TELLING, "loaded", "the token is ***"),
    "misconfigured": (implementing(*HOOKS, does="1 / 0", head=CONFIGURED), "failed", "tries (from HUB_PLUGIN__MISC"),
    "wrong-range": ("raise RuntimeError('imported')", "incompatible", ">=7"),
}
"""Name -> its module, the state it must have, and a part of what must be said of it."""
MORE: dict[str, dict[str, Any]] = {
    "import-hangs": {"runs_in": ["upkeep"]},
    "wrong-range": {"hookspec": ">=7"},
    "tells-secret": {"more": 'config = "stranger_tells_secret.plugin:Config"'},
    "misconfigured": {"more": 'config = "stranger_misconfigured.plugin:Config"'},
}
GOING = """
import os
from hub import hookimpl
from hub.channels import ChannelKind, Sent
from hub.connections import ConnectionKind
from hub.plugins import PresetText
from hub.resultstores import ResultStoreKind
from hub.resultstores.memory import MemoryResults
from pydantic import BaseModel

PRESET = '''
id: tape
name: Tape
summary: A tape.
docs: https://example.org/
where: Nowhere.
maturity: stable
secret: chosen
content: [any]
verify:
  kind: token
  token: {from: "header:X-Tape"}
event: {type: ["const:played"]}
dedupe: {keys: [signed-digest], window: 24h}
answer: {status: 202, deadline_ms: 10000}
'''


class Tape(BaseModel):
    place: str


def send(message):
    with open(os.environ["TAPE_FILE"], "a") as file:
        file.write(message.title + "\\n")
    return Sent(message_id="1")


@hookimpl
def hub_connection_kinds():
    return [ConnectionKind("tape", "A tape.", Tape, lambda settings: "it turns")]


@hookimpl
def hub_channel_kinds():
    return [ChannelKind("tape", "A tape.", send, lambda address: None, example="tape://NAME", max_text=100)]


@hookimpl
def hub_result_stores():
    return [ResultStoreKind("tape", lambda settings: MemoryResults())]


@hookimpl
def hub_presets():
    return [PresetText("tape", PRESET)]
"""
GOOD = """
import os
from hub import hookimpl


@hookimpl
def hub_run_state(event, run):
    with open(os.environ["GOOD_FILE"], "a") as file:
        file.write(event["type"] + "\\n")
"""


def install(folder: Path) -> None:
    """Every faulty plugin, two that clash, one that takes a name of the hub's own, and a good one that comes last."""
    for name, (code, _, _) in FAULTS.items():
        stranger(folder, name, code, **MORE.get(name, {}))
    stranger(folder, "twin", implementing("hub_startup", does="pass"), distribution="first-twin")
    stranger(folder, "twin", implementing("hub_startup", does="pass"), distribution="second-twin")
    stranger(folder, "storage", implementing(*HOOKS, does="raise RuntimeError('thief')"), distribution="thief")
    stranger(folder, "zgood", GOOD)


FLOWS = """
import hub
from hub import flow, task


@task
def asks() -> str:
    return hub.connection("deck").settings.place


@flow
def needs() -> str:
    return asks()
"""


def hub(site: Site, *words: str, text: bool = False) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "hub.cli", *words],
        env=site.env, cwd=site.home.parent, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + site.logs()
    return json.loads(done.stdout) if "--json" in words and not text else done.stdout


def test_what_needs_a_plugin_that_is_gone_says_so_and_works_when_it_is_back(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    folder, tape = tmp_path / "strangers", tmp_path / "tape"
    package = stranger(folder, "recorder", GOING)
    facts = folder / f"{package.name}-1.2.dist-info"
    site = make_site(PYTHONPATH=str(folder), TAPE_FILE=str(tape), HUB_ALERTS_RETRY_DELAYS="1,1,1,1,1,1,1,1,1,1,1,1")
    hub(site, "connections", "create", "tape", "deck", "--place", "x")
    hub(site, "channels", "add", "loud", "tape://x")
    hub(site, "webhooks", "create", "played", "--preset", "tape", "--secret", SECRET)

    facts.rename(tmp_path / "away")
    started = site.up()
    base, said = address(site), "needs the plugin recorder, which is not installed"
    (deck,) = hub(site, "connections", "ls", "--json")
    assert (deck["ready"], deck["needs"]) == (False, said)
    assert said in hub(site, "connections", "show", "deck")
    (loud,) = hub(site, "channels", "ls", "--json")
    assert (loud["enabled"], loud["needs"]) == (True, said)
    assert said in hub(site, "channels", "show", "loud")
    (played,) = hub(site, "webhooks", "ls", "--json")
    assert played["warnings"] == [f"It {said}; until then every request is answered 404."]
    for page in ("/ui/channels", f"/ui/channels/{loud['id']}", f"/ui/sources/{played['id']}"):
        assert said in httpx2.get(base + page, timeout=20).text, page
    assert httpx2.get(base + "/ui/sources", timeout=20).status_code == 200
    tested = httpx2.post(f"{base}/api/v1/connections/deck/test", json={}, timeout=20).json()
    assert (tested["ok"], tested["detail"]) == (False, f"connection 'deck' {said}")
    httpx2.post(f"{base}/api/v1/channels/loud/test", json={}, timeout=20).raise_for_status()

    def attempt() -> Any:
        tries = httpx2.get(f"{base}/api/v1/deliveries", timeout=20).json()["items"]
        return [one for one in tries if said in (one["error"] or "")]

    wait_until(attempt, 30, site.logs())
    (site.home.parent / "flows.py").write_text(FLOWS)
    ran = deployed(site, "needs")
    site.wait_ended([ran])
    assert site.row(ran)["state_name"] == "Failed"
    assert said in str(site.row(ran)["state_message"])
    assert site.stop(started) == 0
    (tmp_path / "away").rename(facts)
    site.up()
    wait_until(lambda: tape.exists() and tape.read_text(), 30, site.logs())
    assert [row["ready"] for row in hub(site, "connections", "ls", "--json")] == [True]
    assert [row["needs"] for row in hub(site, "channels", "ls", "--json")] == [""]
    (played,) = hub(site, "webhooks", "ls", "--json")
    assert said not in str(played["warnings"])
    again = deployed(site, "needs")
    site.wait_ended([again])
    assert site.row(again)["state_name"] == "Completed", site.row(again)["state_message"]


def deployed(site: Site, name: str) -> Id:
    """A run of a flow that needs the plugin; gives its id."""
    run_id = new_id()
    site.deploy(name)
    apply(site.store, Command("run.create", Scope(), name, {"run_id": run_id}))
    return run_id


def address(site: Site) -> str:
    return str(wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", site.logs()), what="the address")[0])


def the_rest_works(site: Site, base: str, marks: Path) -> None:
    """Requests, flows, hooks of others, pages."""
    # The rest works: a signed request comes in and starts a flow, a good plugin hears of it, pages answer.
    site.deploy("quick")
    made = hub(site, "webhooks", "create", "outside", "--preset", "token", "--secret", SECRET, "--json")
    mapping = ("-p", f"folder={site.folder}", "-p", "key==body.key")
    hub(site, "automations", "create", "go", "--on", "token.*", "--run", "quick", *mapping)
    door = base + "/in/" + str(made["url"]).rpartition("/in/")[2]
    answer = httpx2.post(door, json={"key": "a"}, headers={"Authorization": f"Bearer {SECRET}"}, timeout=20)
    assert answer.status_code == 202, answer.text
    wait_until(lambda: site.marks("second-a") == 1, 60, site.logs())
    wait_until(lambda: marks.exists() and "hub.run.completed" in marks.read_text(), 60, site.logs())
    for page in ("/ui", "/readyz", "/metrics", "/api/v1/openapi.json"):
        assert httpx2.get(base + page, timeout=20).status_code in (200, 503 if page == "/readyz" else 200), page


def is_told_everywhere(base: str) -> None:
    """On the page, in metrics and by alerts."""

    def told() -> set[str]:
        """What was raised as alerts: of plugins that do not load, and of those whose hooks are skipped."""
        found = httpx2.get(f"{base}/api/v1/alerts", params={"limit": 100}, timeout=20).json()["items"]
        return {alert["title"] for alert in found if alert["kind"] == "plugin-failing"}

    wait_until(lambda: {f"The plugin {name} fails" for name in ("import-raises", "hooks-raise")} <= told(), 40)
    assert 'hub_plugin_up{plugin="import-raises"} 0' in httpx2.get(base + "/metrics", timeout=20).text
    page = httpx2.get(base + "/ui/plugins", timeout=20).text
    assert [name for name in (*FAULTS, "twin") if f'href="/ui/plugins/{name}"' not in page] == []
    assert "hub_health is not called for a while" in page


def test_a_hub_full_of_faulty_plugins_works_and_says_what_is_wrong(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    folder, marks = tmp_path / "strangers", tmp_path / "good"
    install(folder)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    site = make_site(
        PYTHONPATH=path, GOOD_FILE=str(marks), HUB_PLUGIN__TELLS_SECRET__TOKEN=CANARY,
        HUB_PLUGIN__MISCONFIGURED__TOKEN=CANARY, HUB_PLUGIN__MISCONFIGURED__TRIES="often",
    )  # fmt: skip
    started = site.up()
    base = address(site)

    for _ in range(6):  # so often that the web process stops asking some of them
        httpx2.get(base + "/readyz", timeout=20)

    the_rest_works(site, base, marks)

    def wrong() -> list[str]:
        """What is not said as it should be."""
        rows = hub(site, "plugins", "ls", "--json")
        found = []
        for name, (_, state, said) in FAULTS.items():
            (row,) = [row for row in rows if row["name"] == name]
            told = f"{row['problem']} {row['last_error']}"
            if row["state"] != state or said not in told:
                found.append(f"{name}: {row['state']}, not {state}: {told}, not {said}")
        return found

    wait_until(lambda: not wrong(), 40, f"{wrong()}\n{site.logs()}")
    is_told_everywhere(base)
    clashing = [
        (row["name"], row["distribution"], row["state"], row["problem"])
        for row in hub(site, "plugins", "ls", "--json")
        if row["name"] in ("twin", "storage")
    ]
    assert clashing == [
        ("storage", "hubspoke", "loaded", ""),
        ("storage", "thief", "failed", "another plugin has this name, that of hubspoke"),
        ("twin", "first-twin", "loaded", ""),
        ("twin", "second-twin", "failed", "another plugin has this name, that of first-twin"),
    ]
    log = "".join(file.read_text() for file in site.home.parent.glob("*.log"))
    assert "thief" not in log
    assert "the token is ***" in log
    assert CANARY not in log + hub(site, "plugins", "show", "tells-secret", "--json", text=True)
    assert "a handler that was left behind" not in log
    # Threads that are left behind keep nothing from ending in good order.
    assert site.stop(started) == 0
    assert site.processes() == {}
    # Nor a command that loads the plugins itself.
    assert {row["name"] for row in hub(site, "plugins", "ls", "--json")} >= set(FAULTS)
