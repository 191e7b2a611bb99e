"""`hub apply` killed with SIGKILL after each of its commands and run again ends where one left alone does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FLOWS = "from hub import flow\n\n@flow\ndef hello(name: str = 'x') -> str:\n    return name\n"
FILE = """
project: shop
variables: {region: {value: eu}}
deployments:
  nightly:
    entrypoint: flows.py:hello
    schedules: [{cron: "0 2 * * *"}, {interval: 300}]
sources:
  ci: {preset: github, secret: {env: CI_SECRET}, paused: true, schema_mode: "off", schemas: {push: {type: object}}}
automations:
  on-push: {trigger: {types: [github.push]}, actions: [{run_deployment: nightly}]}
"""
KILLED = """
import os, signal, sys
from hub.cli import main
from hub.runtime.definitions import carrying
from hub.store import projects
left, inside, words = int(sys.argv[1]), sys.argv[2] == "inside", sys.argv[3:]
apply, claim = carrying.apply, projects.claim

def die():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def after(*given, **more):
    outcome = apply(*given, **more)
    die()
    return outcome

def within(*given):
    claim(*given)
    die()

if inside:
    carrying.projects.claim = within
else:
    carrying.apply = after
sys.exit(main(words))
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)


def outcome(file: str) -> Any:
    done = run("-m", "hub.cli", "apply", file, "--json")
    assert done.returncode == 0, done.stderr
    return [(item["section"], item["name"], item["action"], item["made"]) for item in json.loads(done.stdout)["items"]]


@pytest.mark.long("after")
@pytest.mark.parametrize("where", ["after", "inside", "some"])
def test_killed_at_any_command_and_run_again_it_ends_in_the_same_state(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_SECRET", "a-secret-of-the-tests")
    (tmp_path / "flows.py").write_text(FLOWS)
    file = tmp_path / "hub.yaml"
    file.write_text(FILE)
    everything = {("variables", "region"), ("deployments", "nightly"), ("sources", "ci"), ("automations", "on-push")}
    for number in {"after": range(1, 20), "inside": (4,), "some": (5,)}[where]:
        monkeypatch.setenv("HUB_HOME", str(tmp_path / f"home-{number}"))
        killed = run("-c", KILLED, str(number), where, "apply", str(file))
        again = run("-m", "hub.cli", "apply", str(file))
        assert again.returncode == 0, again.stderr
        found = outcome(str(file))
        assert {(section, name) for section, name, *_ in found} == everything
        assert {(action, made) for _, _, action, made in found} == {("unchanged", True)}, (number, found)
        if killed.returncode == 0:
            assert number == 8, "variable, deployment, source and its schema, mode and pause, automation"
            return
        assert killed.returncode == -9, killed.stderr
    assert where != "after"
