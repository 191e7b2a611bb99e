"""Rules of the level bronze: it loads, it says what it is, and it keeps secrets."""

from __future__ import annotations

import difflib
import inspect
import json
from typing import Any

import pluggy
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pydantic import BaseModel, TypeAdapter, ValidationError

from hub import hookspecs, pluginconfig
from hub.actions import Action
from hub.channels import ChannelKind
from hub.connections import ConnectionKind
from hub.consumers import ConsumerKind
from hub.errors import UsageError
from hub.plugins import PresetText
from hub.resultstores import ResultStoreKind
from hub.secretfields import secret_names, split
from hub.serializers import Serializer
from hub.testing.conformance import examples, secrecy
from hub.testing.conformance.probing import LIMIT_MS
from hub.testing.conformance.rules import Broken, NotHere
from hub.testing.conformance.subject import Subject
from hub.webhooks.preset import load_preset

DECLARING: dict[str, type[Any]] = {
    "hub_actions": Action, "hub_channel_kinds": ChannelKind, "hub_connection_kinds": ConnectionKind,
    "hub_consumers": ConsumerKind, "hub_presets": PresetText, "hub_result_stores": ResultStoreKind,
    "hub_serializers": Serializer,
}  # fmt: skip
"""Hooks that only say what there is, and what they give."""
_TELLING = ("password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "access_key", "credential")
_NO_SECRETS = ("_id", "_url", "_header", "_name", "_type", "_prefix", "_lifetime", "_timeout")


def imports_quickly_and_quietly(subject: Subject) -> None:
    """C01: Its import takes less than 300 ms, and starts no thread, no process and no connection."""
    facts = subject.probe
    if facts.outside:
        raise Broken(
            f"its import does {', '.join(sorted(set(facts.outside)))}: do that in hub_startup or when it is used"
        )
    if facts.threads:
        raise Broken(
            f"its import starts the thread {facts.threads[0]!r}: start it in hub_startup, end it in hub_shutdown"
        )
    if facts.import_ms >= LIMIT_MS:
        raise Broken(
            f"its import takes {facts.import_ms:.0f} ms of processor time: import large libraries in the functions that"
            f" need them (`python -X importtime -c 'import {subject.place}'` shows which)"
        )


def says_what_it_is(subject: Subject) -> None:
    """C02: It has a manifest.toml that can be read, and one entry point of the same name."""
    manifest, wrong = subject.read
    if manifest is None:
        raise Broken(wrong)
    if not subject.points:
        raise Broken(
            f"no entry point of the group hub.plugins leads to {subject.place}: announce it in pyproject.toml, and"
            " install the project (pip install -e .) or use `hub plugins check PATH`"
        )
    names = sorted(point.name for point in subject.points)
    if names != [manifest.name]:
        raise Broken(
            f"manifest.toml calls it {manifest.name!r}, the entry point {', '.join(names)}: make them the same"
        )
    from hub.testing.conformance import RULES  # noqa: PLC0415 - the list is made of this module

    unknown = sorted(set(manifest.exemptions) - {rule.id for rule in RULES})
    if unknown:
        raise Broken(f"manifest.toml exempts it from {', '.join(unknown)}, and there is no such rule: leave that out")
    _config_is_one(subject)
    if not manifest.runs_in:
        raise Broken("manifest.toml has an empty runs_in, so nothing loads it: name the processes that need it")


def _config_is_one(subject: Subject) -> None:
    try:
        _ = subject.config
    except NotHere as missing:
        raise Broken(f'{str(missing).partition(",")[0]}: name it as config = "MODULE:MODEL"') from None


def fits_this_hub_and_the_next(subject: Subject) -> None:
    """C03: The range of hook specifications has room for this hub's and for the next minor version of it."""
    ours = Version(hookspecs.HOOKSPEC_VERSION)
    following = Version(f"{ours.major}.{ours.minor + 1}")
    spec = SpecifierSet(subject.manifest.hookspec)
    missing = [str(version) for version in (ours, following) if version not in spec]
    if missing:
        raise Broken(
            f'hookspec = "{spec}" leaves out {" and ".join(missing)}: minor versions only add, so write'
            f' ">={ours.major}.0,<{ours.major + 1}"'
        )


def hooks_are_the_hubs(subject: Subject) -> None:
    """C04: Every hook it has exists, takes arguments that exist, and gives what the hub takes."""
    known = [name for name in vars(hookspecs) if name.startswith("hub_")]
    functions = {name: value for name, value in vars(subject.module).items() if inspect.isroutine(value)}
    marked = {name for name, value in functions.items() if hasattr(value, "hub_impl")}
    for name in sorted(functions):
        if name.startswith("hub_") and name not in marked and functions[name].__module__ == subject.place:
            raise Broken(f"{name} is never called: put @hookimpl above it, or give it a name without hub_")
    for name in sorted(marked - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        raise Broken(f"there is no hook {name}" + (f": did you mean {near[0]}?" if near else ""))
    if not marked:
        raise Broken("it takes part in no hook: put @hookimpl above the functions that are hooks")
    _plain_functions(functions, marked)
    _arguments(subject)
    for hook, kind in DECLARING.items():
        _gives(subject, hook, kind)


def _plain_functions(functions: dict[str, Any], marked: set[str]) -> None:
    for name in sorted(marked):
        if inspect.iscoroutinefunction(functions[name]) or inspect.isasyncgenfunction(functions[name]):
            raise Broken(f"{name} is async, and hooks are plain functions: write `def {name}`")


def _arguments(subject: Subject) -> None:
    manager = pluggy.PluginManager("hub")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(subject.module, name="judged")
    except pluggy.PluginValidationError as error:
        raise Broken(
            f"{' '.join(str(error).split())[:300]}: docs/plugins.md lists the arguments of each hook"
        ) from None


def _gives(subject: Subject, hook: str, kind: type[Any]) -> None:
    if not subject.has(hook):
        return
    given = subject.given(hook)
    failed = subject.failures(hook)
    if failed:
        raise Broken(
            f"{hook} fails: {failed[0]}: it must give a list of {kind.__name__}, and is called without a store"
        )
    for item in given:
        if not isinstance(item, kind):
            raise Broken(f"{hook} gives {item!r:.80}, and must give {kind.__module__}.{kind.__name__}")
        if isinstance(item, PresetText):
            try:
                load_preset(item.text, item.origin)
            except UsageError as error:
                raise Broken(error.detail) from None


def settings_explain_themselves(subject: Subject) -> None:
    """C05: Every field of its settings has a description and a sound default, and what is secret is a SecretStr."""
    for _, model in subject.models:
        hidden = secret_names(model)
        for name, info in model.model_fields.items():
            where = f"{model.__name__}.{name}"
            if not (info.description or "").strip():
                raise Broken(f"{where} has no description: give Field(description=...), it is shown in forms and help")
            telling = any(word in name.lower() for word in _TELLING) and not name.lower().endswith(_NO_SECRETS)
            if telling and name not in hidden and info.annotation is not bool:
                raise Broken(f"{where} seems to be secret and is kept in clear: make its type SecretStr")
            wrong = _wrong_default(info)
            if wrong:
                raise Broken(f"the default of {where} is not of its own type: {wrong}")


def _wrong_default(info: Any) -> str:
    if info.is_required():
        return ""
    adapter: TypeAdapter[Any] = TypeAdapter(info.annotation)
    try:
        adapter.validate_python(info.get_default(call_default_factory=True, validated_data={}))
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    return ""


def settings_come_back(subject: Subject) -> None:
    """C06: Settings that were kept as JSON, typed as words or given by the environment come back as they were."""
    for _, model in subject.models:
        if any(map(_wrong_default, model.model_fields.values())):
            raise NotHere("a default is not sound, see C05")
    if subject.config is not None:
        _config_comes_back(subject.point.name, subject.config)
    if not subject.has("hub_connection_kinds"):
        return
    for kind in subject.connections:
        first = examples.settings_of(kind.settings, dict.fromkeys(kind.secrets(), secrecy.CANARY))
        plain, secret = split(first)
        try:
            again = kind.parse({**json.loads(json.dumps(plain)), **secret})
            typed = kind.parse({**plain, **examples.as_texts(first, plain), **secret})
        except UsageError as error:
            raise Broken(f"{error.detail}: what {kind.settings.__name__} writes it must read, from texts too") from None
        for name in type(first).model_fields:
            if getattr(again, name) != getattr(first, name) or getattr(typed, name) != getattr(first, name):
                raise Broken(f"{kind.settings.__name__}.{name} comes back otherwise: have it read what it writes")


def _config_comes_back(plugin: str, model: type[BaseModel]) -> None:
    first = examples.settings_of(model, dict.fromkeys(secret_names(model), secrecy.CANARY))
    plain, secret = split(first)
    variables = {
        pluginconfig.variable(plugin, name): value if isinstance(value, str) else json.dumps(value)
        for name, value in {**plain, **secret}.items()
        if value is not None
    }
    for what, found in (
        ("from JSON", pluginconfig.resolve(plugin, model, {**json.loads(json.dumps(plain)), **secret}, {})),
        ("from the environment", pluginconfig.resolve(plugin, model, {}, variables)),
    ):
        if found.config != first:
            why = found.problem or "a field has another value"
            raise Broken(f"{model.__name__} comes back otherwise {what} ({why}): have it read what it writes")


def keeps_secrets(subject: Subject) -> None:
    """C12: No secret that it is given is in a text, a log line, the output or an error of it."""
    secrecy.look(subject)


def has_a_readme(subject: Subject) -> None:
    """README: Its project has a readme that names it and says what it is for."""
    text = subject.readme
    if len(text.strip()) < 100:
        raise Broken('it has no readme: write README.md, and readme = "README.md" in pyproject.toml')
    if subject.point.name.lower() not in text.lower():
        raise Broken(f"its readme never says {subject.point.name!r}: tell what the plugin is for and how it is used")
