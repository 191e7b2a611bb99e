"""From a hook to what the hub makes of it: a source, an automation, and what neither holds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from hub.webhooks.adnanh.reading import Node
from hub.webhooks.adnanh.rules import Problem, Untranslatable, Verified, split, value_of

_WORD = re.compile(r"[^A-Za-z0-9_]+")
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_AUTOMATION = re.compile(r"[^a-z0-9._-]+")
_PARAMETERS = ("pass-arguments-to-command", "pass-environment-to-command")
_TAKEN = frozenset({"id", "execute-command", "trigger-rule", *_PARAMETERS})
_IGNORED = {
    "command-working-directory": "it belongs to the command: `hub.shell(..., cwd=...)`",
    "response-message": "senders get the id of the receipt",
    "response-headers": "senders get the id of the receipt",
    "success-http-response-code": "senders get 202",
    "trigger-rule-mismatch-http-response-code": "a request that no automation wants is kept and answered 202",
    "trigger-signature-soft-failures": "a request with a wrong signature is refused",
    "include-command-output-in-response": "senders are answered before anything runs",
    "include-command-output-in-response-on-error": "senders are answered before anything runs",
    "pass-file-to-command": "take it from the flow's parameters",
    "incoming-payload-content-type": "bodies are JSON where they can be read as JSON",
    "keep-file-environment": "there are no files",
}
_CHANGES = {
    "parse-parameters-as-json": "its rules and parameters look into a text, which expressions cannot",
    "pre-hook-command": "its rules and parameters may look at what the command gives",
}
"""What changes what the rest of a hook means: such a hook stays out."""


@dataclass(slots=True)
class Planned:
    """What becomes of a hook. `blocked`: nothing, for these reasons."""

    name: str
    line: int
    preset: str = ""
    options: dict[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    allow_from: list[str] = field(default_factory=list)
    match: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    command: str = ""
    command_line: int = 0
    blocked: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    incomplete: bool = False
    """Whether something was left out that the hook did with requests."""

    @property
    def event(self) -> str:
        """The type of its events."""
        return f"{self.preset}.{self.options['type'].removeprefix('const:')}"

    @property
    def automation(self) -> str:
        """What its automation is called."""
        return _AUTOMATION.sub("-", self.name.lower()).strip("-._")[:63] or "hook"

    @property
    def verified(self) -> bool:
        """Whether anything in the hook verifies who sends."""
        return bool(self.secret)


def plan(hook: Node) -> Planned:
    """Say what becomes of a hook. Raises nothing: what is wrong is in the answer."""
    ident = hook.text("id")
    name = _NAME.sub("-", ident).strip("-._")[:100]
    command = hook.get("execute-command")
    made = Planned(name, hook.line, command=hook.text("execute-command"), command_line=command.line if command else 0)
    if not name:
        made.blocked.append(Problem(hook.line, "the hook has no id"))
        return made
    if name != ident:
        made.problems.append(Problem(hook.line, f"the id {ident[:60]!r} is no name of a source: it is called {name}"))
    try:
        verified, made.match = split(hook.get("trigger-rule"))
    except Untranslatable as stop:
        made.blocked.append(stop.problem)
        verified = Verified()
    made.preset, made.secret = verified.preset or "token", verified.secret
    made.allow_from = verified.allow_from
    made.options = {**verified.options, "type": f"const:{_WORD.sub('_', name)[:64]}"}
    made.problems += verified.notes
    _parameters(hook, made)
    _others(hook, made)
    return made


def _parameters(hook: Node, made: Planned) -> None:
    for key in _PARAMETERS:
        found = hook.get(key)
        for argument in found.items() if found is not None else ():
            try:
                value = _value(argument)
            except Untranslatable as stop:
                made.problems.append(Problem(stop.problem.line, f"no parameter: {stop.problem.text}"))
                made.incomplete = True
                continue
            made.parameters[_unused(_called(argument, key), made.parameters)] = value


def _value(argument: Node) -> str:
    source, name = argument.text("source"), argument.text("name")
    whole = {"entire-payload": "=body", "entire-headers": "=headers", "entire-query": "=query"}
    if source in whole:
        return whole[source]
    if source == "string":
        plain = not name.startswith("=") and "${" not in name
        return name if plain else f"={json.dumps(name, ensure_ascii=False)}"
    there, value = value_of(argument)
    return f"={value}" if there == "true" else f'={there} ? {value} : ""'


def _called(argument: Node, key: str) -> str:
    """A parameter's name: as the environment has it, or after what it refers to."""
    given = argument.text("envname")
    if not given and key == "pass-environment-to-command":
        given = f"HOOK_{argument.text('name')}"
    made = _WORD.sub("_", given or argument.text("name") or argument.text("source")).strip("_").lower()
    return f"p_{made}" if not made or made[0].isdigit() else made[:60]


def _unused(name: str, taken: dict[str, Any]) -> str:
    number, made = 2, name
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made


def _others(hook: Node, made: Planned) -> None:
    assert isinstance(hook.value, dict)
    for key, found in hook.value.items():
        if key in _CHANGES:
            made.blocked.append(Problem(found.line, f"{key}: {_CHANGES[key]}"))
        elif key == "http-methods":
            others = sorted({item.value for item in found.items() if isinstance(item.value, str)} - {"POST"})
            if others:
                made.incomplete = True
                made.problems.append(Problem(found.line, f"http-methods: only POST is taken, not {', '.join(others)}"))
        elif key not in _TAKEN:
            made.problems.append(Problem(found.line, f"{key[:60]}: {_IGNORED.get(key, 'nothing here is like it')}"))
