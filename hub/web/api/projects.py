"""Definitions from files over the API: what `hub apply` and `hub export` talk to."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field
from pydantic_core import to_jsonable_python

from hub.errors import NotFoundError, PermissionError_, RefusedError, UsageError
from hub.runtime.commands.projects import NAME
from hub.runtime.definitions import carrying, exporting, planning
from hub.runtime.definitions.registry import sections
from hub.runtime.definitions.section import RESOLVED, Definition, Section
from hub.runtime.definitions.values import SECRETS
from hub.runtime.scopes import allows
from hub.web.api.fields import In, Name, NoBody, NoQuery, Out
from hub.web.api.op import Api, Call
from hub.web.api.webhooks import address

api = Api()
Action = Literal["create", "change", "unchanged", "remove", "left", "gone"]


class DocumentIn(In):
    """What a file declares: section, name, definition; with secrets and flows looked up where the file is."""

    document: dict[str, Any] = Field(default_factory=dict, max_length=100)
    prune: bool = Field(default=False, description="plan to remove what the project made and does not name any more")
    adopt: bool = Field(default=False, description="let what is there already belong to the project")
    others: dict[str, list[str]] = Field(
        default_factory=dict, max_length=100, description="what the file names, too, and is wrong in itself"
    )


class ItemIn(In):
    """One definition."""

    definition: dict[str, Any] = Field(default_factory=dict)
    adopt: bool = False


class ChangeOut(Out):
    """A setting that differs. `hidden`: it is a secret, and neither value is told."""

    field: str
    before: Any
    after: Any
    hidden: bool


class PlannedItem(Out):
    """What becomes of a thing. `made`: the project has made it. `left`: it stays though the file does not name it."""

    section: str
    name: str
    action: Action
    changes: list[ChangeOut]
    made: bool


class FaultOut(Out):
    """Something wrong: the path to it from the top of the document, what, and how to mend it."""

    path: list[str | int]
    message: str
    hint: str


class PlanOut(Out):
    """What would be done. With `faults` nothing should be."""

    items: list[PlannedItem]
    faults: list[FaultOut]


class DefinitionQuery(In):
    """Which definitions: of these sections (repeatable), of this project."""

    section: list[Name] = Field(default_factory=list, max_length=50)
    project: Name | None = None


class DefinitionOut(Out):
    """A definition, complete. `secrets`: the places where it has one; `refs`: where those come from, if that is known.

    `made`: it belongs to a project.
    """

    section: str
    name: str
    values: dict[str, Any]
    secrets: list[str]
    refs: dict[str, dict[str, str]]
    made: bool


class DoneOut(Out):
    """What was done. `shown`: addresses and secrets that can be seen this once."""

    section: str
    name: str
    action: Action
    changes: list[ChangeOut]
    shown: dict[str, str]


@api.op("GET", "/api/v1/definitions", query=DefinitionQuery, out=list[DefinitionOut], scope="", tag="projects")
def list_definitions(call: Call[NoBody, DefinitionQuery]) -> list[DefinitionOut]:
    """List all definitions that one may read, complete and without their secrets, in the order in which they apply."""
    known = sections(call.services.plugins.hooks)
    for name in call.query.section:
        if name not in known:
            raise NotFoundError(f"there is no section {name!r}", hint=f"There are {', '.join(known)}.")
        _may(call, known[name], "read")
    wanted = [known[name] for name in known if name in (call.query.section or known)]
    with call.store.read() as tx:
        readable = [section for section in wanted if _allowed(call, section, "read")]
        found = exporting.definitions(tx, call.scope, readable, call.query.project)
    return [DefinitionOut.model_validate(one) for one in found]


@api.op("POST", "/api/v1/projects/{name}/plan", body=DocumentIn, out=PlanOut, scope="")
def plan_project(call: Call[DocumentIn, NoQuery]) -> PlanOut:
    """Say what applying a document would do. Needs the right to change what it holds, as secrets are compared."""
    known, body = sections(call.services.plugins.hooks), call.body
    for name in body.document:
        if name in known:
            _may(call, known[name], "write")
    project = _project(call)
    found, faults = planning.checked(known, body.document, RESOLVED)
    for (name, _), definition in found.items():
        _may_use_secrets(call, known[name], definition)
    with call.store.read() as tx:
        made = planning.plan(
            tx, call.scope, known, found, project, prune=body.prune, adopt=body.adopt,
            others={(section, name) for section, names in body.others.items() for name in names},
        )  # fmt: skip
    # Of sections that the document does not hold, only what the asker may see.
    told = {name for name in known if name in body.document or _allowed(call, known[name], "read")}
    items = [item for item in made.items if item.section in told]
    return PlanOut.model_validate(to_jsonable_python({"items": items, "faults": [*faults, *made.faults]}))


@api.op(
    "PUT", "/api/v1/projects/{name}/{section}/{item}", body=ItemIn, out=DoneOut, scope="",
    errors=[NotFoundError, RefusedError],
)  # fmt: skip
def put_project_item(call: Call[ItemIn, NoQuery]) -> DoneOut:
    """Make one thing be as declared, for a project; a second time it changes nothing."""
    section, name = _section(call), call.path["item"]
    _may(call, section, "write")
    definition = _definition(section, name, call.body.definition)
    _may_use_secrets(call, section, definition)
    done = carrying.put(
        call.store, call.scope, section, _project(call), name, definition,
        adopt=call.body.adopt, address=lambda token: address(call.services.settings, token),
    )  # fmt: skip
    return _told(section, name, done)


@api.op(
    "DELETE", "/api/v1/projects/{name}/{section}/{item}", out=DoneOut, scope="", errors=[NotFoundError, RefusedError]
)
def delete_project_item(call: Call[NoBody, NoQuery]) -> DoneOut:
    """Remove one thing, if the project has made it."""
    section, name = _section(call), call.path["item"]
    _may(call, section, "write")
    return _told(section, name, carrying.remove(call.store, call.scope, section, _project(call), name))


def _told(section: Section, name: str, done: carrying.Done) -> DoneOut:
    shown = {"section": section.name, "name": name, "action": done.action, "shown": dict(done.shown)}
    return DoneOut.model_validate({**shown, "changes": to_jsonable_python(done.changes)})


def _definition(section: Section, name: str, written: dict[str, Any]) -> Definition:
    found, faults = planning.checked({section.name: section}, {section.name: {name: written}}, RESOLVED)
    if faults:
        raise UsageError(" ".join(fault.said() for fault in faults), field=".".join(map(str, faults[0].path[2:])))
    return found[section.name, name]


def _section(call: Call[Any, Any]) -> Section:
    known = sections(call.services.plugins.hooks)
    name = call.path["section"]
    if name not in known:
        raise NotFoundError(f"there is no section {name!r}", hint=f"There are {', '.join(known)}.")
    return known[name]


def _project(call: Call[Any, Any]) -> str:
    name = call.path["name"]
    if not re.match(NAME, name):
        raise UsageError(f"{name[:60]!r} cannot be the name of a project", hint=f"Names match {NAME}.", field="project")
    return name


def _allowed(call: Call[Any, Any], section: Section, verb: str) -> bool:
    return allows(call.scope.actor.scopes, f"{section.scope}:{verb}")


def _may(call: Call[Any, Any], section: Section, verb: str) -> None:
    needs = f"{section.scope}:{verb}"
    if not _allowed(call, section, verb):
        raise PermissionError_(f"this needs the scope {needs!r}, which {call.scope.actor} does not have", needs=needs)


def _may_use_secrets(call: Call[Any, Any], section: Section, definition: Definition) -> None:
    """A stored secret can be had by whoever may put it where it is sent from: that is left to those who may set it."""
    if any(secret.secret is not None for secret in section.secrets(definition).values()):
        _may(call, SECRETS, "write")
