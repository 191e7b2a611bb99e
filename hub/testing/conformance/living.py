"""A whole life of a plugin in a process of its own: loaded, started, its loops made, shut down. What is left?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

_LONGEST_S = 90
_SCRIPT = """
import gc, importlib, json, logging, os, signal, sys, threading, time
from importlib.metadata import entry_points
from hub.plugins import GROUP, load_plugins
from hub.testing.conformance.subject import Subject
from hub.testing.kit import harness

def files():
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return {}
    found = {}
    for name in names:
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass
    return found

def signals():
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    return {number: signal.getsignal(number) for number in numbers}

def handlers():
    names = [None, *logging.Logger.manager.loggerDict]
    known = {name or "root": logging.getLogger(name) for name in names}
    return {(name, id(one)): one for name, log in known.items() for one in log.handlers}

(point,) = entry_points(group=GROUP, name=sys.argv[1])
with harness(plugins="none") as kit:
    store = kit.store
    with store.write():
        pass
    before = set(threading.enumerate()), files(), signals(), handlers()
    from hub.manifest import read_manifest
    manifest = read_manifest(point.module)
    with open(os.devnull) as nothing:
        pass
    failure = ""
    settings = kit.settings.model_copy(update={"plugins": ""})
    stored = Subject(importlib.import_module(point.module)).configured()
    loaded = load_plugins(settings, process=manifest.runs_in[0], store=store, found=[point], stored=stored)
    if not loaded.table[0].works:
        failure = loaded.table[0].problem
    loaded.hooks.startup()
    loops = loaded.hooks.loops()
    if "web" in manifest.runs_in:
        loaded.hooks.routes()
    loaded.hooks.shutdown("the end")
    del loops
    gc.collect()
    end = time.monotonic() + 2
    while time.monotonic() < end and set(threading.enumerate()) - before[0]:
        time.sleep(0.02)  # a thread that was told to end has a moment to do so
    told = loaded.hooks.health_of_hooks().get(point.name, [])
    failure = failure or next((f"{row['hook']}: {row['last_error']}" for row in told if row["errors"]), "")
    left = [f"the thread {one.name!r}" for one in threading.enumerate() if one not in before[0]]
    left += [f"a handler of the logger {name[0]}" for name in handlers() if name not in before[3]]
    left += [f"a handler of {signal.Signals(n).name}" for n, one in signals().items() if one is not before[2].get(n)
             and one != before[2].get(n)]
    now = files()
    new = sorted(where for name, where in now.items() if before[1].get(name) != where)
    ours = (str(kit.home), "anon_inode", "pipe:")
    left += [f"the open file {where}" for where in new if not where.startswith(ours)]
print(json.dumps([failure, left]), flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left, in words; `failure`: something went wrong on the way."""

    failure: str
    left: tuple[str, ...]


def look(name: str) -> Left:
    """Live through a life of the installed plugin of that name."""
    env = {variable: value for variable, value in os.environ.items() if not variable.startswith("HUB_")}
    env["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _SCRIPT, name], env=env, capture_output=True, text=True, timeout=_LONGEST_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Left(f"it did not end within {_LONGEST_S} s", ())
    try:
        failure, left = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Left(said[:300], ())
    return Left(failure, tuple(left))
