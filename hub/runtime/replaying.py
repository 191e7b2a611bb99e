"""Letting many kept requests happen again, each once for a request id, however often they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import HubError, UnavailableError
from hub.runtime.commands import Command, apply
from hub.runtime.commands.apply import Via
from hub.runtime.commands.receipts import once
from hub.store.base import Store
from hub.types import Id, Scope


@dataclass(frozen=True, slots=True)
class ReplayedOne:
    """What became of one: `id` is the new receipt, None with a `problem`. `repeated`: it was there already."""

    replay_of: Id
    id: Id | None = None
    repeated: bool = False
    problem: str | None = None


def replay_all(
    store: Store, scope: Scope, receipts: Sequence[Id], request: Id, *, unverified: bool = False, via: Via = "api"
) -> list[ReplayedOne]:
    """Replay receipts in the order given. One that cannot be does not hold up the others; UnavailableError does."""
    return [_replay(store, scope, one, request, unverified=unverified, via=via) for one in receipts]


def _replay(store: Store, scope: Scope, receipt_id: Id, request: Id, *, unverified: bool, via: Via) -> ReplayedOne:
    args = {"unverified": unverified, "request": request}
    command_id = once(scope.workspace_id, receipt_id, request)
    try:
        outcome = apply(store, Command("receipt.replay", scope, receipt_id, args, id=command_id, via=via))
    except UnavailableError:
        raise
    except HubError as error:
        return ReplayedOne(receipt_id, problem=error.detail)
    return ReplayedOne(receipt_id, outcome.result["id"], outcome.repeated or outcome.result["repeated"])
