"""A plugin's manifest: data beside its module, read without importing it."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.hookspecs import HOOKSPEC_VERSION


class Manifest(BaseModel):
    """`manifest.toml`: what a plugin is called, which hook specification it was written for, where it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,39}$", description="Its name, the same as the entry point's.")
    summary: str = Field(min_length=1, max_length=200, description="One sentence for `hub plugins ls`.")
    hookspec: str = Field(">=1.0,<2", description="Range of hook specifications it works with.")
    runs_in: tuple[Literal["web", "worker", "upkeep", "cli", "inline"], ...] = ("web", "upkeep", "worker", "cli")
    cli: dict[str, str] = Field(default_factory=dict, description="Command name -> import string of a Cyclopts app.")
    cli_help: dict[str, str] = Field(default_factory=dict, description="Command name -> its line in `hub --help`.")
    config: str = Field(
        "",
        pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$",
        description="Import string of its pydantic model, module:Model.",
    )
    network: tuple[str, ...] = Field((), description="Hosts it talks to.")
    secrets: tuple[str, ...] = Field((), description="Names of secrets it reads.")
    isolation: Literal["inline", "process"] = "inline"
    maturity: Literal["draft", "bronze", "silver", "gold"] = "draft"
    exemptions: dict[str, str] = Field(default_factory=dict, description="Rule of the claimed level -> why not.")

    def fits(self) -> bool:
        """Whether this hub's hook specification is in the plugin's range."""
        return HOOKSPEC_VERSION in SpecifierSet(self.hookspec)


def read_manifest(module: str) -> Manifest:
    """The manifest beside `module` (dotted name). Raises ValueError with what is wrong in one sentence."""
    path = _folder(module) / "manifest.toml"
    try:
        manifest = Manifest.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        SpecifierSet(manifest.hookspec)
    except FileNotFoundError:
        raise ValueError(f"there is no manifest.toml beside {module}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, InvalidSpecifier) as error:
        raise ValueError(f"manifest.toml of {module} cannot be read: {error}") from None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(f"manifest.toml of {module} is wrong: {wrong}") from None
    return manifest


def _folder(module: str) -> Path:
    # Only the top-level name is looked up: asking for a submodule's spec would import its parents.
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise ValueError(f"the package {top} is not installed")
    if spec.submodule_search_locations is None:
        return Path(spec.origin or ".").parent
    return Path(next(iter(spec.submodule_search_locations)), *rest[:-1])
