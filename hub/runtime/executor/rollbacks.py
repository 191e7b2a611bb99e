"""The run that undoes what another one has staged and not committed: leased, recovered and tried again as any run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from hub.errors import RunError
from hub.runtime.executor.session import Session
from hub.runtime.executor.steps import Blocking, Life, drive
from hub.runtime.executor.texts import MESSAGE_CHARS, clean, describe
from hub.runtime.executor.transactions import ledger_of
from hub.runtime.executor.undoing import MAX_TRIES, NotCallable, undo
from hub.sdk.context import current
from hub.sdk.flows import Flow
from hub.store.transactions import ROLLBACK as ORIGIN
from hub.types import Id

__all__ = ["ORIGIN", "Again", "RollbackFailed", "flow_of"]
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0


class Again(RunError):
    """A step was not undone now; it is tried again after `retry_after` seconds."""

    code = "not-undone-yet"

    def __init__(self, name: str, tries: int, error: BaseException) -> None:
        super().__init__(
            f"{name} is not undone yet (try {tries} of {MAX_TRIES}): {describe(error)}",
            retry_after=min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE),
        )


class RollbackFailed(RunError):
    """Steps that cannot be undone."""

    code = "rollback-failed"


def flow_of(row: Mapping[str, Any]) -> tuple[Flow[..., Any], dict[str, Any]]:
    """The flow of a rollback's run."""
    owner = str(row["parameters"]["run_id"])

    def rollback() -> dict[str, int]:
        context = current.get()
        assert context is not None
        session: Session = context.session
        session.owner = owner
        undone: int = drive(_undo_all(session, owner))
        return {"undone": undone}

    return Flow(rollback, {"name": row["flow_name"] or "rollback", "give_up_on": (RollbackFailed,)}), {}


def _undo_all(session: Session, owner: Id) -> Life:
    ledger = ledger_of(session)
    rows = yield Blocking(lambda: ledger.begin_rollback(""))
    undone, failed = 0, 0
    for row in rows:
        error: BaseException | None
        if row["tries"] >= MAX_TRIES:  # the last of them took its process with it
            error = RollbackFailed(row["error"] or f"its hooks ended their process {row['tries']} times")
        else:
            error = yield from undo(session, ledger, row, tries=1)
        if error is None:
            undone += 1
        elif row["tries"] >= MAX_TRIES or isinstance(error, NotCallable):
            failed += 1
            told = clean(describe(error), MESSAGE_CHARS)
            yield Blocking(partial(ledger.give_up, row, told, session.info.run_id))
        else:
            raise Again(row["name"], row["tries"], error)
    lost: list[dict[str, Any]] = yield Blocking(ledger.lost)
    if lost:
        told = "; ".join(f"{row['name']}: {row['error']}" for row in lost[:5])
        raise RollbackFailed(
            f"{len(lost)} step{'s' if len(lost) > 1 else ''} could not be undone: {told}"[:MESSAGE_CHARS],
            hint=f"`hub runs restart {session.info.run_id}` tries again what `hub runs show {owner}` lists as failed.",
        )
    return undone
