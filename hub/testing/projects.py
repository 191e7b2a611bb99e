"""A plugin's project as it lies on the disk, lent to a process without pip.

`lend` writes what pip would: a folder of metadata that names the entry points. With it and the sources on the path,
a process finds the plugin as if it were installed.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import UsageError

GROUP = "hub.plugins"
_PLACES = ("src", ".")
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Project:
    """What `pyproject.toml` says of it; `points` are its plugins: name -> module."""

    folder: Path
    name: str
    version: str
    points: Mapping[str, str]
    sources: Path
    metadata: Mapping[str, Any]

    @property
    def plugin(self) -> str:
        """The name of its first plugin."""
        return next(iter(self.points))


def read(folder: Path) -> Project:
    """The project in a folder. Raises UsageError that says what is missing there."""
    path = folder / "pyproject.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path} cannot be read: {what}", hint="Give the folder of a project: `hub plugins new` makes one."
        ) from None
    project = data.get("project")
    project = project if isinstance(project, dict) else {}
    points = _points(project, path)
    name = str(project.get("name", ""))
    if not name:
        raise UsageError(f"{path} has no [project] with a name", hint='Write name = "hub-..." there.')
    sources = _sources(folder.resolve(), next(iter(points.values())))
    return Project(folder.resolve(), name, str(project.get("version", "0")), points, sources, project)


def announces(folder: Path, module: str) -> bool:
    """Whether the project in a folder has a plugin in that module: others lie above what is in their .venv."""
    try:
        data = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        return module in data["project"]["entry-points"][GROUP].values()
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def lend(project: Project, into: Path) -> tuple[str, ...]:
    """Write its metadata into a folder; gives what must be put before the path of whoever is to find it."""
    folder = into / f"{project.name.replace('-', '_')}-{project.version}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    points = "".join(f"{name} = {module}\n" for name, module in project.points.items())
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\n{points}", encoding="utf-8")
    (folder / "METADATA").write_text(_metadata(project), encoding="utf-8")
    return (str(into), str(project.sources))


def lent_environment(project: Project, into: Path) -> dict[str, str]:
    """The environment of a process that is to find the project's plugins."""
    known = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*lend(project, into), *([known] if known else [])])}


def _points(project: Mapping[str, Any], path: Path) -> dict[str, str]:
    table = project.get("entry-points", {})
    found = table.get(GROUP) if isinstance(table, dict) else None
    if not isinstance(found, dict) or not found or not all(isinstance(value, str) for value in found.values()):
        raise UsageError(
            f"{path} announces no plugin",
            hint=f'Write [project.entry-points."{GROUP}"] with a line NAME = "PACKAGE.plugin" there.',
        )
    return {str(name): value for name, value in found.items()}


def _sources(folder: Path, module: str) -> Path:
    top = module.partition(".")[0]
    for place in _PLACES:
        base = (folder / place).resolve()
        if (base / top).is_dir() or (base / f"{top}.py").is_file():
            return base
    raise UsageError(f"{folder} has no package {top}", hint=f"It is looked for in {folder} and in {folder / 'src'}.")


def _metadata(project: Project) -> str:
    return "\n".join([*_headers(project), "", _readme(project)])


def _headers(project: Project) -> Iterator[str]:
    given = project.metadata
    yield from ("Metadata-Version: 2.1", f"Name: {project.name}", f"Version: {project.version}")
    yield f"Summary: {_line(given.get('description', ''))}"
    for field, header in (("authors", "Author"), ("maintainers", "Maintainer")):
        for person in given.get(field, ()):
            if isinstance(person, dict):
                yield f"{header}: {_line(person.get('name') or person.get('email') or '')}"
    yield from (f"Requires-Dist: {_line(text)}" for text in given.get("dependencies", ()))
    yield from (f"Project-URL: {_line(label)}, {_line(url)}" for label, url in dict(given.get("urls", {})).items())


def _readme(project: Project) -> str:
    given = project.metadata.get("readme", "")
    name = given.get("file", "") if isinstance(given, dict) else given
    path = project.folder / str(name or "README.md")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST)
    except OSError:
        return ""


def _line(value: Any) -> str:
    return " ".join(str(value).split())
