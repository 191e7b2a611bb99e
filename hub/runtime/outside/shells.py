"""Commands: a template and its parameters as a program that is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hub.errors import ParameterError, ProgramFailed
from hub.runtime.outside import outcomes, programs
from hub.runtime.outside.guard import Guard, gated
from hub.runtime.outside.programs import Started, TooMuch
from hub.runtime.outside.quoting import Quotes
from hub.runtime.outside.setting import Setting
from hub.runtime.outside.texts import filled, text_of, words
from hub.sdk.outside.shells import Shell
from hub.sdk.outside.templates import Template

_LEAST_SECRET = 4
"""Characters; shorter texts are everywhere, and blacking them out would tell them."""


def run(spec: Shell, values: Mapping[str, Any], setting: Setting) -> Any:
    """Run the command; gives what its option `output` says. Raises ProgramFailed, ParameterError."""
    program = spec.program
    own, secrets = variables(spec.env, values)
    env = {**os.environ, **setting.variables(), **own}
    cwd = None if spec.cwd is None else os.path.expanduser(filled(spec.cwd, values))
    argv = _argv(spec, values, env, cwd)
    stdin = b"" if spec.stdin is None else os.fsencode(filled(spec.stdin, values))
    with outcomes.output_file(program) as file:
        if file is not None:
            env["HUB_OUTPUT"] = str(file)
        started = Started(
            argv, env, cwd, stdin, secrets, outcomes.KEEPS.get(program.output, "none"), program.max_output,
            program.log_output,
        )  # fmt: skip
        with Guard(grace=program.grace, folder=None if file is None else str(file.parent)) as guard:
            try:
                ended = programs.run(started, setting, guard)
            except TooMuch:
                raise outcomes.too_much(program) from None
        return outcomes.value_of(program, ended, file, script=spec.script)


def variables(env: tuple[tuple[str, Any], ...], values: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Variables of the environment, and those of their values that are nobody's business."""
    found, secrets = dict[str, str](), list[str]()
    for name, value in env:
        if isinstance(value, tuple):
            found[name] = filled(value, values)
            continue
        asked = value()
        # What a connection gives is pydantic's SecretStr.
        text = asked.get_secret_value() if hasattr(asked, "get_secret_value") else asked
        if not isinstance(text, str) or "\0" in text:
            raise ParameterError(f"the function of variable {name} gave a {type(text).__name__} that is no text")
        found[name] = text
        if len(text) >= _LEAST_SECRET:
            secrets.append(text)
    return found, secrets


def _argv(spec: Shell, values: Mapping[str, Any], env: Mapping[str, str], cwd: str | None) -> list[str]:
    if spec.script:
        arguments: list[str] = []
        script = "".join(script_of(spec.words[0], values, arguments))
        return ["/bin/sh", "-c", gated(script), "hub", *arguments]
    given = [word for template in spec.words for word in words(template, values)]
    found = shutil.which(given[0] if os.sep not in given[0] else str(Path(cwd or ".") / given[0]), path=env.get("PATH"))
    if found is None:
        raise ProgramFailed(f"there is no program {given[0]!r} on this machine", hint="It is looked for in PATH.")
    return ["/bin/sh", "-c", gated('exec "$@"'), "hub", *given]


def script_of(template: Template, values: Mapping[str, Any], arguments: list[str]) -> Iterator[str]:
    """The shell text. Values never become part of it: they are arguments of the script, which it refers to."""
    quotes = Quotes()
    for piece in template:
        if not piece.name:
            quotes.read(piece.text)
            yield piece.text
            continue
        value = values[piece.name]
        several = isinstance(value, list | tuple)
        if several and quotes.inside:
            raise ParameterError(f"{piece.name} is a list, which cannot stand inside quotes")
        numbers = []
        for item in value if several else [value]:
            arguments.append(text_of(piece, item))
            numbers.append(f"${{{len(arguments)}}}")
        if quotes.inside == '"':
            yield numbers[0]
        elif quotes.inside == "'":
            yield f"'\"{numbers[0]}\"'"
        else:
            yield " ".join(f'"{number}"' for number in numbers)
