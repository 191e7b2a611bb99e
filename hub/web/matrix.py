"""Who may ask which route: every route says it, and this makes one table of them all.

Operations of the API and pages of the dashboard say it by the scope they need. What is neither (the door, health,
the sync endpoints) is a `Declared` route. A route that says nothing is shown as such: it is a plugin's own affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute, Mount, Route

from hub.runtime.scopes import ROLES, allows

LOCAL_ONLY = "owner:write"
"""What no token and no session allows: only this machine's own commands, through the socket or on its store."""
SITE = "site"
"""What the sync endpoints need: the token of a site, and of that site only its own things."""
SHARED = ("/api/v1/plugins/", "/api/v1/presets/", "/api/v1/channels/schemes/", "/ui/plugins/")
"""Beginnings of paths that name things of the whole installation, the same for every workspace."""


@dataclass(frozen=True, slots=True)
class Access:
    """`needs`: a scope; "": somebody who is known; `SITE`; None: anybody, and `trusts` says what makes that safe.

    `page`: whoever is not known is led to the login instead of being refused.
    """

    needs: str | None
    trusts: str = ""
    page: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A method of a route. `access` None: the route does not say who may ask it."""

    method: str
    path: str
    access: Access | None


class Declared(Route):
    """A route that says, for each of its methods, who may ask it."""

    def __init__(self, path: str, endpoint: Callable[..., Any], access: Access | Mapping[str, Access], **more: Any):
        super().__init__(path, endpoint, **more)
        each = access if isinstance(access, Mapping) else dict.fromkeys(self.methods or {"*"}, access)
        self.access = dict(each)


def entries(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[Entry]:
    """Every method of every route; HEAD is asked for as GET is. A route that takes any method has `*`."""
    for route in routes:
        if isinstance(route, Mount):
            yield from entries(route.routes, prefix + route.path)
        elif isinstance(route, Declared):
            for method in sorted(set(route.access) - {"HEAD"}):
                yield Entry(method, prefix + route.path, route.access[method])
        else:
            methods = getattr(route, "methods", None) or {"*"}
            for method in sorted(set(methods) - {"HEAD"}):
                yield Entry(method, prefix + str(getattr(route, "path", "?")), None)


NOBODY, BAD, STRANGER = "nobody", "a bad token", "another workspace"
ASKERS = (NOBODY, BAD, *ROLES, "a site's token", STRANGER)
"""The columns. A bad token is one that is unknown, expired, revoked or of an account that is switched off."""
YES, LOGIN, OWN = "yes", "login", "own"


def answer(entry: Entry, asker: str) -> str:
    """How a route meets an asker: `yes`, a status of refusal, `login` (is led to it), `own` (sees only their own)."""
    access = entry.access
    if access is None:
        return "?"
    if access.needs is None:
        return YES
    if access.needs == SITE:
        return {"a site's token": OWN}.get(asker, "401")
    if asker in (NOBODY, BAD, "a site's token"):
        return LOGIN if access.page else "401"
    if access.needs == LOCAL_ONLY:
        return "403"
    if asker == STRANGER:
        return _to_a_stranger(entry)
    return YES if not access.needs or allows(ROLES[asker], access.needs) else "403"


def table(routes: Iterable[BaseRoute]) -> str:
    """The whole as a Markdown table, for the manual."""
    found = sorted(entries(routes), key=lambda one: (one.path, one.method))
    rows = [f"| route | needs | {' | '.join(ASKERS)} |", "|" + "---|" * (len(ASKERS) + 2)]
    for entry in found:
        answers = " | ".join(answer(entry, asker) for asker in ASKERS)
        rows.append(f"| `{entry.method} {entry.path}` | {_needs(entry)} | {answers} |")
    return "\n".join(rows) + "\n"


def _needs(entry: Entry) -> str:
    if entry.access is None:
        return "(not said)"
    if entry.access.needs is None:
        return entry.access.trusts
    return f"`{entry.access.needs}`" if entry.access.needs else "to be known"


def _to_a_stranger(entry: Entry) -> str:
    """What somebody of another workspace meets who may do everything there."""
    if entry.path.startswith(SHARED):
        return YES if entry.method == "GET" else "403"
    # What is put under a name, and what is declared in a project, is each workspace's own.
    named = "{" in entry.path and entry.method != "PUT" and not entry.path.startswith("/api/v1/projects/")
    return "404" if named else OWN
