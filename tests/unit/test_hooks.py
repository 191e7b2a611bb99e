"""The loader and the callers: whatever a plugin does, the hub goes on and says what was wrong."""

from __future__ import annotations

import copy
import inspect
import re
import threading
import types
from pathlib import Path

import pluggy
import pytest
from hub import hookspecs, task
from hub.actions import Action
from hub.errors import SettingError, UnavailableError
from hub.hooks import Hooks
from hub.hookspecs import hookimpl
from hub.isolation import Breaker
from hub.plugins import DocsPage, LoadedPlugin, Panel, ProcessKind, _register, list_manifests, load_plugins
from hub.settings import Settings, load_settings
from hub.verdicts import Message, Parsed, Principal, Skip
from hub.webhooks.verify import Verdict
from pydantic import SecretStr


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"home": tmp_path}, environ={})


def callers(trusted: bool = False, **implementations: object) -> Hooks:
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    for name, function in implementations.items():
        module = types.ModuleType(name)
        module.hub_run_state = hookimpl(function)  # type: ignore[attr-defined, type-var]
        manager.register(module, name=name)
    return Hooks(manager, frozenset(implementations) if trusted else frozenset())


def test_every_hook_has_a_caller_with_the_same_arguments() -> None:
    names = [name for name in dir(hookspecs) if name.startswith("hub_")]
    assert names
    for name in names:
        wanted = set(inspect.signature(getattr(hookspecs, name)).parameters) - {"ctx"}
        assert set(inspect.signature(getattr(Hooks, name.removeprefix("hub_"))).parameters) - {"self"} == wanted


@task
def say(text: str, times: int = 1) -> None: ...


VERDICT = Verdict(True, "")
ANSWERS: dict[str, tuple[object, object]] = {
    "hub_startup": (None, None),
    "hub_shutdown": (None, None),
    "hub_routes": (["route"], ["route"]),
    "hub_cli": ({"echo": "m:app"}, {"echo": "m:app"}),
    "hub_loops": (iter(["loop"]), ["loop"]),
    "hub_commands": (("op",), ["op"]),
    "hub_presets": (["preset"], ["preset"]),
    "hub_sections": (iter(["section"]), ["section"]),
    "hub_result_stores": (["store"], ["store"]),
    "hub_consumers": (iter(["consumer"]), ["consumer"]),
    "hub_serializers": (["serializer"], ["serializer"]),
    "hub_channel_kinds": (["kind"], ["kind"]),
    "hub_actions": ([Action("say", say, "Says.")], {"one.say": Action("say", say, "Says.")}),
    "hub_connection_kinds": (iter(["kind"]), ["kind"]),
    "hub_secret_resolve": ("secret", SecretStr("secret")),
    "hub_webhook_verify": (VERDICT, VERDICT),
    "hub_webhook_parse": ([Parsed("a")], [Parsed("a")]),
    "hub_alert_render": (Message("a", "b"), Message("a", "b")),
    "hub_alert_sent": (None, None),
    "hub_auth_authenticate": (Principal("ada", "viewer"), ("one", Principal("ada", "viewer"))),
    "hub_webhook_sign": ("signature", "signature"),
    "hub_webhook_forwarders": (iter(["forwarder"]), ["forwarder"]),
    "hub_trigger_match": (Skip("no"), Skip("no")),
    "hub_run_before": (None, "x"),
    "hub_run_state": (None, None),
    "hub_task_state": (None, None),
    "hub_export_redact": (["a"], frozenset({"a"})),
    "hub_task_wrap": (None, None),
    "hub_ui_panels": ([Panel("b", "", 2), Panel("a", "", 1)], [Panel("a", "", 1), Panel("b", "", 2)]),
    "hub_docs_pages": (iter([DocsPage("a", "b"), "garbage"]), [DocsPage("a", "b")]),
    "hub_health": ([{"ok": True}], [{"ok": True}]),
}


ASKED = {"hub_webhook_parse": {"source": {"parser": "one"}}, "hub_trigger_match": {"automation": {"plugin": "one"}}}
"""Where only the plugin that is named is asked."""
CLOSED = "hub_export_redact"
"""What is not known to be harmless stays here."""
PROCESSES: tuple[ProcessKind, ...] = ("web", "upkeep", "worker", "cli", "inline")


def test_every_hook_has_a_test_a_row_in_the_documentation_and_a_plugin_that_uses_it(settings: Settings) -> None:
    page = (Path(__file__).parents[2] / "docs/plugins.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(hub_[a-z_]+)` \|", page, re.MULTILINE))
    used = {hook for kind in PROCESSES for row in load_plugins(settings, process=kind).table for hook in row.hooks}
    hooks = {name: getattr(hookspecs, name) for name in dir(hookspecs) if name.startswith("hub_")}
    assert (rows, set(ANSWERS), used) == (set(hooks), set(hooks), set(hooks))
    for name, spec in hooks.items():
        assert spec.__doc__, name
        assert "\n" not in spec.__doc__, f"{name}: one line"
        unused = set(inspect.signature(spec).parameters) - {"ctx"}
        assert all(f"`{argument}`" in page for argument in unused), f"{name}: its arguments are not in the table"
        assert set(spec.__annotations__) == {*inspect.signature(spec).parameters, "return"}, f"{name}: untyped"


def test_an_argument_that_is_to_go_warns_and_names_the_plugin() -> None:
    """What a later hub does with an argument: whoever takes it is told, and goes on working."""
    specs = types.ModuleType("specs")
    gone = {"text": DeprecationWarning("hub_later: `text` goes in 2.0, take `event`")}

    @pluggy.HookspecMarker("hub")(warn_on_impl_args=gone)
    def hub_later(ctx: object, event: object, text: object) -> None: ...

    specs.hub_later = hub_later  # type: ignore[attr-defined]
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(specs)
    old, new = types.ModuleType("old"), types.ModuleType("new")
    old.hub_later = hookimpl(lambda text: text)  # type: ignore[attr-defined]
    new.hub_later = hookimpl(lambda event: event)  # type: ignore[attr-defined]
    told: list[str] = []
    for name, module in (("old-plugin", old), ("new-plugin", new)):
        row = LoadedPlugin(name, "1", "", "loaded")
        told.append(_register(manager, module, row).problem)
    assert "`text` goes in 2.0" in told[0]
    assert told[1] == ""
    results = Hooks(manager, frozenset())._collect("hub_later", 1, event="e", text="t")
    assert {result.plugin: result.value for result in results} == {"old-plugin": "t", "new-plugin": "e"}


@pytest.mark.parametrize("name", ANSWERS)
def test_each_hook_gives_what_its_plugin_gave(name: str) -> None:
    given, wanted = copy.copy(ANSWERS[name][0]), ANSWERS[name][1]  # an iterator is good once
    module = types.ModuleType("one")
    setattr(module, name, hookimpl(lambda: given))
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name="one")
    caller = getattr(Hooks(manager, frozenset()), name.removeprefix("hub_"))
    asked: dict[str, object] = dict.fromkeys(inspect.signature(caller).parameters, "x")
    found = caller(**{**asked, **ASKED.get(name, {})})
    if name == "hub_task_wrap":
        with found:
            pass
    elif wanted is None:
        assert [result.ok for result in found] == [True]
    else:
        assert found == wanted


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("say", "it is no Action"),
        (Action("say", print, "A plain function."), "its task is not made with @task"),  # type: ignore[arg-type]
        (Action("Say it", say, "A sentence as a name."), "its name must be"),
        (Action("good", say, "Twice the same name."), "its name is taken"),
    ],
)
def test_an_action_that_cannot_be_used_is_left_out_and_told(wrong: object, said: str) -> None:
    good = Action("good", say, "Good.")
    module = types.ModuleType("one")
    module.hub_actions = hookimpl(lambda: [good, wrong])  # type: ignore[attr-defined]
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    manager.register(module, name="one")
    hooks = Hooks(manager, frozenset())
    assert hooks.actions() == {"one.good": good}
    assert said in hooks.breakers["one", "hub_actions"].last_error


@pytest.mark.parametrize(
    "name", ["hub_webhook_verify", "hub_secret_resolve", "hub_alert_render", "hub_auth_authenticate"]
)
def test_what_is_no_answer_stands_in_the_way_of_none(name: str) -> None:
    given, wanted = ANSWERS[name]
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    for plugin, answer in (("one", given), ("garbage", 42), ("things", [42, None])):  # the last one is asked first
        module = types.ModuleType(plugin)
        setattr(module, name, hookimpl(lambda answer=answer: answer))
        manager.register(module, name=plugin)
    hooks = Hooks(manager, frozenset())
    caller = getattr(hooks, name.removeprefix("hub_"))
    assert caller(**dict.fromkeys(inspect.signature(caller).parameters, "x")) == wanted
    assert hooks.breakers["garbage", name].total == hooks.breakers["things", name].total == 1


@pytest.mark.parametrize("name", ANSWERS)
def test_what_one_raises_in_any_hook_is_its_own(name: str) -> None:
    given, wanted = copy.copy(ANSWERS[name][0]), ANSWERS[name][1]
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)

    def raises() -> None:
        raise SystemExit("told to fail")

    for plugin, does in (("one", lambda: given), ("bad", raises)):  # the last one is asked first
        module = types.ModuleType(plugin)
        setattr(module, name, hookimpl(does))
        manager.register(module, name=plugin)
    hooks = Hooks(manager, frozenset())
    caller = getattr(hooks, name.removeprefix("hub_"))
    asked: dict[str, object] = dict.fromkeys(inspect.signature(caller).parameters, "x")
    if name == CLOSED:
        asked["events"] = [{"id": "a"}, {"id": "b"}]
    found = caller(**{**asked, **ASKED.get(name, {})})
    if name == CLOSED:
        assert found == {"a", "b"}, "all of it is withheld"
    elif name == "hub_task_wrap":
        with found:
            pass
    elif name == "hub_ui_panels":
        assert [*found[:2], found[2].title] == [*wanted, "Plugin bad"], "it says so in its place"
    elif wanted is None:
        assert {result.plugin: result.ok for result in found} == {"bad": False, "one": True}
    else:
        assert found == wanted
    not_asked = {"hub_task_wrap", *ASKED}  # of those only the one that is named, or is trusted
    assert hooks.breakers["bad", name].total == (0 if name in not_asked else 1)


@pytest.mark.parametrize("trusted", [True, False])
def test_one_that_raises_does_not_stop_the_others(trusted: bool) -> None:
    seen: list[str] = []

    def good(event: dict[str, str]) -> None:
        seen.append(event["type"])

    def bad(run: object) -> None:
        raise RuntimeError("no")

    hooks = callers(trusted, a=good, b=bad, c=good)
    results = hooks.run_state({"type": "x"}, {})
    assert seen == ["x", "x"]
    assert {r.plugin: r.ok for r in results} == {"a": True, "b": False, "c": True}
    assert hooks.breakers["b", "hub_run_state"].last_error == "RuntimeError: no"


def test_one_that_hangs_is_left_behind() -> None:
    release = threading.Event()
    hooks = callers(slow=lambda: release.wait(), good=lambda: None)
    try:
        results = hooks._collect("hub_run_state", 2.0, event={}, run={})
    finally:
        release.set()
    assert {r.plugin: r.ok for r in results} == {"slow": False, "good": True}


def test_a_breaker_opens_probes_and_closes() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(100, "no", timeout=False)
    assert breaker.state(159) == "open"
    assert breaker.state(160) == "half-open"
    breaker.failed(160, "no", timeout=False)
    assert breaker.state(279) == "open"
    breaker.passed()
    assert breaker.state(279) == "closed"
    for at in (0, 100, 200):
        breaker.failed(at, "slow", timeout=True)
    assert breaker.state(201) == "open"


def test_the_built_in_plugins_load(settings: Settings) -> None:
    plugins = load_plugins(settings, process="upkeep")
    own = {row.name: row for row in plugins.table if row.distribution == "hubspoke"}
    assert own
    assert {row.state for row in own.values()} == {"loaded"}, own


@pytest.mark.parametrize(
    ("mode", "state", "problem"),
    [("ok", "loaded", ""), ("import_error", "failed", "told to fail at its import")],
)
def test_a_strangers_plugin_enters_by_the_same_door(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mode: str, state: str, problem: str
) -> None:
    import sys

    monkeypatch.setenv("ECHO_MODE", mode)
    for name in [name for name in sys.modules if name.startswith("hub_echo")]:
        monkeypatch.delitem(sys.modules, name)
    rows = {row.name: row for row in load_plugins(settings, process="upkeep").table}
    assert "echo" in rows, "tests/thirdparty is not installed: run scripts/install"
    assert rows["echo"].state == state
    assert problem in rows["echo"].problem
    if state == "loaded":
        assert {"hub_channel_kinds", "hub_run_state"} <= set(rows["echo"].hooks)
    else:
        strict = load_settings({"home": settings.home, "plugins_strict": True}, environ={})
        with pytest.raises(UnavailableError, match="echo"):
            load_plugins(strict, process="upkeep")


def test_the_selection_is_obeyed_and_checked(settings: Settings) -> None:
    none = load_settings({"home": settings.home, "plugins": "none"}, environ={})
    assert {row.state for row in load_plugins(none, process="web").table} == {"disabled"}
    without = load_settings({"home": settings.home, "plugins": "-echo"}, environ={})
    assert [row.name for row in list_manifests(without) if row.state == "disabled"] == ["echo"]
    wrong = load_settings({"home": settings.home, "plugins": "echo"}, environ={})
    with pytest.raises(SettingError):
        load_plugins(wrong, process="web")
