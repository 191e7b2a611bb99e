"""What is there as a document that makes it again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from hub.errors import UsageError
from hub.references import is_reference
from hub.runtime.definitions import reading
from hub.runtime.definitions.section import Section
from hub.store import projects
from hub.store.base import Tx
from hub.types import Scope

MOST = 10_000


def definitions(tx: Tx, scope: Scope, sections: Iterable[Section], project: str | None) -> list[dict[str, Any]]:
    """Everything of these sections, complete: section, name, values, the places of its secrets, their references.

    With a project only what belongs to it. `made`: it belongs to one. Secrets are not told. Raises UsageError.
    """
    found: list[dict[str, Any]] = []
    for section in sections:
        owners = projects.of_section(tx, scope, section.name)
        for name, one in sorted(section.read(tx, scope, None).items()):
            owner = owners.get(name)
            owner = owner if owner is not None and owner["item_id"] == one.id else None
            if section.everywhere == (name, one.values):
                continue
            if project is not None and (owner is None or owner["project"] != project):
                continue
            secrets = sorted(place for place, values in one.secrets.items() if values)
            kept = {place: {"ref": values[-1]} for place, values in one.secrets.items() if _refers(values)}
            refs = {**kept, **(owner["secret_refs"] if owner is not None else {})}
            told = {"section": section.name, "name": name, "values": one.values, "secrets": secrets}
            found.append({**told, "refs": refs, "made": owner is not None})
    if len(found) > MOST:
        raise UsageError(f"there are more than {MOST} definitions", hint="Export them by project or section.")
    return found


def _refers(values: tuple[str, ...]) -> bool:
    return bool(values) and is_reference(values[-1])


def written(section: Section, item: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """One definition as it stands in a file."""
    values = section.brief(dict(item["values"]), folder) if section.brief else _brief(section, item["values"])
    for place in item["secrets"]:
        reference = item["refs"].get(place)
        if reference is None and not item["made"] and place not in section.made:
            reference = {"env": _variable(section.name, item["name"], place)}
        if reference is not None:
            _put(values, place.split("."), dict(reference))
    order = list(section.model.model_fields)
    return {name: _whole(values[name]) for name in sorted(values, key=order.index)}


def _whole(value: Any) -> Any:
    """60 for 60.0, as people write it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _whole(one) for name, one in value.items()}
    return [_whole(one) for one in value] if isinstance(value, list) else value


def dump(document: Mapping[str, Any]) -> str:
    """A document as YAML that is read back as the same."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Quoted where the hub's reader, other than PyYAML's, would take it for a number or a word.
    style = "'" if reading.plain(text) is not text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _brief(section: Section, values: Mapping[str, Any]) -> dict[str, Any]:
    fields = section.model.model_fields
    written = {}
    for name, value in values.items():
        info = fields.get(name)
        if info is None:
            continue  # told of what is there, no setting
        blank = None if info.is_required() else info.get_default(call_default_factory=True)
        # A switch has no default; most things are on, and not paused.
        blank = {"enabled": True, "paused": False}.get(name) if blank is None else blank
        if info.is_required() or value != blank:
            written[name] = value
    return written


def _variable(section: str, name: str, place: str) -> str:
    last = place.rpartition(".")[2]
    words = [name] if section == "secrets" else [name, last]
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join(words)).strip("_").upper()


def _put(values: dict[str, Any], place: list[str], reference: dict[str, str]) -> None:
    for part in place[:-1]:
        values = values.setdefault(part, {})
    values[place[-1]] = reference
