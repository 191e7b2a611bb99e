"""Who did something, by the name that people know."""

from __future__ import annotations

from hub.store.base import Tx
from hub.store.tables import User
from hub.types import Scope
from hub.web.ui import queries
from hub.web.ui.view import View

USERS = User.__table__


def reader(view: View) -> str:
    """The name of the user who asks; empty where nobody is signed in by a name."""
    actor = view.scope.actor
    if actor.kind != "user":
        return ""
    with view.store.read() as tx:
        return queries.names(tx, view.scope, USERS, [actor.id]).get(actor.id, "")


def called(tx: Tx, scope: Scope, actor: str) -> str:
    """What an event's actor is called; empty for the hub itself."""
    kind, _, name = actor.partition(":")
    if kind == "user":
        return queries.names(tx, scope, USERS, [name]).get(name, "a former user")
    return "" if kind == "system" else actor.replace(":", " ", 1)
