"""The sections `secrets`, `variables`, `limits` and `queues`: small things by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import Field, model_validator
from sqlalchemy import Table, select

from hub.errors import HubError
from hub.runtime.commands import variables as commands
from hub.runtime.commands.limits import NAME as LIMIT_NAME
from hub.runtime.commands.secrets import NAME as SECRET_NAME
from hub.runtime.definitions.section import Definition, Found, Secret, Section, Step, Wanted, refusal
from hub.store import catalog, limits, secrets, variables
from hub.store.base import Tx
from hub.types import SECOND, Scope


def rows(tx: Tx, scope: Scope, table: Table, names: Collection[str] | None) -> Iterator[Mapping[str, Any]]:
    """The rows of a table of named things."""
    query = select(table).where(table.c.workspace_id == scope.workspace_id)
    if names is not None:
        query = query.where(table.c.name.in_(list(names)))
    for row in tx.conn.execute(query.order_by(table.c.name)).mappings():
        yield dict(row)


def as_written(definition: Definition, _found: Found | None) -> dict[str, Any]:
    """Of what has neither switches nor anything that depends on others."""
    return definition.model_dump(mode="json")


class StoredSecret(Definition):
    """A secret that the hub keeps, for flows, channels and other sections: `{secret: NAME}`."""

    value: Secret = Field(description="where its value comes from: {env: NAME} or {file: PATH}")

    @model_validator(mode="after")
    def _comes_from_outside(self) -> StoredSecret:
        if self.value.secret is not None:
            raise ValueError("a stored secret comes from outside: write {env: NAME} or {file: PATH}")
        return self


def _read_secrets(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    return {
        row["name"]: Found(row["id"], {}, {"value": (secrets.reveal(tx, scope, row["name"]),)})
        for row in rows(tx, scope, secrets.TABLE, names)
    }


def _secret_steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    yield Step("secret.set", wanted.name, {"name": wanted.name, **wanted.secrets})


SECRETS = Section(
    "secrets", "Secrets that the hub keeps.", StoredSecret, "secrets", 10,
    complete=lambda _definition, _found: {}, read=_read_secrets, steps=_secret_steps, remove="secret.delete",
    names=SECRET_NAME, secrets=lambda definition: {"value": definition.value},
)  # fmt: skip


class VariableDefinition(Definition):
    """A value that flows read. It is no place for secrets."""

    value: Any = Field(description="any JSON value of up to 64 KiB")
    tags: list[commands.Tag] = Field(default_factory=list, max_length=50)


def _complete_variable(definition: VariableDefinition, _found: Found | None) -> dict[str, Any]:
    return {"value": definition.value, "tags": list(dict.fromkeys(definition.tags))}


def _read_variables(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    found = rows(tx, scope, variables.TABLE, names)
    return {row["name"]: Found(row["id"], {"value": row["value"], "tags": row["tags"]}) for row in found}


def _variable_steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    yield Step("variable.set", wanted.name, {"name": wanted.name, **wanted.values, "overwrite": True})


def _check_variable(name: str, definition: VariableDefinition) -> Iterator[HubError]:
    yield from refusal("value", commands.as_json, name, definition.value)


VARIABLES = Section(
    "variables", "Small values that flows read.", VariableDefinition, "variables", 30,
    complete=_complete_variable, read=_read_variables, steps=_variable_steps, remove="variable.unset",
    names=commands.NAME, check=_check_variable,
)  # fmt: skip


class LimitDefinition(Definition):
    """A limit that flows and tasks share: `slots` at once, `rate` in `period_s` seconds, or both. Slots 0: closed."""

    slots: int | None = Field(None, ge=0, le=100_000)
    rate: int | None = Field(None, ge=1, le=10_000)
    period_s: float = Field(1.0, ge=0.001, le=31 * 86_400, allow_inf_nan=False)

    @model_validator(mode="after")
    def _limits_something(self) -> LimitDefinition:
        if self.slots is None and self.rate is None:
            raise ValueError("a limit has `slots`, a `rate`, or both")
        return self


def _complete_limit(definition: LimitDefinition, _found: Found | None) -> dict[str, Any]:
    period = int(definition.period_s * SECOND) / SECOND if definition.rate is not None else 1.0
    return {"slots": definition.slots, "rate": definition.rate, "period_s": period}


def _read_limits(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    found = {}
    for row in rows(tx, scope, limits.TABLE, names):
        period = row["period_us"] / SECOND if row["rate"] is not None else 1.0
        found[row["name"]] = Found(row["id"], {"slots": row["slots"], "rate": row["rate"], "period_s": period})
    return found


def _limit_steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    yield Step("limit.set", wanted.name, {"name": wanted.name, **wanted.values})


LIMITS = Section(
    "limits", "Limits that flows and tasks share.", LimitDefinition, "queues", 35,
    complete=_complete_limit, read=_read_limits, steps=_limit_steps, remove="limit.delete", names=LIMIT_NAME,
)  # fmt: skip


class QueueDefinition(Definition):
    """A work queue. `paused`: left out, it stays as it is."""

    priority: int = Field(1, ge=0, le=1000, description="a lower number is served first")
    slots: int | None = Field(None, ge=0, le=100_000, description="none: no limit beside the workers' own")
    paused: bool | None = None


def _complete_queue(definition: QueueDefinition, found: Found | None) -> dict[str, Any]:
    paused = definition.paused if definition.paused is not None else found is not None and found.values["paused"]
    return {"priority": definition.priority, "slots": definition.slots, "paused": paused}


def _read_queues(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    found = rows(tx, scope, catalog.QUEUES, names)
    return {
        row["name"]: Found(row["id"], {name: row[name] for name in ("priority", "slots", "paused")}) for row in found
    }


def _queue_steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    yield Step("queue.set", wanted.name, {"name": wanted.name, **wanted.values})


QUEUES = Section(
    "queues", "Work queues.", QueueDefinition, "queues", 40,
    complete=_complete_queue, read=_read_queues, steps=_queue_steps, names=r"^[a-z0-9][a-z0-9-]{0,62}$",
    everywhere=("default", {"priority": 1, "slots": None, "paused": False}),
)  # fmt: skip
