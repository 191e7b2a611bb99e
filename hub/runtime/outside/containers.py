"""Containers, by the command line of podman or docker: started, watched, ended and removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.errors import ParameterError, ProgramFailed
from hub.runtime.outside import outcomes, programs
from hub.runtime.outside.guard import Guard, gated
from hub.runtime.outside.programs import Started, TooMuch
from hub.runtime.outside.setting import WARNING, Setting
from hub.runtime.outside.shells import script_of, variables
from hub.runtime.outside.texts import filled, words
from hub.sdk.outside.containers import Container

INSIDE = "/hub"
"""Where the folder of `$HUB_OUTPUT` is in the container."""
RUNTIMES = ("podman", "docker")
_OWN_FAILURE = 125
"""The exit code of podman and docker themselves: no image, no daemon, a wrong option."""
_SHORT_S = 60.0
_REMOVE = '"$1" kill "$2"; "$1" rm -f "$2"'


def run(spec: Container, values: Mapping[str, Any], setting: Setting) -> Any:
    """Run the container; gives what its option `output` says. Raises ProgramFailed, ParameterError."""
    runtime, program = _runtime(spec), spec.program
    own, secrets = variables(spec.env, values)
    own = {**setting.variables(), **own}
    name = f"hub-{setting.task_run_id}-{setting.generation}-{setting.attempt}"
    stdin = b"" if spec.stdin is None else os.fsencode(filled(spec.stdin, values))
    if setting.repeated:
        _sweep(runtime, setting)
    with _folder(setting) as folder:
        file = folder / "out" / "output" if program.output.endswith("_file") else None
        if file is not None:
            own["HUB_OUTPUT"] = f"{INSIDE}/output"
        given = [*_options(spec, values, setting, name), *_variables(own, folder), *_shown(spec, values, file)]
        argv = ["/bin/sh", "-c", gated('exec "$@"'), "hub", runtime, "run", *given, *_command(spec, values)]
        started = Started(
            argv, {**os.environ, **{key: value for key, value in own.items() if "\n" in value}}, None, stdin, secrets,
            outcomes.KEEPS.get(program.output, "none"), program.max_output, program.log_output,
        )  # fmt: skip
        also = ("/bin/sh", "-c", _REMOVE, "hub", runtime, name)
        with Guard(grace=program.grace, folder=str(folder), also=also) as guard:
            try:
                ended = programs.run(started, setting, guard)
            except TooMuch:
                raise outcomes.too_much(program) from None
        if ended.code == _OWN_FAILURE and _OWN_FAILURE not in dict(program.exit_classes):
            raise ProgramFailed(
                f"{Path(runtime).name} could not run it\n{programs.told(ended.tail)}", returncode=ended.code,
                stderr=programs.told(ended.tail), error_class="infrastructure",
            )  # fmt: skip
        return outcomes.value_of(program, ended, file, script=True)


def _runtime(spec: Container) -> str:
    wanted = (spec.runtime,) if spec.runtime else RUNTIMES
    for name in wanted:
        found = shutil.which(name)
        if found is not None:
            return found
    raise ProgramFailed(
        f"there is no {' and no '.join(wanted)} on this machine", hint="Containers are run by podman or docker.",
        error_class="infrastructure",
    )  # fmt: skip


@contextmanager
def _folder(setting: Setting) -> Iterator[Path]:
    """For what goes in and out; `out` may be written by whatever user the container has."""
    folder = Path(tempfile.mkdtemp(prefix=_folders(setting)))
    try:
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folders(setting: Setting) -> str:
    """How the names of the folders of all attempts of this task run begin."""
    return f"hub-container-{setting.task_run_id}-"


def _options(spec: Container, values: Mapping[str, Any], setting: Setting, name: str) -> Iterator[str]:
    yield from ("--rm", "--name", name, "--label", f"hub.task_run_id={setting.task_run_id}", "--pull", spec.pull)
    if setting.context is not None:
        yield from ("--label", f"hub.run_id={setting.context.run_id}")
    if spec.stdin is not None:
        yield "-i"
    if spec.workdir is not None:
        yield from ("--workdir", filled(spec.workdir, values))
    for option, value in (("network", spec.network), ("memory", spec.memory), ("user", spec.user)):
        if value:
            yield from (f"--{option}", value)
    if spec.cpus is not None:
        yield from ("--cpus", f"{spec.cpus:g}")


def _variables(own: Mapping[str, str], folder: Path) -> Iterator[str]:
    """By a file: nobody reads them from a command line, and the program that runs it takes none for its own."""
    lines = [f"{name}={value}\n" for name, value in own.items() if "\n" not in value]
    file = folder / "env"
    file.touch(mode=0o600)
    file.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    yield from ("--env-file", str(file))
    for name, value in own.items():
        if "\n" in value:
            # A file has no place for line breaks; these go by the environment of the program.
            if name in os.environ:
                raise ParameterError(f"variable {name} has a line break, and one of that name is set here already")
            yield from ("-e", name)


def _shown(spec: Container, values: Mapping[str, Any], file: Path | None) -> Iterator[str]:
    """Folders of this machine that are in the container."""
    if file is not None:
        yield from ("--volume", f"{file.parent}:{INSIDE}")
    for source, target in spec.mounts:
        place = os.path.abspath(os.path.expanduser(filled(source, values)))
        if ":" in place or "," in place:
            raise ParameterError(f"a folder with ':' or ',' in its name cannot be shown at {target}")
        yield from ("--volume", f"{place}:{target}")


def _command(spec: Container, values: Mapping[str, Any]) -> list[str]:
    image = filled(spec.image, values)
    if image.startswith("-") or not image or any(letter.isspace() for letter in image):
        raise ParameterError("a parameter would make an image's name that is none")
    if not spec.script:
        return [image, *(word for template in spec.words for word in words(template, values))]
    arguments: list[str] = []
    script = "".join(script_of(spec.words[0], values, arguments))
    return [image, "/bin/sh", "-c", script, "hub", *arguments]


def _sweep(runtime: str, setting: Setting) -> None:
    """Remove what an earlier attempt of this task run may have left, whose process and guard were both killed."""
    left = _asked(runtime, "ps", "-aq", "--filter", f"label=hub.task_run_id={setting.task_run_id}", setting=setting)
    for name in left.split():
        setting.log(WARNING, f"removes container {name} of an earlier attempt")
        _asked(runtime, "kill", name, setting=setting)
        _asked(runtime, "rm", "-f", name, setting=setting)
    # After their containers, which might write to them.
    for folder in Path(tempfile.gettempdir()).glob(f"{_folders(setting)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _asked(*argv: str, setting: Setting) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SHORT_S, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        setting.log(WARNING, f"{Path(argv[0]).name} {argv[1]} failed: {type(error).__name__}")
        return ""
    return done.stdout if done.returncode == 0 else ""
