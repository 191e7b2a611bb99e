"""Strangers' plugins that no installer has seen: packages with metadata in a folder that is put on the path."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

MANIFEST = 'name = "{name}"\nsummary = "A plugin of the tests."\nhookspec = "{hookspec}"\nruns_in = [{runs_in}]\n{more}'
EVERYWHERE = ("web", "upkeep", "worker", "cli")


def stranger(
    folder: Path,
    name: str,
    code: str,
    *,
    distribution: str = "",
    version: str = "1.2",
    hookspec: str = ">=1.0,<2",
    runs_in: Iterable[str] = EVERYWHERE,
    more: str = "",
    requires: Iterable[str] = (),
    files: dict[str, str] | None = None,
) -> Path:
    """Install a plugin into `folder`: `code` is its module, `more` stands in its manifest; gives its package."""
    project = distribution or f"stranger-{name}"
    package = folder / project.replace("-", "_")
    package.mkdir(parents=True)
    where = ", ".join(f'"{kind}"' for kind in runs_in)
    (package / "__init__.py").write_text("")
    (package / "plugin.py").write_text(code)
    (package / "manifest.toml").write_text(
        MANIFEST.format(name=name, hookspec=hookspec, runs_in=where, more=more), encoding="utf-8"
    )
    for path, text in (files or {}).items():
        (package / path).write_text(text)
    facts = folder / f"{package.name}-{version}.dist-info"
    facts.mkdir()
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n{needs}")
    (facts / "entry_points.txt").write_text(f"[hub.plugins]\n{name} = {package.name}.plugin\n")
    return package
