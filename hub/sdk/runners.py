"""Where the submitted tasks of a flow execute: `@flow(task_runner=...)`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TypeAlias

from hub.errors import UsageError


@dataclass(frozen=True, slots=True)
class ThreadPoolTaskRunner:
    """Threads of the flow's own process, at most `max_workers`; what a flow has without any (16)."""

    max_workers: int = 16

    def __post_init__(self) -> None:
        _whole("max_workers", self.max_workers, 512)


@dataclass(frozen=True, slots=True)
class ProcessPoolTaskRunner:
    """Processes beside the flow's own, at most `max_workers` (the machine's cores), for tasks that compute.

    Tasks stand at the top level of a file; arguments and results are pickled. Coroutines stay in the flow's process.
    What a task prints is not captured, and `runtime_context()` is None there.
    """

    max_workers: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        _whole("max_workers", self.max_workers, 512)


@dataclass(frozen=True, slots=True)
class CeleryTaskRunner:
    """All workers that serve `queue`: `submit` and `map` send calls there in chunks, each a run of its own.

    `chunk`: so many calls in one (None: a sixty-fourth of a map, at most 500). `threads`: so many calls of a chunk at
    once on its worker; coroutines all at once. Tasks stand at the top level of a file that workers have at the same
    place; their arguments and results travel as their `result_serializer` says (JSON).
    """

    queue: str = "default"
    chunk: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.queue, str) or not 0 < len(self.queue) <= 63 or not self.queue.isprintable():
            raise UsageError(f"queue={self.queue!r} is not the name of a queue")
        if self.chunk is not None:
            _whole("chunk", self.chunk, 10_000)
        _whole("threads", self.threads, 512)

    def size(self, calls: int) -> int:
        """How many of so many calls go into one chunk; the same in every attempt."""
        return self.chunk or max(1, min(500, -(-calls // 64)))


TaskRunner: TypeAlias = ThreadPoolTaskRunner | ProcessPoolTaskRunner | CeleryTaskRunner


def _whole(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise UsageError(f"{name}={value!r} is not a whole number from 1 to {most}")
