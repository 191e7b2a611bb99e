"""Operations on alerts that need no plugin: asking for one, from a flow or a script."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from hub.runtime.commands.apply import Command
from hub.runtime.commands.registry import Op
from hub.sdk.alerting import BY_DEFAULT, MAX_LABELS, MAX_TARGET, MAX_TARGETS, On, Severity
from hub.store import effects
from hub.store.base import Tx

KIND = "alert"
"""Of the effects that are carried out by `hub.runtime.alerting`."""
Targets = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=MAX_TARGET, pattern=r"^[^\x00,]*$")]],
    Field(max_length=MAX_TARGETS),
]


class RunAlerts(BaseModel):
    """Which alerts runs raise (`on`), and who gets them (`to`: channels or `tag:NAME`; none: the routes decide)."""

    model_config = ConfigDict(extra="forbid")
    to: Targets = []
    on: list[On] = Field(default=list(BY_DEFAULT), max_length=20)
    severity: Severity | None = None

    def stored(self) -> dict[str, Any]:
        """What differs from the defaults, as deployments and runs keep it."""
        return self.model_dump(mode="json", exclude_defaults=True)


class AskAlert(BaseModel):
    """An alert that code asks for, or (`resolve`) declares to be over. `about` is its identity."""

    model_config = ConfigDict(extra="forbid")
    about: str = Field(min_length=1, max_length=200)
    title: str = Field("", max_length=1000)
    body: str = Field("", max_length=100_000)
    severity: Severity = "error"
    labels: dict[str, str] = Field(default={}, max_length=MAX_LABELS)
    to: Targets = []
    run_id: str | None = Field(None, max_length=36)
    task: str = Field("", max_length=200)
    resolve: bool = False


def ask(tx: Tx, command: Command, args: AskAlert) -> dict[str, Any]:
    """Note that somebody is to be told; whoever has the plugin of alerts does so. The same command does it once."""
    effects.add(tx, command.scope, KIND, command.id, args.model_dump(mode="json"))
    return {"id": command.id}


OPS = (Op("alert.ask", AskAlert, ask, "alerts:write", frozenset({"body", "labels"})),)
