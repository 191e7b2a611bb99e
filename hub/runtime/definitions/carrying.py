"""Making one thing be as it was declared, or removing it: by the commands that everybody else gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.errors import ConflictError, RefusedError
from hub.runtime.commands import Command, Outcome, apply
from hub.runtime.definitions.planning import (
    DEFAULT,
    Action,
    Change,
    Stored,
    differences,
    fixed,
    stored_secrets,
    wanted_of,
)
from hub.runtime.definitions.section import Definition, Found, Section
from hub.store import Store, projects
from hub.store.base import Tx
from hub.types import Scope


@dataclass(frozen=True, slots=True)
class Done:
    """What was done. `shown`: what can be seen this once, such as a new address."""

    action: Action
    changes: tuple[Change, ...] = ()
    shown: Mapping[str, str] = field(default_factory=dict, repr=False)


def put(
    store: Store, scope: Scope, section: Section, project: str, name: str, definition: Definition, *,
    adopt: bool, address: Callable[[str], str],
) -> Done:  # fmt: skip
    """Make something be as declared: a second time it changes nothing.

    Each command is a transaction; whoever is killed between two of them does the rest the next time. That a thing
    belongs to the project is written with the command that makes it. Raises HubError.
    """
    with store.read() as tx:
        found = section.read(tx, scope, [name]).get(name)
        known: Stored = stored_secrets(tx, scope, {})
        wanted = wanted_of(section, name, definition, found, known)
        owner = projects.find(tx, scope, section.name, name)
    owner = owner if owner is not None and found is not None and owner["item_id"] == found.id else None
    _refuse_foreign(owner, project, adopt=adopt)
    changes = differences(wanted, found)
    for fault in fixed(section, name, changes, found):
        raise ConflictError(f"{fault.said()}", hint=fault.hint)
    refs = {place: secret.reference() for place, secret in section.secrets(definition).items()}

    def claim(tx: Tx, outcome: Outcome) -> None:
        item_id = found.id if found is not None else _made(tx, scope, section, name, outcome)
        projects.claim(tx, scope, project, section.name, name, item_id, refs)

    ours = found is None or adopt or owner is not None
    then = claim if ours else None
    shown: dict[str, str] = {}
    if found is None or changes:
        for step in section.steps(wanted, found, frozenset(change.field for change in changes)):
            outcome = apply(store, Command(step.op, scope, step.target, step.args), then=then)
            shown |= section.shows(outcome.result, address)
            then = None
    elif ours and (owner is None or (owner["project"], owner["secret_refs"]) != (project, refs)):
        assert found is not None
        args = {"section": section.name, "name": name, "item_id": found.id, "refs": refs}
        apply(store, Command("project.claim", scope, project, args))
    action: Action = "create" if found is None else "change" if changes else "unchanged"
    return Done(action, changes if found is not None else (), shown)


def remove(store: Store, scope: Scope, section: Section, project: str, name: str) -> Done:
    """Remove what an earlier apply of the project has made. Raises RefusedError for anything else."""
    with store.read() as tx:
        found = section.read(tx, scope, [name]).get(name)
        mine = _belongs(tx, scope, section, project, name, found)
    if found is None or not mine:
        apply(store, Command("project.release", scope, project, {"section": section.name, "name": name}))
        if found is not None:
            raise RefusedError(
                f"{section.name}.{name} was not made by the project {project!r}",
                hint="Only what an earlier apply has made is removed.",
            )
        return Done("gone")
    if not section.remove:
        raise RefusedError(f"nothing removes {section.name}: {name} stays", hint="It does no harm.")

    def guard(tx: Tx) -> None:
        if not _belongs(tx, scope, section, project, name, found):
            raise ConflictError(f"{section.name}.{name} belongs to somebody else by now", hint="Try again.")

    def then(tx: Tx, _outcome: Outcome) -> None:
        projects.forget(tx, scope, section.name, name)

    apply(store, Command(section.remove, scope, name), guard=guard, then=then)
    return Done("remove")


def _belongs(tx: Tx, scope: Scope, section: Section, project: str, name: str, found: Found | None) -> bool:
    owner = projects.find(tx, scope, section.name, name)
    return owner is not None and found is not None and (owner["project"], owner["item_id"]) == (project, found.id)


def _made(tx: Tx, scope: Scope, section: Section, name: str, outcome: Outcome) -> str:
    """The id of what a command has just made; not every command answers with it."""
    return str(outcome.result.get("id") or section.read(tx, scope, [name])[name].id)


def _refuse_foreign(owner: Mapping[str, Any] | None, project: str, *, adopt: bool) -> None:
    if owner is not None and not adopt and owner["project"] not in (project, DEFAULT):
        raise ConflictError(
            f"it belongs to the project {owner['project']!r}", hint="Take it over with --adopt, or rename it."
        )
