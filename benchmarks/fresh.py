"""How long fresh processes of a command take."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence


def seconds(command: Sequence[str], times: int, *, env: Mapping[str, str] | None = None) -> list[float]:
    """One figure for each of so many processes; a first one, which finds nothing in the page cache, does not count.

    What they print is read: to wait for a process with a timeout and without its output means to look whether it has
    ended every 50 ms, which made every figure a multiple of that.
    """
    found = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60, env={**os.environ, **(env or {})})
        found.append(time.perf_counter() - began)
    return found[1:]
