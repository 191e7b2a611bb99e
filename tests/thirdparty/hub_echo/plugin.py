"""Echo: several hooks. ECHO_MODE chooses how they misbehave: raise, hang, import_error."""

import json
import os
import time
from contextlib import contextmanager

from hub import hookimpl, task
from hub.actions import Action
from hub.channels import ChannelKind, Sent
from hub.errors import TransientError, UsageError
from hub.serializers import Serializer
from hub.verdicts import Message, Parsed, Patch, Principal, Reject, Skip

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
def hub_trigger_match(event, automation):
    """ECHO_MATCH is the name of the only worker whose events count; raise, garbage."""
    wanted = os.environ.get("ECHO_MATCH")
    if wanted == "raise":
        raise ValueError("echo cannot tell")
    if wanted == "garbage":
        return "perhaps"
    return None if event["data"].get("name") == wanted else Skip("another worker")


@hookimpl
def hub_webhook_parse(source, request):
    """Each line of a body is an event of that type; ECHO_PARSE: raise, garbage, none."""
    if source["parser"] != "echo":
        return None
    mode = os.environ.get("ECHO_PARSE", "lines")
    if mode == "raise":
        raise ValueError("echo cannot read it")
    if mode == "lines":
        lines = request.body.decode().splitlines()
        return [Parsed(f"{source['name']} {line}", id=f"line-{line}", time=1) for line in lines]
    return ["garbage"] if mode == "garbage" else None


@hookimpl
def hub_auth_authenticate(request):
    """ECHO_USER is `NAME:ROLE`: who sends the header X-Echo-User: NAME has that role."""
    name, _, role = os.environ.get("ECHO_USER", "").partition(":")
    if request["headers"].get("x-echo-user") not in (name, "raise"):
        return None
    if request["headers"]["x-echo-user"] == "raise":
        raise RuntimeError("echo cannot tell")
    return Principal(name, role)


@hookimpl
def hub_alert_render(alert, channel):
    """ECHO_RENDER: words, garbage. Without it the hub writes."""
    mode = os.environ.get("ECHO_RENDER")
    if mode == "words":
        return Message(f"echo: {alert['alerts'][0]['title']}", f"to {channel['name']}")
    return mode


@hookimpl
def hub_alert_sent(alert, channel, result):
    """ECHO_SENT: a line in ECHO_FILE."""
    if os.environ.get("ECHO_SENT"):
        _write({"sent": channel["name"], "status": result["status"], "links": alert["links"]})


@hookimpl
def hub_task_state(changes):
    """ECHO_TASKS: a line in ECHO_FILE for every state of a task; or raise."""
    mode = os.environ.get("ECHO_TASKS")
    if mode == "raise":
        raise RuntimeError("hub_echo was told to raise")
    for change in changes if mode else ():
        _write({"task": change["task"]["task_name"], "state": change["state"]["name"]})


@hookimpl
def hub_export_redact(events):
    """ECHO_WITHHOLD: what holds this text stays here; or raise, garbage."""
    mode = os.environ.get("ECHO_WITHHOLD")
    if mode == "raise":
        raise RuntimeError("hub_echo was told to raise")
    if mode == "garbage":
        return "all of them"
    return [event["id"] for event in events if mode and mode in json.dumps(event["body"])]


@hookimpl
def hub_health():
    """ECHO_HEALTH: what `hub doctor` and /readyz say of it."""
    said = os.environ.get("ECHO_HEALTH")
    return [{"name": "echo", "ok": said == "fine", "detail": said}] if said else []


@hookimpl
def hub_serializers():
    """backwards: JSON, the last byte first."""
    yield Serializer("backwards", lambda value: json.dumps(value).encode()[::-1], lambda data: json.loads(data[::-1]))


@hookimpl
def hub_cli():
    """`hub echo`."""
    return {"echo": "hub_echo.cli:app"}


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
    yield Action("say", say, "Writes a text to the file.", effect="again")


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
    if os.environ.get("ECHO_SEND") == "busy":
        raise TransientError("the tape is busy")
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
