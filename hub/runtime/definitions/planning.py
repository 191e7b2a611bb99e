"""What applying a document would do: nothing is changed here."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import ValidationError
from pydantic_core import to_json

from hub.errors import HubError, NotFoundError
from hub.runtime.definitions import faults
from hub.runtime.definitions.faults import Fault
from hub.runtime.definitions.section import Definition, Found, Secret, Section, Wanted
from hub.store import projects
from hub.store import secrets as stored
from hub.store.base import Tx
from hub.types import Scope

Action: TypeAlias = Literal["create", "change", "unchanged", "remove", "left", "gone"]
Document: TypeAlias = Mapping[str, Mapping[str, Any]]
Definitions: TypeAlias = dict[tuple[str, str], Definition]
Names: TypeAlias = Set[tuple[str, str]]
Sections: TypeAlias = Mapping[str, Section]
Stored: TypeAlias = Callable[[str], str | None]
"""The value of a stored secret; None for one that the same document will set."""
DEFAULT = "default"
"""The project of a document that names none."""


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that differs. Of one that is `hidden` neither value is told."""

    field: str
    before: Any = None
    after: Any = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """What becomes of one thing.

    `left`: it belongs to the project, the document does not name it any more, and it stays. `gone`: the same, and it is
    not there. `made`: an earlier apply has made (or adopted) it.
    """

    section: str
    name: str
    action: Action
    changes: tuple[Change, ...] = ()
    made: bool = False


@dataclass(slots=True)
class Plan:
    """What would be done, in this order; and what is wrong, in which case nothing should be."""

    items: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def checked(
    sections: Sections, document: Document, context: Mapping[str, Any] | None = None
) -> tuple[Definitions, list[Fault]]:
    """Check the shape of everything in a document. With the context RESOLVED it may hold what a client has found."""
    found: Definitions = {}
    wrong: list[Fault] = []
    for name, part in document.items():
        section = sections.get(name)
        if section is None:
            wrong.append(faults.unknown((name,), "section", name, sections))
        elif not isinstance(part, Mapping):
            if part is not None:
                wrong.append(
                    Fault((name,), "it must be a mapping: names, and under each what it is", _example(section))
                )
        else:
            for one, written in part.items():
                _check_one(section, one, written, context, found, wrong)
    return found, wrong


def _example(section: Section) -> str:
    required = [name for name, info in section.model.model_fields.items() if info.is_required()]
    return f"Write `my-name:` and below it {', '.join(f'`{name}: ...`' for name in required)}." if required else ""


def _check_one(
    section: Section, name: str, written: Any, context: Mapping[str, Any] | None, found: Definitions, wrong: list[Fault]
) -> None:
    path = (section.name, name)
    if not re.match(section.names, name):
        wrong.append(Fault(path, f"{name[:100]!r} cannot be a name here", f"Names match {section.names}."))
    try:
        # As JSON, and strictly: 1 is no boolean and "1" no number, here as in the API.
        found[path] = section.model.model_validate_json(to_json(written), strict=True, context=context)
    except ValidationError as error:
        wrong += faults.of_model(path, error, section.model)
    except (ValueError, RecursionError) as error:
        wrong.append(Fault(path, f"it is no JSON: {str(error)[:200]}"))


def plan(
    tx: Tx, scope: Scope, sections: Sections, document: Definitions, project: str, *, prune: bool, adopt: bool,
    others: Names = frozenset(),
) -> Plan:  # fmt: skip
    """Compare a document with what is there. `others`: what it names, too, but could not be told."""
    made = Plan()
    there = {name: section.read(tx, scope, _names(document, name)) for name, section in _ranked(sections, document)}
    owned = {(row["section"], row["name"]): row for row in projects.of_project(tx, scope, project)}
    known = stored_secrets(tx, scope, document)
    for (section_name, name), definition in sorted(document.items(), key=lambda item: sections[item[0][0]].rank):
        section, path = sections[section_name], (section_name, name)
        found = there[section_name].get(name)
        made.faults += _wrong(tx, scope, sections, {*document, *others}, section, name, definition)
        if not adopt:
            made.faults += _foreign(tx, scope, project, path, found)
        try:
            changes = differences(wanted_of(section, name, definition, found, known), found)
        except HubError as error:
            made.faults.append(faults.of_error(path, error))
            continue
        made.faults += fixed(section, name, changes, found)
        mine = path in owned and found is not None and owned[path]["item_id"] == found.id
        action: Action = "create" if found is None else "change" if changes else "unchanged"
        made.items.append(Item(*path, action, changes if found is not None else (), mine))
    made.items += _left(tx, scope, sections, {*document, *others}, owned, prune=prune)
    return made


def wanted_of(section: Section, name: str, definition: Definition, found: Found | None, known: Stored) -> Wanted:
    """A definition made complete. Raises NotFoundError for a stored secret that is not there."""
    values = section.complete(definition, found)
    return Wanted(name, values, secret_values(section, definition, known))


def secret_values(section: Section, definition: Definition, known: Stored) -> dict[str, str]:
    """The values of the secrets that are given, by their places; without those that are still to be stored."""
    found: dict[str, str] = {}
    for place, secret in section.secrets(definition).items():
        value = secret.value.get_secret_value() if secret.value else None
        try:
            value = known(secret.secret) if secret.secret is not None else value
        except NotFoundError as error:
            raise NotFoundError(error.detail, hint=error.hint, field=place) from None
        if value is not None:
            found[place] = value
    return found


def stored_secrets(tx: Tx, scope: Scope, document: Definitions) -> Stored:
    """Looks up stored secrets; those of the document count before those that are there."""
    coming: dict[str, Secret | None] = {
        name: getattr(definition, "value", None)
        for (section, name), definition in document.items()
        if section == "secrets"
    }

    def look_up(name: str) -> str | None:
        given = coming.get(name)
        if given is not None and given.value is not None:
            return given.value.get_secret_value()
        return stored.reveal(tx, scope, name)

    return look_up


def differences(wanted: Wanted, found: Found | None) -> tuple[Change, ...]:
    """What differs, settings first. Secrets are compared here, in constant time, and never told."""
    before = found.values if found is not None else {}
    changes = [
        Change(name, before.get(name), value) for name, value in wanted.values.items()
        if found is None or before.get(name) != value
    ]  # fmt: skip
    for place, value in wanted.secrets.items():
        held = found.secrets.get(place, ()) if found is not None else ()
        if not any(hmac.compare_digest(value.encode(), one.encode()) for one in held):
            changes.append(Change(place, hidden=True))
    return tuple(changes)


def _names(document: Iterable[tuple[str, str]], section: str) -> list[str]:
    return [name for kind, name in document if kind == section]


def _ranked(sections: Sections, document: Definitions) -> Iterator[tuple[str, Section]]:
    used = {section for section, _ in document}
    yield from sorted(((name, sections[name]) for name in used), key=lambda item: item[1].rank)


def _wrong(
    tx: Tx, scope: Scope, sections: Sections, document: Names, section: Section, name: str, definition: Definition
) -> Iterator[Fault]:
    for error in section.check(name, definition):
        yield faults.of_error((section.name, name), error)
    for reference in section.refers(definition):
        target = sections.get(reference.section)
        if target is None or (reference.section, reference.name) in document:
            continue
        if not target.read(tx, scope, [reference.name]):
            what = reference.section.removesuffix("s")
            hint = f"Declare it under `{reference.section}`, or make it first."
            near = faults.unknown((), what, reference.name, _names(document, reference.section)).hint
            yield Fault(
                (section.name, name, *reference.path), f"there is no {what} {reference.name!r}",
                f"{near} {hint}" if near.startswith("Did") else hint,
            )  # fmt: skip


def _foreign(tx: Tx, scope: Scope, project: str, path: tuple[str, str], found: Found | None) -> Iterator[Fault]:
    """What another project has made is not changed by this one."""
    owner = projects.find(tx, scope, *path)
    if found is None or owner is None or owner["item_id"] != found.id or owner["project"] in (project, DEFAULT):
        return
    yield Fault(path, f"it belongs to the project {owner['project']!r}", "Take it over with --adopt, or rename it.")


def fixed(section: Section, name: str, changes: tuple[Change, ...], found: Found | None) -> Iterator[Fault]:
    """Settings that cannot be changed any more."""
    if found is None:
        return
    for change in changes:
        if change.field in section.fixed:
            yield Fault(
                (section.name, name, change.field),
                f"it is {change.before!r} there and cannot be changed to {change.after!r}",
                "Remove it first, or take another name.",
            )


def _left(
    tx: Tx, scope: Scope, sections: Sections, document: Names, owned: Mapping[tuple[str, str], Any], *, prune: bool
) -> Iterator[Item]:
    """What belongs to the project and is not in its document any more, the last rank first."""
    rest = [path for path in owned if path not in document and path[0] in sections]
    for path in sorted(rest, key=lambda path: -sections[path[0]].rank):
        section = sections[path[0]]
        found = section.read(tx, scope, [path[1]]).get(path[1])
        if found is None or found.id != owned[path]["item_id"]:
            yield Item(*path, "gone", made=True)
        else:
            yield Item(*path, "remove" if prune and section.remove else "left", made=True)
