"""Importing a plugin in a new process, to see what that takes and what it does: time, threads, network, processes.

Time is processor time of that process, so that a busy machine does not count. Parts of the hub that the plugin imports
are not its cost; where it seems slow, it is imported once more with these already there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

LIMIT_MS = 300.0
_LONGEST_S = 60

_SCRIPT = """
import importlib, json, os, sys, threading, time
name, before = sys.argv[1], sys.argv[2].split(",")
for module in before:
    importlib.import_module(module)
outside = []
def note(event, given):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.fork"):
        outside.append(event)
sys.addaudithook(note)
known, threads = set(sys.modules), set(threading.enumerate())
started, failure = time.process_time(), ""
try:
    importlib.import_module(name)
except BaseException as error:
    failure = f"{type(error).__name__}: {error}"[:300]
took = (time.process_time() - started) * 1000
new = [thread.name for thread in threading.enumerate() if thread not in threads]
ours = sorted(module for module in set(sys.modules) - known if module.split(".")[0] == "hub")
print(json.dumps([failure, took, new, outside, ours]), flush=True)
os._exit(0)  # threads and handlers of the plugin do not keep us
"""
_ALWAYS = "hub.plugins,hub.connections,hub.channels,hub.resultstores"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen. `failure`: it could not be imported, and why."""

    failure: str
    import_ms: float
    threads: tuple[str, ...]
    outside: tuple[str, ...]
    """What it did besides computing: `socket.connect`, `subprocess.Popen`, ..."""


def look(module: str) -> Facts:
    """Import a module in a new process."""
    facts, ours = _once(module, _ALWAYS)
    if facts.import_ms > LIMIT_MS and not facts.failure and ours:
        facts, _ = _once(module, ",".join([_ALWAYS, *ours]))
    return facts


def _once(module: str, before: str) -> tuple[Facts, list[str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    env["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, module, before], env=env, capture_output=True, text=True,
            timeout=_LONGEST_S, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Facts(f"it did not end within {_LONGEST_S} s", 0.0, (), ()), []
    try:
        failure, took, threads, outside, ours = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Facts(said[:300], 0.0, (), ()), []
    return Facts(failure, took, tuple(threads), tuple(outside)), ours
