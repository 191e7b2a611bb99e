"""`hub plugins configure`, `enable`, `disable`, `reset`: what can be set for a plugin."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from hub.cli import output
from hub.cli.connection import connect, path
from hub.cli.connections import read_secrets
from hub.cli.output import DryRun
from hub.cli.plugins import FIELDS, Name
from hub.errors import UsageError
from hub.references import is_reference


def configure(
    name: Name,
    *settings: Annotated[str, Parameter(help="field=value; lists and objects are JSON.")],
    secret: Annotated[
        tuple[str, ...], Parameter(negative=(), help="A secret field: asked for, or FIELD=VALUE on standard input.")
    ] = (),
    unset: Annotated[tuple[str, ...], Parameter(negative=(), help="Let a field go: environment or default hold.")] = (),
    dry_run: DryRun = False,
) -> None:
    """Set fields of a plugin's configuration. Running processes take them within seconds."""
    given = dict(map(_setting, settings))
    if not (given or secret or unset):
        raise UsageError(
            "there is nothing to set", hint=f"hub plugins configure {name} FIELD=VALUE; see hub plugins show {name}"
        )
    with connect() as client:
        there = client.get(path("plugins", name))
        _check_secrets(there, given, secret)
        given |= read_secrets(set(secret))
        missing = sorted(set(secret) - given.keys())
        if missing:
            raise UsageError(f"no value was given for {missing[0]}")
        body = {"fields": given, "unset": list(unset), "revision": there["revision"], "dry_run": dry_run}
        made = client.post(path("plugins", name, "configure"), body)
    if dry_run:
        output.table(made["fields"], FIELDS, as_json=False, empty="It has no configuration.")
    wrong = f" It is not complete: {made['config_problem']}" if made["config_problem"] else ""
    if dry_run:
        output.say(f"Nothing was changed.{wrong}")
    else:
        output.say(
            f"Plugin {name} is configured. Processes take it within seconds, workers with their next run.{wrong}"
        )


def enable(name: Name) -> None:
    """Switch a plugin on."""
    _post(name, "enable")
    output.say(f"Plugin {name} is switched on. A process that started without it loads it when it starts again.")


def disable(name: Name, *, dry_run: DryRun = False) -> None:
    """Switch a plugin off: its hooks are not called any more. What it has set stays."""
    if dry_run:
        with connect() as client:
            found = client.get(path("plugins", name))
        takes = ", ".join(hook.removeprefix("hub_") for hook in found["hooks"]) or "none"
        output.say(f"Would switch off plugin {name}; its hooks: {takes}. Nothing was changed.")
        return
    _post(name, "disable")
    output.say(
        f"Plugin {name} is switched off. Running processes stop calling it within seconds, workers with their next run;"
        " its pages, commands and loops go when they start again."
    )


def reset(name: Name) -> None:
    """Forget the failures of a plugin's hooks in all processes: what was skipped is called again."""
    _post(name, "reset")
    output.say(f"The failures of plugin {name} are forgotten; its hooks are called again within seconds.")


def _post(name: str, verb: str) -> dict[str, Any]:
    with connect() as client:
        done: dict[str, Any] = client.post(path("plugins", name, verb), {})
    return done


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageError(f"{text[:60]!r} is not FIELD=VALUE", hint="A secret is given with --secret FIELD.")
    return name.strip().replace("-", "_"), value


def _check_secrets(there: dict[str, Any], given: dict[str, str], secret: tuple[str, ...]) -> None:
    hidden = {field["name"] for field in there["fields"] if field["secret"]}
    typed = sorted(name for name in given.keys() & hidden if not is_reference(given[name]))
    if typed:
        raise UsageError(
            f"{typed[0]} is secret, and what is typed after a command can be read by others",
            hint=f"Leave its value out: --secret {typed[0]}. A reference such as env:NAME may be typed.",
        )
    open_ = sorted(set(secret) - hidden)
    if open_:
        raise UsageError(
            f"{open_[0]} is no secret field of it", hint=f"Secret are: {', '.join(sorted(hidden)) or 'none'}."
        )
