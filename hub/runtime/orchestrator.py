"""get -> decide -> commit: the only code that changes the state of a flow run."""

from __future__ import annotations

from typing import Any

from hub.engine.rules import decide
from hub.engine.run import Refusal, Signal, Transition
from hub.errors import ConflictError, ContentionError, NotFoundError
from hub.store import runs
from hub.store.base import Store, Tx
from hub.types import Id, Scope

_TRIES = 3


def handle(
    store: Store, scope: Scope, run_id: Id, signal: Signal, *, lease_s: float = 30, **columns: Any
) -> Transition:
    """Do what `signal` means for the run, in a transaction of its own.

    Raises NotFoundError, ConflictError (the rules refuse; `code` says why) or ContentionError.
    """
    for _ in range(_TRIES):
        with store.write() as tx:
            transition = attempt(tx, scope, run_id, signal, lease_s=lease_s, **columns)
        if transition is not None:
            return transition
    raise ContentionError(f"run {run_id} was changed by others three times in a row", hint="Try again.")


def attempt(
    tx: Tx, scope: Scope, run_id: Id, signal: Signal, *, lease_s: float = 30, **columns: Any
) -> Transition | None:
    """The same within the caller's transaction; None when somebody was faster (the caller tries again)."""
    run = runs.get(tx, scope, run_id)
    if run is None:
        raise NotFoundError(f"there is no run {run_id} in this workspace", hint="`hub runs ls` lists them.")
    answer = decide(run, signal, now=tx.now)
    if isinstance(answer, Refusal):
        raise ConflictError(answer.reason, code=answer.code, state=answer.state.value)
    return answer if runs.commit(tx, scope, answer, lease_s=lease_s, **columns) else None
