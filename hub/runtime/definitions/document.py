"""A `hub.yaml` on the machine where it is: read, checked, its secrets and flows looked up there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.errors import HubError, UsageError
from hub.plugins import load_plugins
from hub.runtime.commands.projects import NAME
from hub.runtime.definitions import faults, planning, reading
from hub.runtime.definitions.faults import Fault
from hub.runtime.definitions.planning import DEFAULT
from hub.runtime.definitions.registry import sections
from hub.runtime.definitions.section import Definition, Section
from hub.settings import load_settings


@dataclass(slots=True)
class Document:
    """What a file declares. `wire` is what a hub is told: section, name, definition; `named`: it names its project."""

    origin: str
    text: reading.Text
    folder: Path
    project: str = DEFAULT
    named: bool = False
    wire: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)
    others: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[Fault] = field(default_factory=list)
    """What is wrong as far as this machine can tell; a hub may know more."""

    def refuse(self, more: Iterable[tuple[Sequence[str | int], str, str]] = ()) -> None:
        """Raise one UsageError for everything that is wrong, each with its file, line and column."""
        others = (Fault(tuple(path), message, hint) for path, message, hint in more)
        found = [self._said(fault) for fault in (*self.wrong, *others)]
        if not found:
            return
        told = [line for _, line in sorted(set(found))]
        rest = [f"... and {len(told) - faults.MOST} more"] if len(told) > faults.MOST else []
        count = f"{len(told)} things are" if len(told) > 1 else "one thing is"
        hint = f"Nothing was changed: {count} to be mended. docs/hub-yaml.md describes the file."
        raise UsageError("\n".join([*told[: faults.MOST], *rest]), hint=hint, code="invalid-file")

    def _said(self, fault: Fault) -> tuple[tuple[int, int], str]:
        place = reading.Place(*fault.at) if fault.at is not None else self.text.place(fault.path)
        return place, f"{self.origin}:{place.line}:{place.column}: {fault.said()}"


def load(file: Path) -> Document:
    """Read a file (`-`: standard input) and look up what it refers to on this machine.

    What is wrong in it is noted. Raises UsageError for a file that cannot be read at all.
    """
    known = known_sections()
    document = Document(str(file), reading.read(_read(file)), Path.cwd() if str(file) == "-" else file.resolve().parent)
    document.origin = "standard input" if str(file) == "-" else document.origin
    wrong = document.wrong = list(document.text.faults)
    value = document.text.value
    if value is not None and not isinstance(value, Mapping):
        wrong.append(Fault((), "it must be a mapping of sections", f"There are {', '.join(known)}."))
    parts = dict(reading.sections_of(value))
    wrong += _name(document, parts)
    if "project" not in known:
        parts.pop("project", None)
    found, shapes = planning.checked(known, parts)
    wrong += shapes
    named = {section: part for section in known if isinstance(part := parts.get(section), Mapping)}
    for section, name in ((section, name) for section, part in named.items() for name in part):
        definition = found.get((section, name))
        more: list[Fault] = []
        if definition is not None:
            wire, more = _resolved(known[section], name, definition, parts[section][name], document.folder)
            wrong += more
        if definition is None or more:
            document.others.setdefault(section, []).append(name)
        else:
            document.wire.setdefault(section, {})[name] = wire
    return document


def known_sections() -> dict[str, Section]:
    """The sections that the plugins of this machine and the hub itself bring."""
    return sections(load_plugins(load_settings(), process="cli").hooks)


def _read(file: Path) -> str:
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as stream:
            raw = stream.read(reading.MAX_BYTES + 1)
        return raw.decode()
    except FileNotFoundError:
        hint = "`hub export` writes one of what is there; docs/hub-yaml.md shows some."
        raise UsageError(f"there is no file {file}", hint=hint) from None
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text in UTF-8") from None


def _name(document: Document, parts: Mapping[str, Any]) -> Iterable[Fault]:
    if "project" not in parts:
        return
    name = parts["project"]
    if isinstance(name, str) and re.match(NAME, name):
        document.project, document.named = name, True
    else:
        yield Fault(("project",), "it must be a name", "Letters, digits, dot, dash and underscore.")


def _resolved(
    section: Section, name: str, definition: Definition, written: Any, folder: Path
) -> tuple[dict[str, Any], list[Fault]]:
    """What the hub is told of a definition, and what could not be found here."""
    wrong: list[Fault] = []
    wire: dict[str, Any] = json.loads(json.dumps(written if isinstance(written, Mapping) else {}))
    try:
        wire = section.resolve(name, wire, folder)
    except HubError as error:
        wrong.append(faults.of_error((section.name, name), error))
    for place, secret in section.secrets(definition).items():
        try:
            value = secret.found(folder)
        except HubError as error:
            wrong.append(Fault((section.name, name, *place.split(".")), error.detail, error.hint))
            continue
        if value is not None:
            _put(wire, place.split("."), {**secret.reference(), "value": value.get_secret_value()})
    return wire, wrong


def _put(wire: dict[str, Any], place: list[str], value: Any) -> None:
    for part in place[:-1]:
        wire = wire[part]
    wire[place[-1]] = value
