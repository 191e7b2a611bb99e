"""`hub plugins new`: a whole project of a plugin, made of the files in `templates/`.

A template is a file whose name ends with `.tmpl`; `@name@`, `@title@` and a few more words in it are filled in. A
folder holds what a kind of plugin has of its own, `common` what all have; `kind.toml` is what is said of the kind.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from cyclopts import Parameter

from hub.cli import output
from hub.cli.output import DryRun
from hub.errors import ConflictError, UsageError
from hub.version import __version__

TEMPLATES = Path(__file__).parent / "templates"
Kind = Literal["action", "source", "channel", "result-store", "secret", "launcher", "panel"]
KINDS: tuple[str, ...] = get_args(Kind)
NAME = re.compile(r"[a-z](-?[a-z0-9])+")
_LAST = "pyproject.toml"
LONGEST = 30
"""Shorter than a manifest allows: the name is a scheme of channels, too."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is to be made: its words, and its files by their place in it."""

    words: dict[str, str]
    files: dict[str, str]


def new(
    name: Annotated[str, Parameter(help="Its name, such as acme; the package is hub_acme.")],
    *,
    kind: Annotated[Kind, Parameter(help="What it brings.")],
    path: Annotated[Path | None, Parameter(help="Folder of the project; hub-NAME in this one without it.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Make a project of a plugin: module, manifest, tests, CI file, README. Its tests pass at once."""
    project = draw(name, kind)
    folder = path or Path(project.words["distribution"])
    refuse_taken(folder, project)
    for place in project.files:
        output.say(f"{folder / place}")
    if dry_run:
        output.say("Nothing was written.")
        return
    write(folder, project)
    output.say(f"\n{len(project.files)} files. Go on there:\n\n  cd {folder}\n  pip install -e '.[test]'\n  pytest")
    output.say("  hub plugins check .\n  hub plugins dev .")


def draw(name: str, kind: str) -> Project:
    """The project of a plugin of that name and kind. Raises UsageError for a name that cannot be one."""
    _check(name)
    said = tomllib.loads((TEMPLATES / kind / "kind.toml").read_text(encoding="utf-8"))
    words = {
        "name": name, "package": f"hub_{name.replace('-', '_')}", "distribution": f"hub-{name}",
        "title": name.replace("-", " ").title(), "class": name.replace("-", " ").title().replace(" ", ""),
        "variable": name.upper().replace("-", "_"), "hub_version": __version__,
    }  # fmt: skip
    for word in ("summary", "what"):
        words[word] = filled(str(said[word]).strip(), words)
    files = {place: filled(text, words) for folder in ("common", kind) for place, text in _texts(folder)}
    return Project(words, {filled_path(place, words): files[place] for place in sorted(files)})


def filled(text: str, words: dict[str, str]) -> str:
    """The text with its placeholders filled in; every other `@` stays."""
    return re.sub(rf"@({'|'.join(words)})@", lambda found: words[found.group(1)], text)


def filled_path(place: str, words: dict[str, str]) -> str:
    """Where a template's file goes."""
    return place.removesuffix(".tmpl").replace("_package_", words["package"])


def refuse_taken(folder: Path, project: Project) -> None:
    """Nothing that is there is ever overwritten. Raises ConflictError that says what is there.

    A project of the same words that was begun and is not whole, because somebody killed that, is no obstacle.
    """
    if folder.exists() and not folder.is_dir():
        raise ConflictError(f"{folder} is there already, and no folder", hint="Give another place by --path.")
    there = [place for place in project.files if (folder / place).exists()]
    begun = all(_holds(folder / place, project.files[place]) for place in there) and len(there) < len(project.files)
    if there and not begun:
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        raise ConflictError(
            f"{folder} has {', '.join(there[:3])}{more} already; nothing was written",
            hint="Give another place by --path, or move those files away.",
        )


def write(folder: Path, project: Project) -> None:
    """Write the files, each whole or not at all. Raises UsageError where the place cannot be written.

    The last is what makes the folder a project: half of one is none, and the same command makes it whole.
    """
    try:
        for place in sorted(project.files, key=lambda place: (place == _LAST, place)):
            path = folder / place
            beside = path.with_name(f".{path.name}.new")
            path.parent.mkdir(parents=True, exist_ok=True)
            beside.unlink(missing_ok=True)
            if not path.exists():
                beside.write_text(project.files[place], encoding="utf-8")
                os.rename(beside, path)
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}", hint="Give another place by --path."
        ) from None


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def _check(name: str) -> None:
    if name.startswith("hub-"):
        raise UsageError(f"the project is called hub-NAME by itself: {name!r}", hint=f"Write {name[4:] or 'acme'}.")
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise UsageError(
            f"{name[:60]!r} cannot be the name of a plugin",
            hint=f"Lower-case letters, digits and single dashes, a letter first, 2 to {LONGEST} characters: acme-chat.",
        )
    taken = _taken(name)
    if taken:
        raise UsageError(f"{taken} has the name {name!r} already", hint="Give the plugin another name.")


def _taken(name: str) -> str:
    """Who has the name: a plugin that is installed, or a preset whose events would be called alike."""
    from hub.plugins import list_manifests
    from hub.runtime.presets import installed
    from hub.settings import load_settings

    rows = list_manifests(load_settings())
    plugin = next((row for row in rows if row.name == name), None)
    if plugin is not None:
        return f"a plugin of {plugin.distribution or 'an unknown distribution'}"
    return f"the webhook preset {name}" if name in {preset.id for preset in installed()} else ""


def _texts(folder: str) -> Iterator[tuple[str, str]]:
    base = TEMPLATES / folder
    for path in sorted(base.rglob("*.tmpl")):
        yield path.relative_to(base).as_posix(), path.read_text(encoding="utf-8")
