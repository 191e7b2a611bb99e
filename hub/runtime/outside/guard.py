"""Ends a program together with its process group, also when the process that wanted it is killed.

The guard is a small shell of its own session that waits on a pipe. When the pipe closes without the word "done", be
it because its owner asked for that or because its owner was killed, it ends the group: SIGTERM, a grace, SIGKILL.
The program itself waits for a line on its standard input before it begins, and gets it when the guard knows its
group; so there is no moment at which a kill leaves it behind.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

_GUARD = """
read -r group || group=
if [ -n "$group" ]; then
  read -r word && [ "$word" = done ] && exit 0
  kill -s TERM -- "-$group" 2>/dev/null
  left=$1
  while [ "$left" -gt 0 ] && kill -s 0 -- "-$group" 2>/dev/null; do sleep 0.1; left=$((left - 1)); done
  kill -s KILL -- "-$group" 2>/dev/null
fi
[ -z "$2" ] || rm -rf -- "$2"
shift 2
[ $# -eq 0 ] || "$@"
exit 0
"""
_GATE = "read -r _ || exit 125\n"


def gated(script: str) -> str:
    """A shell script that begins when its standard input has given a line; what follows there is left for it."""
    return _GATE + script


class Guard:
    """Stands by while a program runs. `folder` is removed and `also` executed when the program is ended by it."""

    def __init__(self, *, grace: float, folder: str | None = None, also: Sequence[str] = ()) -> None:
        self._grace = grace
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "hub-guard", str(int(grace * 10)), folder or "", *also],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def watch(self, program: subprocess.Popen[Any]) -> None:
        """Note the group that the program leads."""
        self._say(f"{program.pid}\n")

    def dismiss(self) -> None:
        """The program has ended by itself."""
        with contextlib.suppress(BrokenPipeError):
            self._say("done\n")
        self.end()

    def end(self, program: subprocess.Popen[Any] | None = None) -> None:
        """End the program's group, if it has not ended; again is nothing."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            pipe.close()
        end = time.monotonic() + self._grace + 30
        while self._process.poll() is None and time.monotonic() < end:
            if program is not None:
                program.poll()  # as long as nobody has asked how it ended, its group seems to live
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.05)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), text.encode())
