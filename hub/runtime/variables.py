"""Variables for code that runs: read, and changed by commands that a replayed step sends once."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from hub.errors import NotFoundError, UsageError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.variables import as_json
from hub.sdk.context import RunContext
from hub.sdk.variables import MISSING
from hub.store import variables
from hub.store.base import Store
from hub.types import Id, Scope, derived_id, new_id


def get(store: Store | None, scope: Scope, name: str, default: Any) -> Any:
    """The value of a variable, else the default."""
    found = None
    if store is not None:
        with store.read() as tx:
            found = variables.find(tx, scope, name)
    elif default is MISSING:
        raise _no_store()
    if found is not None:
        return found["value"]
    if default is MISSING:
        raise NotFoundError(
            f"there is no variable {name!r}", hint=f"Set it: hub variables set {name} VALUE. Or give a default."
        )
    return default


def set_(
    store: Store | None, scope: Scope, context: RunContext | None, name: str, value: Any, tags: tuple[str, ...],
    *, overwrite: bool,
) -> None:  # fmt: skip
    """Set a variable."""
    if store is None:
        raise _no_store()
    args = {"name": name, "value": as_json(name, value), "tags": list(tags), "overwrite": overwrite}
    # Another value is another command, unless it is to be the first one there.
    wanted = json.dumps([args["value"], args["tags"]], sort_keys=True) if overwrite else ""
    apply(store, Command("variable.set", scope, name, args, id=_once(context, "set", name, wanted), via="system"))


def unset(store: Store | None, scope: Scope, context: RunContext | None, name: str) -> bool:
    """Remove a variable; False when there was none."""
    if store is None:
        raise _no_store()
    try:
        apply(store, Command("variable.unset", scope, name, id=_once(context, "unset", name), via="system"))
    except NotFoundError:
        return False
    return True


def _once(context: RunContext | None, verb: str, name: str, wanted: str = "") -> Id:
    """The command of this call: the same when its step is replayed, so that it does not undo what came after it."""
    if context is None:
        return new_id()
    if context.made is None:
        context.made = {}
    number = next(context.made.setdefault(f"variable:{verb}:{name}", count()))
    return derived_id(context.flow.run_id, "variable", context.step, verb, name, str(number), wanted)


def _no_store() -> UsageError:
    return UsageError(
        "variables need the hub's store: HUB_JOURNAL=off, or a task was called outside a flow",
        hint="Unset HUB_JOURNAL; `get` also takes a default.",
    )
