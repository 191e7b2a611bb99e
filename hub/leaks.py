"""What a stranger's code leaves behind in this process: threads, and handlers that listen to everybody's log."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Look:
    """What there was before."""

    threads: frozenset[int]
    handlers: tuple[logging.Handler, ...]


def look() -> Look:
    """See what there is."""
    return Look(frozenset(map(id, threading.enumerate())), tuple(logging.getLogger().handlers))


def clear_up(before: Look) -> str:
    """Take away what can be taken away, and say what there is more than before; empty when nothing is.

    A handler of the root logger would see the lines of the hub and of every plugin. A thread cannot be ended.
    """
    root = logging.getLogger()
    handlers = [handler for handler in root.handlers if handler not in before.handlers]
    for handler in handlers:
        root.removeHandler(handler)
    threads = [one.name for one in threading.enumerate() if id(one) not in before.threads]
    found = [f"the thread {name[:60]}" for name in threads[:MOST_NAMED]]
    if len(threads) > MOST_NAMED:
        found.append(f"{len(threads) - MOST_NAMED} more threads")
    found += [f"{type(handler).__name__} on the root logger, which was taken off" for handler in handlers[:MOST_NAMED]]
    return ", ".join(found)
