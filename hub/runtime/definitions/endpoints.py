"""The section `endpoints`: where webhooks of the hub's own go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pydantic import Field
from sqlalchemy import select

from hub.runtime.commands.endpoints import Schemes
from hub.runtime.definitions.section import Definition, Found, Secret, Section, Step, Wanted
from hub.runtime.definitions.values import rows
from hub.store import endpoints as stored
from hub.store.base import Tx
from hub.types import Scope


class EndpointDefinition(Definition):
    """A receiver. Its address often holds a secret, so it is a reference, too. Keys that are made are shown once.

    `secret`: one of the receiver's own (whsec_); left out, one is made. `enabled`: left out, it stays as it is.
    """

    url: Secret = Field(description="where its address comes from")
    sign: Schemes = "v1"
    secret: Secret | None = None
    enabled: bool | None = None


def complete(definition: EndpointDefinition, found: Found | None) -> dict[str, Any]:
    """How it signs and whether it is on."""
    enabled = definition.enabled if definition.enabled is not None else found is None or found.values["enabled"]
    return {"sign": definition.sign, "enabled": enabled}


def read(tx: Tx, scope: Scope, names: Collection[str] | None) -> dict[str, Found]:
    """The endpoints that are there, with the keys that are not being replaced."""
    return {row["name"]: _found(tx, row) for row in rows(tx, scope, stored.TABLE, names)}


def _found(tx: Tx, row: Mapping[str, Any]) -> Found:
    keys = stored.KEYS
    query = select(keys).where(keys.c.endpoint_id == row["id"], keys.c.expires_at.is_(None))
    held = tx.conn.execute(query).mappings().all()
    schemes = {key["scheme"] for key in held}
    url, _ = stored.opened(tx, row)
    v1 = [
        tx.keyring.open(key["sealed"], context=f"endpoint_keys:{key['id']}", key_id=key["key_id"])
        for key in held if key["scheme"] == "v1"
    ]  # fmt: skip
    sign = "both" if len(schemes) == 2 else next(iter(schemes), "v1")
    return Found(row["id"], {"sign": sign, "enabled": row["enabled"]}, {"url": (url,), "secret": tuple(v1)})


def steps(wanted: Wanted, found: Found | None, changed: frozenset[str]) -> Iterator[Step]:
    """Make it, or change what differs. New keys sign beside the old ones for a day."""
    name, sign, given = wanted.name, wanted.values["sign"], dict(wanted.secrets)
    if found is None:
        yield Step("endpoint.create", "", {"name": name, "sign": sign, **given})
    elif changed & {"sign", "secret"}:
        yield Step(
            "endpoint.rotate", name, {"sign": sign, **({"secret": given["secret"]} if "secret" in given else {})}
        )
    update: dict[str, Any] = {"url": given["url"]} if found is not None and "url" in changed else {}
    if wanted.values["enabled"] != (found is None or found.values["enabled"]):
        update["enabled"] = wanted.values["enabled"]
    if update:
        yield Step("endpoint.update", name, update)


def secrets(definition: EndpointDefinition) -> dict[str, Secret]:
    """Its address, and the receiver's own secret."""
    return {"url": definition.url} | ({"secret": definition.secret} if definition.secret is not None else {})


def shows(result: Mapping[str, Any], _address: Callable[[str], str]) -> dict[str, str]:
    """Keys that were made."""
    return {f"key {made['scheme']}": str(made["key"]) for made in result.get("keys", ())}


ENDPOINTS = Section(
    "endpoints", "Where webhooks of the hub's own go.", EndpointDefinition, "endpoints", 55,
    complete=complete, read=read, steps=steps, remove="endpoint.delete", secrets=secrets, shows=shows,
    made=frozenset({"secret"}),
)  # fmt: skip
