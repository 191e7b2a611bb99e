"""The section `connections`: services that flows, result stores and sources reach by name."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from hub.connections import NAME, RESERVED
from hub.errors import HubError, UsageError
from hub.runtime.commands.connections import MAX_FIELDS
from hub.runtime.connections import kind_named, kinds
from hub.runtime.definitions.section import Definition, Found, Secret, Section, Step, Wanted, refusal
from hub.runtime.definitions.values import rows
from hub.secretfields import split
from hub.store import connections as stored
from hub.store.base import Tx
from hub.types import Scope

_SECRET = TypeAdapter(Secret)


class ConnectionDefinition(Definition):
    """A service by name. Which fields its kind has, and which of them are secret, `hub connections kinds` says."""

    kind: str = Field(min_length=1, max_length=40)
    fields: dict[str, Any] = Field(
        default_factory=dict, max_length=MAX_FIELDS, description="settings of the kind; secret ones as {env: NAME}"
    )


def secrets(definition: ConnectionDefinition) -> dict[str, Secret]:
    """The secret fields that are given."""
    kind = kinds().get(definition.kind)
    hidden = kind.secrets() if kind is not None else frozenset()
    return {
        f"fields.{name}": found for name in hidden if (found := _reference(definition.fields.get(name))) is not None
    }


def _reference(given: Any) -> Secret | None:
    try:
        return _SECRET.validate_python(given, context={"resolved": True})
    except ValidationError:
        return None


def complete(definition: ConnectionDefinition, found: Found | None) -> dict[str, Any]:
    """Every setting that is not secret, those of the kind filled in. Secret ones are told by their names."""
    kind = kind_named(definition.kind)
    hidden = kind.secrets() & definition.fields.keys()
    plain = {name: value for name, value in definition.fields.items() if name not in hidden}
    with contextlib.suppress(UsageError):  # `check` tells what is wrong, as far as that can be told without secrets
        plain, _ = split(kind.parse({**plain, **_values(definition, hidden, found)}))
    return {"kind": kind.name, "fields": plain, "secret_fields": sorted(hidden)}


def _values(definition: ConnectionDefinition, hidden: Collection[str], found: Found | None) -> dict[str, str]:
    """Secrets that a kind may look at: those that were looked up, or those that are there."""
    held = found.secrets if found is not None else {}
    values = {}
    for name in hidden:
        given = _reference(definition.fields[name])
        if given is not None and given.value is not None:
            values[name] = given.value.get_secret_value()
        else:
            values[name] = held.get(f"fields.{name}", ("x" * 8,))[0]
    return values


def read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    """The connections that are there."""
    found = {}
    for row in rows(tx, scope, stored.TABLE, names):
        opened = {f"fields.{name}": (value,) for name, value in stored.secrets_of(tx, row).items()}
        values = {"kind": row["kind"], "fields": row["fields"], "secret_fields": sorted(row["secret_fields"])}
        found[row["name"]] = Found(row["id"], values, opened)
    return found


def steps(wanted: Wanted, _found: Found | None, _changed: frozenset[str]) -> Iterator[Step]:
    """The one command, with the secrets in their places."""
    given = {place.removeprefix("fields."): value for place, value in wanted.secrets.items()}
    fields = {**wanted.values["fields"], **given}
    yield Step(
        "connection.set", wanted.name,
        {"name": wanted.name, "kind": wanted.values["kind"], "fields": fields, "replace": True},
    )  # fmt: skip


def check(name: str, definition: ConnectionDefinition) -> Iterator[HubError]:
    """What its kind would refuse."""
    if name in RESERVED:
        yield UsageError(f"{name!r} is the hub's own place, no name for a connection", hint="Take another name.")
    try:
        kind = kind_named(definition.kind)
    except UsageError as error:
        yield UsageError(error.detail, hint=error.hint, field="kind")
        return
    plain = [name for name in kind.secrets() & definition.fields.keys() if _reference(definition.fields[name]) is None]
    for bare in sorted(plain):
        yield UsageError(
            "a secret never stands in the file itself",
            hint="Write {env: NAME}, {file: PATH}, {secret: NAME} or {ref: env:NAME}.",
            field=f"fields.{bare}",
        )  # fmt: skip
    hidden = kind.secrets() & definition.fields.keys()
    if plain or any((one := _reference(definition.fields[name])) is None or one.value is None for name in hidden):
        return  # what a kind says of secrets that are not known here means nothing
    fields = {**definition.fields, **_values(definition, hidden, None)}
    yield from refusal("fields", kind.parse, fields)


CONNECTIONS = Section(
    "connections", "Services that flows, result stores and sources reach by name.", ConnectionDefinition,
    "connections", 20, complete=complete, read=read, steps=steps, remove="connection.delete", names=NAME,
    secrets=secrets, check=check,
)  # fmt: skip
