"""What is set for plugins: obeyed by running processes, sealed, versioned, and kept from other workspaces."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from hub.crypto import Keyring
from hub.errors import ConflictError, HubError, NotFoundError, UsageError
from hub.plugins import Plugins
from hub.runtime import plugging, plugin_reports
from hub.runtime.commands import Command, apply
from hub.settings import load_settings
from hub.store import Store, open_hub, plugin_settings
from hub.store.tables import AuditEntry, Event
from hub.testing.crashing import Killing
from hub.types import Scope, new_id
from sqlalchemy import func, select
from tests.strangers import stranger
from tests.unit.cli.conftest import Shell

EVENTS = Event.__table__  # type: ignore[attr-defined]
SECRET = "open-sesame-4711"
CODE = """
from hub import hookimpl
from hub.plugins import PresetText
from pydantic import BaseModel, Field, SecretStr


class Config(BaseModel):
    room: str = Field(description="Where it talks.")
    token: SecretStr | None = None
    tries: int = Field(3, ge=1)


@hookimpl
def hub_presets(ctx):
    token = ctx.config.token.get_secret_value() if ctx.config.token else ""
    if ctx.config.room == "wrong":
        raise RuntimeError("it knows " + token)
    return [PresetText("chat", f"{ctx.config.room} {token} {ctx.config.tries}")]
"""
Start = Callable[..., tuple[Plugins, plugin_reports.Reporter]]


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed plugin with a configuration."""
    stranger(tmp_path / "strangers", "chat", CODE, runs_in=["upkeep"], more='config = "stranger_chat.plugin:Config"')
    monkeypatch.syspath_prepend(str(tmp_path / "strangers"))
    yield
    for name in [name for name in sys.modules if name.startswith("stranger_chat")]:
        del sys.modules[name]


@pytest.fixture
def start(store: Store, tmp_path: Path) -> Start:
    """Starts processes: their plugins, and what looks at what is set."""

    def begin(which: str = "only:chat") -> tuple[Plugins, plugin_reports.Reporter]:
        settings = load_settings({"home": tmp_path, "plugins": which}, environ={})
        plugins = plugging.load(settings, process="upkeep", store=store)
        reporter = plugin_reports.Reporter(store, plugins)
        reporter.step()
        return plugins, reporter

    return begin


def do(store: Store, op: str, args: dict[str, Any] | None = None, *, workspace: str = "") -> dict[str, Any]:
    scope = Scope(workspace) if workspace else Scope()
    return apply(store, Command(f"plugin.{op}", scope, "chat", args or {})).result


def state(plugins: Plugins) -> tuple[str, str]:
    (found,) = [row for row in plugins.table if row.name == "chat"]
    return found.state, found.problem


def given(plugins: Plugins) -> list[str]:
    return [preset.text for preset in plugins.hooks.presets()]


@pytest.mark.usefixtures("chat")
def test_a_running_process_obeys_what_is_set(store: Store, start: Start) -> None:
    plugins, reporter = start()
    assert state(plugins)[0] == "failed"
    assert "room (neither HUB_PLUGIN__CHAT__ROOM nor `hub plugins configure chat` gives it)" in state(plugins)[1]
    assert given(plugins) == []
    do(store, "configure", {"fields": {"room": "lobby", "token": SECRET}})
    reporter.step()
    assert state(plugins) == ("loaded", "")
    assert given(plugins) == [f"lobby {SECRET} 3"]
    do(store, "configure", {"fields": {"tries": "5"}, "unset": ["token"]})
    reporter.step()
    assert given(plugins) == ["lobby  5"]

    do(store, "disable")
    reporter.step()
    assert state(plugins)[0] == "disabled"
    assert given(plugins) == []
    late, late_reporter = start()
    assert given(late) == []
    do(store, "enable")
    for one in (reporter, late_reporter):
        one.step()
    assert given(plugins) == ["lobby  5"]
    assert state(late) == ("disabled", "switched on: it is loaded when this process starts again")


@pytest.mark.usefixtures("chat")
def test_failures_are_forgotten_everywhere_and_tell_no_secret(
    store: Store, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    do(store, "configure", {"fields": {"room": "wrong", "token": SECRET}})
    processes = [start(), start()]
    for plugins, reporter in processes:
        for _ in range(6):
            plugins.hooks.presets()
        reporter.step()
        (breaker,) = plugins.hooks.health_of_hooks()["chat"]
        assert (breaker["state"], breaker["errors"], breaker["last_error"]) == ("open", 5, "RuntimeError: it knows ***")
    with store.read() as tx:
        (told,) = [row for row in plugin_reports.listing(tx, processes[0][0]) if row["name"] == "chat"]
    assert told["breakers"][0]["state"] == "open"
    assert SECRET not in f"{told} {caplog.text}"
    do(store, "reset")
    for plugins, reporter in processes:
        reporter.step()
        assert [(one["state"], one["errors"]) for one in plugins.hooks.health_of_hooks()["chat"]] == [("closed", 0)]


@pytest.mark.usefixtures("chat")
def test_a_secret_is_sealed_and_stands_in_no_event_or_audit_row(store: Store) -> None:
    do(store, "configure", {"fields": {"room": "lobby", "token": SECRET}})
    with store.read() as tx:
        (kept,) = plugin_settings.listing(tx)
        events = [dict(one) for one in tx.conn.execute(Event.__table__.select()).mappings()]  # type: ignore[attr-defined]
        audit = [dict(one) for one in tx.conn.execute(AuditEntry.__table__.select()).mappings()]  # type: ignore[attr-defined]
    assert (kept["fields"], kept["secret_fields"], kept["version"]) == ({"room": "lobby"}, ["token"], 1)
    assert [one["body"] for one in events if one["type"] == "hub.plugin.configured"]
    assert SECRET not in f"{kept} {events} {audit}"
    assert "lobby" not in f"{events} {audit}"
    store.keyring = Keyring((b"n" * 32, *store.keyring._keys.values()))
    apply(store, Command("secret.rotate", Scope()))
    with store.read() as tx:
        (anew,) = plugin_settings.listing(tx)
        assert anew["key_id"] != kept["key_id"]
        assert plugin_settings.secrets_of(tx, anew) == {"token": SECRET}


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize(
    ("args", "error", "said"),
    [
        ({"fields": {"rom": "x"}}, UsageError, "did you mean room?"),
        ({"fields": {"tries": 0}}, UsageError, "tries (set with"),
        ({"fields": {"token": 5}}, UsageError, "must be a text"),
        ({"fields": {"room": "a\x00"}}, UsageError, "NUL"),
        ({"fields": {"room": "x"}, "unset": ["room"]}, UsageError, "set and unset at once"),
        ({"unset": ["rooms"]}, UsageError, "did you mean room?"),
        ({"fields": {"room": "x"}, "revision": 7}, ConflictError, "was changed meanwhile"),
    ],
)
def test_what_cannot_be_set_is_refused(store: Store, args: dict[str, Any], error: type[HubError], said: str) -> None:
    with pytest.raises(error) as refused:
        do(store, "configure", args)
    assert said in refused.value.detail
    with store.read() as tx:
        assert plugin_settings.listing(tx) == []


@pytest.mark.usefixtures("chat")
def test_who_has_another_workspace_has_no_say(store: Store) -> None:
    for op in ("configure", "enable", "disable", "reset"):
        with pytest.raises(NotFoundError):
            do(store, op, workspace=new_id())


def events(store: Store) -> int:
    with store.read() as tx:
        count = select(func.count()).select_from(EVENTS).where(EVENTS.c.type == "hub.plugin.configured")
        return int(tx.conn.execute(count).scalar() or 0)


def killed(number: int, side: Literal["before", "after"], args: dict[str, Any]) -> bool:
    """Configure it in a child that is killed at a commit; whether it was."""
    pid = os.fork()
    if pid == 0:
        try:
            mortal: Any = Killing(open_hub(load_settings()), number, side)
            do(mortal, "configure", args)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.usefixtures("chat")
def test_whenever_its_process_is_killed_what_is_set_is_there_whole_or_not_at_all() -> None:
    old, new = {"room": "lobby", "tries": 2}, {"room": "hall", "token": "another"}
    first = open_hub(load_settings())
    first.migrate()
    first.close()
    seen = []
    for number, side in product((1, 2), ("before", "after")):
        with closing(open_hub(load_settings())) as store:
            do(store, "configure", {"fields": old, "unset": ["token"]})
            told = events(store)
        was_killed = killed(number, side, {"fields": new, "unset": ["tries"]})  # type: ignore[arg-type]
        with closing(open_hub(load_settings())) as store, store.read() as tx:
            fields = dict(plugging.read(tx)["chat"].fields)
            assert fields in (old, new)
            assert events(store) - told == (fields == new), "with its event"
        seen.append((was_killed, fields == new))
    assert seen == [(True, False), (True, True), (False, True), (False, True)], "it is one commit"


@pytest.mark.usefixtures("chat")
def test_a_secret_may_be_kept_elsewhere(store: Store, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="a reference to a secret is one word"):
        do(store, "configure", {"fields": {"token": "env:"}})
    do(store, "configure", {"fields": {"room": "lobby", "token": "env:HUB_SECRET_CHAT"}})
    plugins, reporter = start("only:chat,secrets")
    assert state(plugins)[0] == "failed"
    assert "HUB_SECRET_CHAT is not set" in state(plugins)[1]

    monkeypatch.setenv("HUB_SECRET_CHAT", SECRET)
    reporter._settled -= 60  # what cannot be had is asked for again after a while
    reporter.step()
    assert state(plugins) == ("loaded", "")
    assert given(plugins) == [f"lobby {SECRET} 3"]
    with store.read() as tx:
        assert plugging.read(tx)["chat"].fields["token"] == "env:HUB_SECRET_CHAT", "the reference is kept"
        shown = repr(plugin_reports.listing(tx, plugins))
    assert state(plugins) == ("loaded", ""), "a listing asks nobody"
    assert SECRET not in shown

    do(store, "configure", {"unset": ["token"]})
    monkeypatch.setenv("HUB_PLUGIN__CHAT__TOKEN", "env:HUB_SECRET_CHAT")
    reporter.step()
    assert given(plugins) == [f"lobby {SECRET} 3"]


FILE = """
plugins:
  chat:
    fields: {room: lobby, tries: 5}
    secrets: {token: {env: CHAT_TOKEN}}
"""
WRONG = {
    "{nothing: {}}": "there is no plugin 'nothing'",
    "{chat: {fields: {roam: x}}}": "did you mean room?",
    "{chat: {fields: {room: x, tries: 0}}}": "greater than or equal to 1",
    "{chat: {fields: {token: x}}}": "a secret never stands in the file itself",
    "{chat: {secrets: {room: {env: CHAT_TOKEN}}}}": "chat has no secret field 'room'",
}


@pytest.mark.usefixtures("chat")
def test_a_file_configures_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, path = Shell(capsys, monkeypatch), tmp_path / "hub.yaml"
    monkeypatch.setenv("CHAT_TOKEN", SECRET)

    def applied(text: str) -> str:
        path.write_text(text)
        return hub("apply", str(path))

    def held() -> tuple[dict[str, Any], bool]:
        with closing(open_hub(load_settings())) as store, store.read() as tx:
            row = plugging.read(tx)["chat"]
            return dict(row.fields), row.enabled

    applied(FILE)
    assert held() == ({"room": "lobby", "tries": 5, "token": SECRET}, True)
    assert applied(FILE).endswith("Nothing to do.\n")
    exported = hub("export", "--section", "plugins")
    assert "room: lobby" in exported
    assert SECRET not in exported
    assert "env: CHAT_TOKEN" in exported

    applied(
        FILE.replace(", tries: 5", "").replace("{env: CHAT_TOKEN}", '{ref: "env:HUB_SECRET_CHAT"}')
        + "    enabled: false\n"
    )
    assert held() == ({"room": "lobby", "token": "env:HUB_SECRET_CHAT"}, False)
    for text, told in WRONG.items():
        path.write_text(f"plugins: {text}")
        assert told in hub("apply", str(path), code=2), text
