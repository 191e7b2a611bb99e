"""Importing what strangers wrote: whatever they raise is a sentence, and one that hangs is left behind."""

from __future__ import annotations

import importlib
import threading
from types import ModuleType

IMPORT_LIMIT = 5.0
"""Seconds that the import of a stranger's module may take."""


def imported(name: str, *, guarded: bool) -> tuple[ModuleType | None, str]:
    """Import a plugin's module. A stranger's is imported beside us, so that one that hangs is left behind."""
    outcome: list[tuple[ModuleType | None, str]] = []

    def work() -> None:
        try:
            outcome.append((importlib.import_module(name), ""))
        except BaseException as error:  # noqa: BLE001 - SystemExit in a plugin must not end the hub
            outcome.append((None, sentence(error)))

    if not guarded:
        work()
        return outcome[0]
    thread = threading.Thread(target=work, name=f"import {name}", daemon=True)
    thread.start()
    thread.join(IMPORT_LIMIT)
    return outcome[0] if outcome else (None, f"its import did not end within {IMPORT_LIMIT:g} s")


def sentence(error: BaseException) -> str:
    """What was raised, by its type and the first line of what it says."""
    first = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {first}"[:300] if first else type(error).__name__
