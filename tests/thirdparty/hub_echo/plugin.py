"""Echo: several hooks. ECHO_MODE chooses how they misbehave: raise, hang, import_error."""

import json
import os
import time
from contextlib import contextmanager

from hub import hookimpl, task
from hub.actions import Action
from hub.channels import ChannelKind, Sent
from hub.errors import UsageError
from hub.verdicts import Patch, Reject

if os.environ.get("ECHO_MODE") == "import_error":
    raise ImportError("hub_echo was told to fail at its import")


@hookimpl
def hub_run_state(event, run):
    """Append the transition to ECHO_FILE."""
    _misbehave("")
    _write({"type": event["type"], "run": run["id"]})


@hookimpl
def hub_run_before(run, flow):
    """ECHO_GATE says what becomes of runs: tag, change, refuse, garbage, raise, hang; without it nothing does."""
    gate = os.environ.get("ECHO_GATE")
    if gate == "refuse":
        return Reject(f"echo lets no {flow['name']} run")
    if gate == "raise":
        raise RuntimeError("the gate was told to raise")
    if gate == "hang":
        time.sleep(10)
    patches = {"tag": Patch(tags=["seen"]), "change": Patch({"n": 5}), "garbage": {"n": 5}}
    return patches.get(gate)


@hookimpl
def hub_task_wrap(task):
    """Write when a task's function begins and ends; ECHO_MODE=raise makes every task fail. Asked only where trusted."""
    return around(task)


@contextmanager
def around(task):
    """A line before and one after, however the task ends."""
    _misbehave("")
    _write({"begins": task["name"]})
    try:
        yield
    finally:
        _write({"ends": task["name"]})


@hookimpl
def hub_channel_kinds():
    """echo://NAME: alerts are appended to ECHO_FILE."""
    yield ChannelKind("echo", "A line in a file.", _send, _check, example="echo://NAME", max_text=500)


@hookimpl
def hub_actions():
    """echo.say: a line in ECHO_FILE."""
    yield Action("say", say, "Writes a text to the file.")


@hookimpl
def hub_secret_resolve(ref):
    """plugin:echo:WORD is the word backwards."""
    if ref.startswith("plugin:echo:"):
        _misbehave(ref)
        return ref.removeprefix("plugin:echo:")[::-1]
    return None


@task
def say(text: str, times: int = 1) -> int:
    """Write the text so many times; gives how often."""
    for _ in range(times):
        _write({"said": text})
    return times


def _check(address):
    if address == "echo://":
        raise UsageError("the echo:// address has no name")


def _send(message):
    _misbehave(message.address)
    _write({"to": message.address, "title": message.title, "status": message.status, "key": message.key})
    return Sent(message_id="echo-1")


def _misbehave(text):
    mode = os.environ.get("ECHO_MODE")
    if mode == "raise":
        raise RuntimeError(f"hub_echo was told to raise {text}")
    if mode == "hang":
        time.sleep(10)


def _write(line):
    path = os.environ.get("ECHO_FILE")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
