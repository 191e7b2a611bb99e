"""`hub.shell`: a program as a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, Unpack, overload

from hub.errors import UsageError
from hub.sdk.options import TaskOptions
from hub.sdk.outside import making
from hub.sdk.outside.making import MIB
from hub.sdk.outside.templates import Template, names_in, parsed
from hub.sdk.tasks import Task

Output: TypeAlias = Literal["text", "lines", "json", "last_json_line", "text_file", "json_file", "none"]
OUTPUTS = ("text", "lines", "json", "last_json_line", "text_file", "json_file", "none")
RETURNS = {"text": str, "text_file": str, "lines": list[str], "none": None}
Value: TypeAlias = "str | Callable[[], Any]"
"""What a variable of the environment is: a template, or a function that is asked when the program starts."""


@dataclass(frozen=True, slots=True)
class Program:
    """What becomes of a program's output, whatever starts it."""

    output: str
    log_output: bool
    exit_classes: tuple[tuple[int, str], ...]
    max_output: int
    grace: float


@dataclass(frozen=True, slots=True)
class Shell:
    """A command: one template for `/bin/sh`, or one for each word of a program's arguments."""

    words: tuple[Template, ...]
    script: bool
    env: tuple[tuple[str, Template | Callable[[], Any]], ...]
    cwd: Template | None
    stdin: Template | None
    program: Program

    def templates(self) -> list[Template]:
        """All of them, in the order in which their parameters are taken."""
        more = [value for _, value in self.env if isinstance(value, tuple)]
        return [*self.words, *more, *(t for t in (self.cwd, self.stdin) if t is not None)]


@overload
def shell(
    command: str | Sequence[str], *, output: Literal["text", "text_file"] = "text",
    env: Mapping[str, Value] | None = None, cwd: str | Path | None = None, stdin: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    exit_classes: Mapping[int, str] | None = None, log_output: bool = True, max_output: int = 16 * MIB,
    grace_seconds: float = 5.0, **options: Unpack[TaskOptions],
) -> Task[..., str]: ...  # fmt: skip
@overload
def shell(
    command: str | Sequence[str], *, output: Literal["lines"], env: Mapping[str, Value] | None = None,
    cwd: str | Path | None = None, stdin: str | None = None, defaults: Mapping[str, Any] | None = None,
    exit_classes: Mapping[int, str] | None = None, log_output: bool = True, max_output: int = 16 * MIB,
    grace_seconds: float = 5.0, **options: Unpack[TaskOptions],
) -> Task[..., list[str]]: ...  # fmt: skip
@overload
def shell(
    command: str | Sequence[str], *, output: Literal["json", "last_json_line", "json_file", "none"],
    env: Mapping[str, Value] | None = None, cwd: str | Path | None = None, stdin: str | None = None,
    defaults: Mapping[str, Any] | None = None, exit_classes: Mapping[int, str] | None = None, log_output: bool = True,
    max_output: int = 16 * MIB, grace_seconds: float = 5.0, **options: Unpack[TaskOptions],
) -> Task[..., Any]: ...  # fmt: skip
def shell(
    command: str | Sequence[str], *, output: Output = "text", env: Mapping[str, Value] | None = None,
    cwd: str | Path | None = None, stdin: str | None = None, defaults: Mapping[str, Any] | None = None,
    exit_classes: Mapping[int, str] | None = None, log_output: bool = True, max_output: int = 16 * MIB,
    grace_seconds: float = 5.0, **options: Unpack[TaskOptions],
) -> Task[..., Any]:  # fmt: skip
    """A task that runs a program: `build = shell("make {target}")`, called as `build(target="docs")`.

    `command` is a text for `/bin/sh`, or a list of a program and its arguments, started without a shell. Placeholders
    are the task's parameters, `defaults` gives values to some. A value is always an argument as a whole, never a part
    of the command; a list becomes several. `env` adds variables (a function is asked when the program starts, and
    what it gives is blacked out in the log); `cwd` is its folder, `stdin` what it reads. `output` says what the task
    gives: what it printed as `text`, `lines`, `json` or its `last_json_line`; what it wrote into the file `$HUB_OUTPUT`
    (`text_file`, `json_file`); or `none`. Its lines are logged, standard error as warnings; `log_output=False` logs
    only those. `exit_classes` maps exit codes (of signals: minus their numbers) to error classes. Output over
    `max_output` bytes fails the task. Over its timeout or cancelled, it and what it started get SIGTERM and after
    `grace_seconds` SIGKILL. All options of `@task` are taken as well. Raises UsageError.
    """
    script = isinstance(command, str)
    given = [command] if isinstance(command, str) else list(command)
    words = tuple(parsed(word, "command") for word in given)
    if not words or not all(words[:1]) or not str(given[0]).strip():
        raise UsageError("the command is empty", hint="Write shell('make {target}'), or a list of words.")
    spec = Shell(
        words, script, environment(env or {}), None if cwd is None else parsed(str(cwd), "cwd"),
        None if stdin is None else parsed(stdin, "stdin"),
        program(output, log_output, exit_classes, max_output, grace_seconds),
    )  # fmt: skip
    first = str(given[0]).split()[0].rpartition("/")[2]
    shown = command if isinstance(command, str) else " ".join(map(str, given))
    return making.made(
        spec, default_name=first[:100], summary=f"Runs `{shown[:300]}`.", names=names_in(spec.templates()),
        defaults=defaults, returns=RETURNS.get(output, Any), options=options,
    )  # fmt: skip


def program(
    output: str, log_output: bool, exit_classes: Mapping[int, str] | None, max_output: int, grace_seconds: float
) -> Program:
    """The checked options of what a program gives. Raises UsageError."""
    return Program(
        making.one_of("output", output, OUTPUTS), bool(log_output), making.classes("exit_classes", exit_classes),
        making.size("max_output", max_output), making.seconds("grace_seconds", grace_seconds, most=3600.0),
    )  # fmt: skip


def environment(given: Mapping[str, Value]) -> tuple[tuple[str, Template | Callable[[], Any]], ...]:
    """The checked variables. Raises UsageError."""
    found: list[tuple[str, Template | Callable[[], Any]]] = []
    for name, value in given.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise UsageError(f"env has {name!r}, which is no variable's name")
        if not isinstance(value, str) and not callable(value):
            hint = "Give a text, or a function that gives one: env={'TOKEN': lambda: connection('api').token}."
            raise UsageError(f"env[{name!r}] is a {type(value).__name__}", hint=hint)
        found.append((name, parsed(value, f"env[{name!r}]") if isinstance(value, str) else value))
    return tuple(found)
