"""How a program's end becomes a value or an error."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.errors import ProgramFailed
from hub.runtime.outside import programs
from hub.runtime.outside.programs import Ended
from hub.sdk.outside.shells import Program

KEEPS = {"text": "all", "lines": "all", "json": "all", "last_json_line": "last"}
_FILES = ("text_file", "json_file")
_OUR_KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
"""Signals that say something about the machine rather than about the program."""


@contextmanager
def output_file(program: Program) -> Iterator[Path | None]:
    """The place of `$HUB_OUTPUT`, in a folder of its own; None when the output is taken from elsewhere."""
    if program.output not in _FILES:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="hub-output-")
    try:
        yield Path(folder) / "output"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def value_of(program: Program, ended: Ended, file: Path | None, *, script: bool) -> Any:
    """What the task gives. Raises ProgramFailed."""
    if ended.code != 0:
        raise failure(program, ended, script=script)
    data = ended.output if file is None else _written(file, program.max_output)
    if program.output == "none":
        return None
    if program.output in ("json", "json_file"):
        return _json(data, "its output" if file is None else "what it wrote into $HUB_OUTPUT")
    if program.output == "last_json_line":
        lines = data.split(b"\n")
        return _json(next((line for line in reversed(lines) if line.strip()), b""), "the last line of its output")
    text = data.decode("utf-8", "replace").replace("\0", "\ufffd")
    if program.output == "lines":
        return text.splitlines()
    return text if file is not None else text.removesuffix("\n").removesuffix("\r")


def too_much(program: Program) -> ProgramFailed:
    """What is raised when it wrote more than may be kept."""
    return ProgramFailed(
        f"its output is larger than {program.max_output} bytes; it was ended",
        hint="Raise max_output, or have it write a file and give its name.",
    )


def failure(program: Program, ended: Ended, *, script: bool) -> ProgramFailed:
    """The error of an exit code that is not 0."""
    number = -ended.code if ended.code < 0 else ended.code - 128 if script and 128 < ended.code <= 128 + 64 else 0
    if ended.code < 0:
        what = f"it was killed by {programs.signal_name(number)}"
    elif number:
        what = f"exit code {ended.code}: a program in it was killed by {programs.signal_name(number)}"
    else:
        what = f"exit code {ended.code}" + (" (command not found)" if script and ended.code == 127 else "")
    known = dict(program.exit_classes)
    fallback = "infrastructure" if number in _OUR_KILLS else "user_error"
    lines = programs.told(ended.tail)
    return ProgramFailed(
        f"{what}\n{lines}" if lines else what, returncode=ended.code, stderr=lines,
        error_class=known.get(ended.code, fallback),
    )  # fmt: skip


def _written(file: Path, limit: int) -> bytes:
    try:
        # A program may have put a link or a pipe there.
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        what = "it did not write $HUB_OUTPUT" if isinstance(error, FileNotFoundError) else "$HUB_OUTPUT cannot be read"
        raise ProgramFailed(what, hint="output='..._file' takes the result from that file.") from None
    if len(data) > limit:
        raise ProgramFailed(f"what it wrote into $HUB_OUTPUT is larger than {limit} bytes", hint="Raise max_output.")
    return data


def _json(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        told = f"{where} is not JSON: {error}" if data.strip() else f"{where} is empty, which is no JSON"
        raise ProgramFailed(told) from None
