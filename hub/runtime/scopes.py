"""What an actor may do: scopes are `<noun>:<verb>`, a role is a set of them.

`*` allows everything, `runs:*` everything about runs, `*:read` reading of everything. Of roles, a token and a
session alike it is true that nobody can give away more than they have.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from hub.types import Actor

ALL = frozenset({"*"})
_NOUNS = (
    "runs deployments queues events automations sources alerts channels links plugins cache results "
    "artifacts variables assets endpoints"
)
_SEE = frozenset(f"{noun}:read" for noun in _NOUNS.split())
_OPERATE = _SEE | {"runs:write", "queues:write", "alerts:write", "events:write"}
_MAKE = frozenset(
    f"{noun}:write"
    for noun in (
        "deployments",
        "automations",
        "sources",
        "channels",
        "secrets",
        "connections",
        "endpoints",
        "cache",
        "results",
        "artifacts",
        "variables",
    )
)
_DEVELOP = _OPERATE | _MAKE | {"secrets:read", "connections:read"}
_PEOPLE = {"users:read", "users:write", "tokens:read", "tokens:write"}
_ADMIN = _DEVELOP | {"links:write", "plugins:write", "audit:read"} | _PEOPLE

ROLES: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {"viewer": _SEE, "operator": _OPERATE, "developer": _DEVELOP, "admin": _ADMIN, "owner": ALL}
)
"""What each role may do."""


def allows(held: Iterable[str], needs: str) -> bool:
    """Whether somebody who holds these scopes may do what needs that one."""
    noun, _, verb = needs.partition(":")
    wanted = {needs, "*", f"{noun}:*", f"*:{verb}"}
    return not wanted.isdisjoint(held)


def both(some: Iterable[str], others: Iterable[str]) -> frozenset[str]:
    """What both sets of scopes allow: a token of an account can do no more than the account may at that time."""
    met = (_narrower(one, other) for one in some for other in others)
    return frozenset(scope for scope in met if scope)


def _narrower(one: str, other: str) -> str:
    parts = []
    for mine, theirs in zip(_parts(one), _parts(other), strict=True):
        if mine != theirs and "*" not in (mine, theirs):
            return ""
        parts.append(theirs if mine == "*" else mine)
    noun, verb = parts
    return "*" if noun == verb == "*" else f"{noun}:{verb}" if verb else noun


def _parts(scope: str) -> tuple[str, str]:
    noun, _, verb = scope.partition(":")
    return noun, "*" if scope == "*" else verb


def may_grant(actor: Actor, scope: str) -> bool:
    """Whether the actor may give that scope to somebody: only what they have themselves, patterns included."""
    noun, _, verb = scope.partition(":")
    if scope == "*":
        return "*" in actor.scopes
    if noun == "*":
        return not {"*", scope}.isdisjoint(actor.scopes)
    if verb == "*":
        return not {"*", scope}.isdisjoint(actor.scopes)
    return allows(actor.scopes, scope)
