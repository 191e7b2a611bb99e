"""The run that a command is about: named by its id, or by its name where one run only has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from hub.errors import NotFoundError, UsageError
from hub.types import ID_PATTERN, Id

if TYPE_CHECKING:
    from hub.client import Client

RunName: TypeAlias = Annotated[str, Parameter(help="The run's id or name.")]
CANDIDATES = 10
_ID = re.compile(ID_PATTERN)


def is_id(text: str) -> bool:
    """Whether this is an id rather than a name."""
    return _ID.match(text) is not None


def run_id(client: Client, named: str) -> Id:
    """The id of the run. Raises NotFoundError for a name that no run has, UsageError for one that several have."""
    if is_id(named):
        return named
    found = list(client.items("/runs", {"name": named}, limit=CANDIDATES + 1))
    if not found:
        raise NotFoundError(f"there is no run named {named!r}", hint="`hub runs ls` lists them.")
    if len(found) > 1:
        lines = [f"{run['id']}  {run['state_name']}, made {run['created_at']}" for run in found[:CANDIDATES]]
        more = [] if len(found) <= CANDIDATES else ["..."]
        raise UsageError(
            f"several runs are named {named!r}", hint="\n  ".join(["Say which by its id, newest first:", *lines, *more])
        )
    return str(found[0]["id"])
