"""`hub.container`: a container as a task."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Unpack

from hub.errors import UsageError
from hub.sdk.options import TaskOptions
from hub.sdk.outside import making
from hub.sdk.outside.making import MIB
from hub.sdk.outside.shells import RETURNS, Output, Program, Value, environment, program
from hub.sdk.outside.templates import Template, names_in, parsed
from hub.sdk.tasks import Task

Pull: TypeAlias = Literal["missing", "always", "never"]
_MEMORY = re.compile(r"^[1-9][0-9]*[bkmg]$")


@dataclass(frozen=True, slots=True)
class Container:
    """A command in an image. `words` empty: the image's own command; `script`: the only one is for `/bin/sh`."""

    image: Template
    words: tuple[Template, ...]
    script: bool
    env: tuple[tuple[str, Template | Callable[[], Any]], ...]
    workdir: Template | None
    stdin: Template | None
    mounts: tuple[tuple[Template, str], ...]
    """Folders of this machine, and where they are in the container; ":ro" at the end: not to be written."""
    network: str
    memory: str
    cpus: float | None
    user: str
    pull: str
    runtime: str
    program: Program

    def templates(self) -> list[Template]:
        """All of them, in the order in which their parameters are taken."""
        more = [value for _, value in self.env if isinstance(value, tuple)]
        rest = [t for t in (self.workdir, self.stdin) if t is not None]
        return [self.image, *self.words, *more, *rest, *(source for source, _ in self.mounts)]


def container(
    image: str, command: str | Sequence[str] = (), *, output: Output = "text", env: Mapping[str, Value] | None = None,
    workdir: str | None = None, stdin: str | None = None, mounts: Mapping[str, str] | None = None, network: str = "",
    memory: str = "", cpus: float | None = None, user: str = "", pull: Pull = "missing",
    runtime: Literal["", "podman", "docker"] = "", defaults: Mapping[str, Any] | None = None,
    exit_classes: Mapping[int, str] | None = None, log_output: bool = True, max_output: int = 16 * MIB,
    grace_seconds: float = 10.0, **options: Unpack[TaskOptions],
) -> Task[..., Any]:  # fmt: skip
    """A task that runs a command in a container: `train = container("ml:3", "train --day {day}")`.

    `command`, `env`, `stdin`, `output`, `defaults`, `exit_classes`, `log_output`, `max_output` as of `shell`; without a
    command the image's own one runs; `$HUB_OUTPUT` is a file in the container. `mounts` shows folders of this machine
    in it: `{"/data": "/in:ro"}`. `network` ("none", "host", a name), `memory` ("512m"), `cpus` and `user` are those of
    `podman run`; `pull` says when the image is fetched. `runtime` names the program that runs it; without it that is
    podman, or docker where there is no podman. Containers have the labels `hub.run_id` and `hub.task_run_id` and are
    removed when they have ended, also when the task was killed. All options of `@task` are taken. Raises UsageError.
    """
    script = isinstance(command, str)
    given = [command] if isinstance(command, str) else list(command)
    if script and not str(given[0]).strip():
        raise UsageError("the command is empty", hint="Leave it out for the image's own command.")
    if memory and not _MEMORY.match(memory):
        raise UsageError(f"memory={memory!r} is not a size", hint="Write '512m' or '2g'.")
    if cpus is not None and (isinstance(cpus, bool) or not isinstance(cpus, int | float) or not 0 < cpus <= 1024):
        raise UsageError(f"cpus={cpus!r} is not a number above 0")
    spec = Container(
        _image(image), tuple(parsed(word, "command") for word in given), script, environment(env or {}),
        None if workdir is None else parsed(workdir, "workdir"), None if stdin is None else parsed(stdin, "stdin"),
        tuple(_mount(source, target) for source, target in (mounts or {}).items()), _word("network", network), memory,
        cpus, _word("user", user), making.one_of("pull", pull, ("missing", "always", "never")),
        making.one_of("runtime", runtime, ("", "podman", "docker")),
        program(output, log_output, exit_classes, max_output, grace_seconds),
    )  # fmt: skip
    name = image.rpartition("/")[2].partition(":")[0]
    return making.made(
        spec, default_name=name[:100] if "{" not in name else "container",
        summary=f"Runs {' '.join([image, *map(str, given)])[:300]} in a container.", names=names_in(spec.templates()),
        defaults=defaults, returns=RETURNS.get(output, Any), options=options,
    )  # fmt: skip


def _image(image: str) -> Template:
    found = parsed(image, "image")
    if not found or image.startswith("-") or any(letter.isspace() for letter in image):
        raise UsageError(f"image {image!r} is no image's name", hint="Write 'python:3.12' or 'registry.example/a/b:1'.")
    return found


def _mount(source: str, target: str) -> tuple[Template, str]:
    inside = target.removesuffix(":ro")
    if not inside.startswith("/") or ":" in inside or "," in target:
        raise UsageError(f"mounts[{source!r}]={target!r} is no place", hint="Write {'/data': '/in'} or '/in:ro'.")
    return parsed(source, "mounts"), target


def _word(option: str, value: str) -> str:
    if not isinstance(value, str) or value.startswith("-") or any(letter.isspace() for letter in value):
        raise UsageError(f"{option}={value!r} is not a name")
    return value
