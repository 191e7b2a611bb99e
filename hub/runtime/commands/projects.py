"""Operations on projects: what belongs to one. What `hub apply` makes is claimed where it is made."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.store import projects
from hub.store.base import Tx
from hub.types import ID_PATTERN

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class ReleaseItem(BaseModel):
    """Something that belongs to the project, the command's target, and shall belong to nobody."""

    model_config = ConfigDict(extra="forbid")
    section: str = Field(min_length=1, max_length=40)
    name: str = Field(min_length=1, max_length=128)


class ClaimItem(ReleaseItem):
    """Something that is there and shall belong to the project; `refs` say where its secrets come from."""

    item_id: str = Field(pattern=ID_PATTERN)
    refs: dict[str, dict[str, str]] = Field(default_factory=dict)


def claim(tx: Tx, command: Command, args: ClaimItem) -> dict[str, Any]:
    """Let it belong to the project, whosesoever it was."""
    projects.claim(tx, command.scope, command.target, args.section, args.name, args.item_id, args.refs)
    return {"id": args.item_id, "name": args.name}


def release(tx: Tx, command: Command, args: ReleaseItem) -> dict[str, Any]:
    """Let it belong to nobody, if it belongs to the project."""
    owned = projects.find(tx, command.scope, args.section, args.name)
    if owned is not None and owned["project"] == command.target:
        projects.forget(tx, command.scope, args.section, args.name)
    return {"name": args.name}


OPS = (
    Op("project.claim", ClaimItem, claim, "deployments:write"),
    Op("project.release", ReleaseItem, release, "deployments:write"),
)
