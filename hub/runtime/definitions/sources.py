"""The section `sources`: webhook sources and those of brokers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field, field_validator
from sqlalchemy import select

from hub.errors import HubError
from hub.runtime.commands import catalogs
from hub.runtime.commands import sources as commands
from hub.runtime.commands.sources import Limits
from hub.runtime.definitions.section import Definition, Found, Reference, Secret, Section, Step, Wanted, refusal
from hub.runtime.presets import installed
from hub.store import event_schemas
from hub.store import sources as stored
from hub.store.base import Tx
from hub.types import Scope
from hub.webhooks.allowing import networks
from hub.webhooks.events import MAX_TYPE

_T = stored.TABLE
_NOT_LIMITS = frozenset({"preset", "schemas", "paused"})
_SWITCHES = {"enabled": True, "paused": False, "handshake": "open"}
"""What a new source has, and what others change: left out of a file, it stays as it is."""


class SourceDefinition(Limits, Definition):
    """A webhook source, or one of a broker. Its address is shown when it is made, and a secret that is made for it.

    `secret`: left out, the hub makes one where the provider takes one of our choice, and leaves alone the one there is.
    `enabled`, `paused` and `handshake`: left out, they stay as they are.
    """

    preset: str = Field(min_length=1, max_length=40, description="the provider: `hub webhooks presets` lists them")
    secret: Secret | None = Field(None, description="the provider's secret")
    schemas: dict[str, dict[str, Any]] = Field(
        default_factory=dict, max_length=event_schemas.MAX_SCHEMAS, description="JSON schemas of payloads by event type"
    )
    paused: bool | None = Field(None, description="hold what comes in")

    @field_validator("schemas")
    @classmethod
    def _usable(cls, given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for type_, document in given.items():
            if not 1 <= len(type_) <= MAX_TYPE:
                raise ValueError(f"an event type has 1 to {MAX_TYPE} characters")
            catalogs.SetSchema(type=type_, document=document)
        return given


def complete(definition: SourceDefinition, found: Found | None) -> dict[str, Any]:
    """Every setting: what the hub would take for one that is left out, or what is there for a switch."""
    preset = installed().find(definition.preset)
    given = definition.model_dump(mode="json", exclude={"secret"})
    values: dict[str, Any] = {
        **defaults(consumer=preset is not None and bool(preset.consumer)),
        **_SWITCHES,
    }
    if definition.schemas:
        values["schema_mode"] = "observe"
    before = found.values if found is not None else values
    values |= {name: before[name] for name in _SWITCHES}
    values |= {name: value for name, value in given.items() if value is not None}
    return {**values, "answer": None if values["answer"] == "preset" else values["answer"]}


def defaults(*, consumer: bool) -> dict[str, Any]:
    """What a source has that says nothing."""
    rate = {"rate_per_minute": commands.FASTEST} if consumer else {}
    return {
        **stored.BLANK, **rate, "options": {}, "mode": "enforce", "verify": "preset", "connection": None,
        "answer": None, "schemas": {},
    }  # fmt: skip


def read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    """The sources that are there."""
    query = select(_T).where(_T.c.workspace_id == scope.workspace_id, _T.c.deleted_at.is_(None))
    if names is not None:
        query = query.where(_T.c.name.in_(list(names)))
    return {row["name"]: _found(tx, dict(row)) for row in tx.conn.execute(query).mappings()}


def _found(tx: Tx, row: dict[str, Any]) -> Found:
    values = {name: row[name] for name in (*Limits.model_fields, "preset") if name in row}
    values |= {"verify": "none" if row["verify_none"] else "preset", "paused": row["paused_at"] is not None}
    values["schemas"] = {type_: json.loads(text) for type_, text in event_schemas.texts(tx, row["id"]).items()}
    holding = [one.value for one in stored.open_secrets(tx, row["id"]) if one.expires_at is None]
    return Found(row["id"], values, {"secret": tuple(holding)})


def steps(wanted: Wanted, found: Found | None, changed: frozenset[str]) -> Iterator[Step]:
    """The commands that make it so. Schemas come before the mode that is given with them."""
    values, name = wanted.values, wanted.name
    limits = {key: value for key, value in values.items() if key not in _NOT_LIMITS}
    limits["answer"] = limits["answer"] or "preset"
    if found is None:
        yield Step("source.create", "", {"name": name, "preset": values["preset"], **limits, **wanted.secrets})
    elif "secret" in changed:
        yield Step("source.rotate", name, {"secret": wanted.secrets["secret"]})
    before = found.values["schemas"] if found is not None else {}
    yield from _schema_steps(name, values["schemas"], before)
    late = {"schema_mode"} if values["schemas"] != before else set()
    again = {key: limits[key] for key in limits if key in late or (found is not None and key in changed)}
    if again:
        yield Step("source.update", name, {key: value for key, value in again.items() if value is not None})
    if values["paused"] != (found is not None and found.values["paused"]):
        yield Step("source.pause" if values["paused"] else "source.resume", name)


def _schema_steps(name: str, wanted: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Step]:
    for type_, document in wanted.items():
        if before.get(type_) != document:
            yield Step("source.schema_set", name, {"type": type_, "document": document})
    for type_ in before:
        if type_ not in wanted:
            yield Step("source.schema_remove", name, {"type": type_})


def check(_name: str, definition: SourceDefinition) -> Iterator[HubError]:
    """What the command would refuse, as far as the definition tells by itself."""
    preset = installed().find(definition.preset)
    if preset is None:
        yield from refusal("preset", installed().get, definition.preset)
        return
    options = dict(definition.options or {})
    wrong = list(refusal("options", preset.rules, options))
    yield from wrong
    if not wrong:
        yield from refusal("redact", commands.check_redaction, definition.redact or [], preset.rules(options))
    yield from refusal("verify", commands.check_unverified, preset, definition.verify)
    yield from refusal("allow_from", networks, definition.allow_from or [])


def refers(definition: SourceDefinition) -> Iterable[Reference]:
    """Its connection."""
    return [Reference(("connection",), "connections", definition.connection)] if definition.connection else []


def secrets(definition: SourceDefinition) -> dict[str, Secret]:
    """Its secret, if one is given."""
    return {"secret": definition.secret} if definition.secret is not None else {}


def shows(result: Mapping[str, Any], address: Callable[[str], str]) -> dict[str, str]:
    """A new address and a secret that was made."""
    told = {"address": address(result["token"]) if result.get("token") else None, "secret": result.get("secret")}
    return {name: value for name, value in told.items() if value}


def brief(values: dict[str, Any], _folder: Any) -> dict[str, Any]:
    """Without what has its default."""
    preset = installed().find(values["preset"])
    # A handshake closes by itself once there was one; a source that is made anew awaits its own.
    blank = {**defaults(consumer=preset is not None and bool(preset.consumer)), **_SWITCHES}
    blank["handshake"] = values["handshake"]
    if values["schemas"]:
        blank["schema_mode"] = "observe"
    said = {name: value for name, value in values.items() if name not in blank or value != blank[name]}
    return {"preset": said.pop("preset"), **said}


SOURCES = Section(
    "sources", "Webhook sources, and those of brokers.", SourceDefinition, "sources", 70,
    complete=complete, read=read, steps=steps, remove="source.delete", fixed=frozenset({"preset"}), secrets=secrets,
    check=check, refers=refers, shows=shows, brief=brief,
)  # fmt: skip
