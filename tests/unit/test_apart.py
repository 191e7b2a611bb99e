"""Plugins in a process of their own: what they give, and that nothing they do there reaches us."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest
from hub.plugins import Plugins, load_plugins
from hub.settings import load_settings
from hub.verdicts import Message, Skip
from tests.strangers import stranger

CODE = """
import logging, os, signal, sys, threading, time
from hub import hookimpl
from hub.verdicts import Message, Patch, Skip

assert "pytest" not in sys.modules
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


@hookimpl
def hub_run_before(ctx, run):
    assert (ctx.store, ctx.process) == (None, "upkeep")
    does = run["parameters"].get("does")
    if does == "raise":
        raise ValueError("no such luck")
    if does == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    if does == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "exit":
        sys.exit("over")
    if does == "strange":
        return lambda: None
    print("a printed line")
    logging.getLogger("theirs").warning("a logged line")
    return Patch({"pid": os.getpid()}, tags=("seen",))


@hookimpl
def hub_alert_render(alert):
    return Message("apart", alert["title"])


@hookimpl
def hub_trigger_match(event):
    return Skip("as ever")
"""


def loaded(folder: Path, code: str) -> Plugins:
    stranger(folder, "aside", code, more='isolation = "process"\n')
    (point,) = (one for dist in distributions(path=[str(folder)]) for one in dist.entry_points)
    assert isinstance(point, EntryPoint)
    return load_plugins(load_settings({"home": folder}, environ={}), process="upkeep", found=[point])


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = loaded(tmp_path, CODE)
    yield found
    for child in found.hooks._apart.values():
        child.end()


def asked(plugins: Plugins, does: str = "") -> dict[str, object]:
    return dict(plugins.hooks.run_before({"parameters": {"does": does}, "tags": []}, {"name": "f"}))


def test_its_hooks_answer_from_elsewhere(plugins: Plugins, caplog: pytest.LogCaptureFixture) -> None:
    (row,) = plugins.table
    assert (row.state, row.hooks) == ("loaded", ("hub_alert_render", "hub_run_before", "hub_trigger_match"))
    with caplog.at_level(logging.INFO, "hub.plugins"):
        run = asked(plugins)
    assert run["tags"] == ["seen"]
    assert run["parameters"]["pid"] not in (None, os.getpid())  # type: ignore[index]
    assert "plugin aside: a printed line" in caplog.text
    assert "plugin aside: a logged line" in caplog.text
    assert plugins.hooks.alert_render({"title": "Fire"}, {}) == Message("apart", "Fire")
    assert plugins.hooks.trigger_match({}, {"plugin": "aside"}) == Skip("as ever")
    assert "stranger_aside.plugin" not in sys.modules


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("raise", "ValueError: no such luck"),
        ("exit", "SystemExit: over"),
        ("die", "its process ended (signal 9)"),
        ("strange", "pickle"),
    ],
)
def test_its_failures_are_told_and_it_answers_again(plugins: Plugins, does: str, told: str) -> None:
    assert asked(plugins, does)["tags"] == []
    (row,) = (one for one in plugins.hooks.health_of_hooks()["aside"] if one["hook"] == "hub_run_before")
    assert told in row["last_error"]
    assert asked(plugins)["tags"] == ["seen"]


def test_one_that_hangs_is_killed(plugins: Plugins) -> None:
    before = asked(plugins)["parameters"]["pid"]  # type: ignore[index]
    asked(plugins, "hang")
    (row,) = (one for one in plugins.hooks.health_of_hooks()["aside"] if one["hook"] == "hub_run_before")
    assert row["last_error"].endswith("and its process was killed")
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert asked(plugins)["parameters"]["pid"] != before  # type: ignore[index]


def test_a_fork_has_a_process_of_its_own(plugins: Plugins) -> None:
    before = asked(plugins)["parameters"]["pid"]  # type: ignore[index]
    reads, writes = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads that stand still here hold nothing of its
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writes, str(asked(plugins)["parameters"]["pid"]).encode())  # type: ignore[index]
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as told:
        assert int(told.read()) != before
    assert asked(plugins)["parameters"]["pid"] == before  # type: ignore[index]


def test_it_ends_with_the_hub_even_while_it_hangs(tmp_path: Path) -> None:
    stranger(tmp_path, "aside", CODE, more='isolation = "process"\n')
    code = f"""
import os, sys, threading, time
sys.path.insert(0, {str(tmp_path)!r})
from importlib.metadata import distributions
from hub.plugins import load_plugins
from hub.settings import load_settings
(point,) = (p for d in distributions(path=[{str(tmp_path)!r}]) for p in d.entry_points)
plugins = load_plugins(load_settings({{"home": {str(tmp_path)!r}}}, environ={{}}), process="upkeep", found=[point])
run = plugins.hooks.run_before({{"parameters": {{}}, "tags": []}}, {{"name": "f"}})
print(run["parameters"]["pid"], flush=True)
child = plugins.hooks._apart["aside"]
threading.Thread(target=child.call, args=("hub_run_before", {{"ctx": plugins.context.apart(),
    "run": {{"parameters": {{"does": "hang"}}}}}}, 600), daemon=True).start()
time.sleep(600)
"""
    import subprocess

    hub = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert hub.stdout is not None
    theirs = int(hub.stdout.readline())
    time.sleep(0.3)
    hub.kill()
    hub.wait(20)
    hub.stdout.close()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(theirs, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{theirs}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("it goes on without its hub")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("import time\ntime.sleep(600)", "it did not end within 5 s, and its process was killed"),
        ("import os\nos._exit(3)", "its process ended (exit 3)"),
        (
            "from hub import hookimpl\n@hookimpl\ndef hub_actions():\n    return []",
            "in a process of its own it cannot have hub_actions",
        ),
        (
            "from hub import hookimpl\n@hookimpl\ndef hub_nonsense(): pass",
            "there is no hook named hub_nonsense",
        ),
    ],
)
def test_one_that_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, told: str
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    (row,) = loaded(tmp_path, code).table
    assert row.state == "failed"
    assert told in row.problem
