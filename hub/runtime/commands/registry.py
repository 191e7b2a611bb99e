"""Which operations there are: a name, the shape of its arguments, the scope it needs, and what carries it out."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel
from sqlalchemy import Table

from hub.errors import UsageError
from hub.store.base import Tx

if TYPE_CHECKING:
    from hub.runtime.commands.apply import Command

Handler: TypeAlias = Callable[[Tx, "Command", Any], dict[str, Any]]
"""(open transaction, command, checked arguments) -> the outcome's result. Raises HubError to refuse."""


@dataclass(frozen=True, slots=True)
class Op:
    """One operation. `needs` is the scope an actor must hold; `secret` args are left out of the audit row.

    `watches` is the table of what it changes: the audit row then says how the target's row was before and is after.
    """

    name: str
    args: type[BaseModel]
    handler: Handler
    needs: str
    secret: frozenset[str] = frozenset()
    watches: Table | None = None


_HOMES = {
    "action": "actions",
    "run": "runs",
    "deployment": "deployments",
    "schedule": "schedules",
    "queue": "queues",
    "limit": "limits",
    "source": "sources",
    "receipt": "receipts",
    "bookmark": "bookmarks",
    "automation": "automations",
    "event": "events",
    "alert": "alerts",
    "secret": "secrets",
    "connection": "connections",
    "endpoint": "endpoints",
    "cache": "cache",
    "result": "results",
    "artifact": "artifacts",
    "variable": "variables",
    "plugin": "plugins",
    "project": "projects",
    "user": "accounts",
    "invitation": "invitations",
    "token": "identity",
    "login": "logins",
}
"""The module that holds the operations of a noun; plugins register theirs through the hook `hub_commands`."""
_ops: dict[str, Op] = {}
log = logging.getLogger("hub.commands")


def register(*ops: Op) -> None:
    """Add operations; the same name twice is refused."""
    for op in ops:
        if op.name in _ops and _ops[op.name] is not op:
            raise ValueError(f"operation {op.name} is registered twice")
        _ops[op.name] = op


def register_given(ops: Iterable[object]) -> None:
    """Add what plugins gave; what is not an operation, or takes another's name, is left out and logged."""
    for op in ops:
        try:
            if not isinstance(op, Op):
                raise ValueError(f"{type(op).__name__} is not an operation")
            register(op)
        except ValueError as error:
            log.warning("a plugin's operation is left out: %s", error)


def find(name: str) -> Op:
    """The operation of that name. Raises UsageError (code unsupported) when there is none."""
    if name not in _ops:
        _load(_HOMES.get(name.partition(".")[0]))
    if name not in _ops:
        raise UsageError(f"this hub knows no operation {name!r}", code="unsupported")
    return _ops[name]


def names() -> list[str]:
    """Every operation's name."""
    for module in dict.fromkeys(_HOMES.values()):
        _load(module)
    return sorted(_ops)


def _load(module: str | None) -> None:
    if module is not None:
        register(*importlib.import_module(f"hub.runtime.commands.{module}").OPS)
