"""What an action is: a task that a plugin offers by a name, with a sentence that says what it does.

A plugin gives its actions by the hook `hub_actions`. Each is known as `PLUGIN.NAME`, so no two plugins clash; flows
import and call its task as any other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from hub.sdk.tasks import Task

Effect: TypeAlias = Literal["none", "once", "again"]
"""What one more try with the same idempotency key does: it only reads; nothing more; it may do it again."""
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a plugin can do. What `task` takes and gives must be JSON or have type hints that make it so."""

    name: str
    """Within its plugin, such as `create_issue`."""
    task: Task[..., Any]
    """A function with `@task`, at the top level of a module."""
    summary: str
    """One sentence."""
    effect: Effect | None = None
    """What one more try does; None: nobody has said."""
