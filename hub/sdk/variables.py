"""Small values by name that people and runs may change: `hub.variables.get("batch_size", default=100)`.

Never for secrets: a variable is shown to whoever may read variables. `hub secrets` keeps those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hub.sdk import port

MISSING: Any = object()
"""As a default: none was given."""


def get(name: str, default: Any = MISSING) -> Any:
    """The value of a variable. Without a default, one that nobody has set raises NotFoundError."""
    return port.runtime().get_variable(name, default)


def set(name: str, value: Any, *, tags: Iterable[str] = (), overwrite: bool = False) -> None:
    """Set a variable to a JSON value of up to 64 KiB. One that is set raises ConflictError, unless `overwrite`.

    A step of a run that is replayed sets it once, so that it does not undo what came later. Raises UsageError for
    what is no JSON or too large.
    """
    port.runtime().set_variable(name, value, tuple(tags), overwrite)


def unset(name: str) -> bool:
    """Remove a variable; False when there was none."""
    return bool(port.runtime().unset_variable(name))
