"""What a section of `hub.yaml` is: its shape, how to read what is there, and which commands make it so.

A plugin adds a section by the hook `hub_sections`. Everything else (checking, comparing, planning, owning, exporting,
the JSON schema) is done here for all sections alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema

from hub.errors import HubError, UsageError
from hub.moments import span
from hub.references import check_reference
from hub.runtime.definitions.faults import Path as Place
from hub.store.base import Tx
from hub.types import Id, Scope

RESOLVED = {"resolved": True}
"""Validation context of what a client has completed: secrets have values, deployments the facts of their flows."""
MAX_SECRET_FILE = 65_536
_HOW = "Write {env: NAME}, {file: PATH}, {secret: NAME of a stored one} or {ref: env:NAME}."
_WORDS = ("env", "file", "secret", "ref")
_Word: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


class Definition(BaseModel):
    """Base of what stands under a name. Settings that end in `_s` are seconds, or a text such as `90s`, `2h`, `30d`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _in_seconds(cls, given: Any, info: ValidationInfo) -> Any:
        if given is None:
            return {}  # a name with nothing under it
        if not isinstance(given, Mapping):
            return given
        if not (info.context or {}).get("resolved") and "facts" in given and "facts" in cls.model_fields:
            raise ValueError("`facts` are found out, they cannot be written")
        return {name: _seconds(value) if name.endswith("_s") else value for name, value in given.items()}


def _seconds(given: Any) -> Any:
    try:
        return span(given) if isinstance(given, str) else given
    except UsageError:
        return given  # which the type of the setting refuses


class Secret(BaseModel):
    """Where a secret is: in the environment of whoever applies the file, in a file there, or stored in the hub.

    `ref` is a reference that stays one: whatever uses the secret resolves it. `value` is what a client has found. It
    never stands in a file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    env: _Word | None = None
    file: _Word | None = None
    secret: _Word | None = None
    ref: _Word | None = None
    value: SecretStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, Mapping):
            raise ValueError(f"a secret never stands in the file itself. {_HOW}")
        if "value" in given and not (info.context or {}).get("resolved"):
            raise ValueError(f"a secret never stands in the file itself, not as `value` either. {_HOW}")
        return given

    @model_validator(mode="after")
    def _is_one(self) -> Secret:
        if sum(getattr(self, word) is not None for word in _WORDS) != 1:
            raise ValueError(f"say in one way where the secret is. {_HOW}")
        if self.ref is not None:
            _reference(self.ref)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """One of the four words; what a client adds is no part of a file."""
        word = {"type": "string", "minLength": 1}
        one = [
            {"type": "object", "properties": {name: word}, "required": [name], "additionalProperties": False}
            for name in _WORDS
        ]
        return {"description": f"A secret. {_HOW}", "oneOf": one}

    def found(self, folder: Path) -> SecretStr | None:
        """The value, looked up here; None for one that the hub keeps. Raises UsageError, which never holds it."""
        if self.ref is not None:
            return SecretStr(self.ref)
        if self.env is not None:
            if not (value := os.environ.get(self.env, "")):
                raise UsageError(f"the environment variable {self.env} is not set", hint=f"export {self.env}=...")
            return SecretStr(value)
        if self.file is None:
            return None
        path = folder / Path(self.file).expanduser()
        try:
            with path.open(encoding="utf-8") as file:
                value = file.read(MAX_SECRET_FILE + 1).rstrip("\r\n")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(f"the file {path} cannot be read: {why}") from None
        if not value or len(value) > MAX_SECRET_FILE:
            raise UsageError(f"the file {path} is empty, or larger than {MAX_SECRET_FILE} bytes")
        return SecretStr(value)

    def reference(self) -> dict[str, str]:
        """As it stands in a file."""
        return {name: word for name in _WORDS if (word := getattr(self, name)) is not None}


def _reference(text: str) -> None:
    try:
        check_reference(text)
    except UsageError as error:
        raise ValueError(f"{error.detail}. {error.hint}") from None


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is there: its settings, complete, and the values of its secrets by their places."""

    id: Id
    values: dict[str, Any]
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """All values that hold for a secret; a source has two while one is changed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something as it shall be: its settings, complete, and the values of the secrets that are given."""

    name: str
    values: dict[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Step:
    """A command to carry out."""

    op: str
    target: str
    args: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Reference:
    """That a definition names something else, which must be there or in the same file."""

    path: Place
    section: str
    name: str


def refusal(field: str, check: Callable[..., object], *given: Any) -> Iterator[HubError]:
    """What a check of the hub's own raises, said of a setting; nothing when it is content."""
    try:
        check(*given)
    except HubError as error:
        yield UsageError(error.detail, hint=error.hint, field=field)


def nothing(*_: Any) -> tuple[()]:
    """Of a section that has none of it."""
    return ()


@dataclass(frozen=True, slots=True)
class Section:
    """A kind of things that `hub.yaml` declares.

    `scope`: the noun of the scopes `<noun>:read` and `<noun>:write`. `rank`: sections of a lower one come first, as
    what others refer to must. `complete(definition, found)` gives every setting without the secrets; what a file may
    leave as it is (switches such as `paused`) is taken from what was found. `steps(wanted, found, changed)` are the
    commands; `changed` names the settings (and places of secrets) that differ. `remove` is the command that removes
    one; empty: nothing does. `fixed`: settings that cannot be changed once it is there.
    """

    name: str
    summary: str
    model: type[Definition]
    scope: str
    rank: int
    complete: Callable[[Any, Found | None], dict[str, Any]]
    read: Callable[[Tx, Scope, Collection[str] | None], dict[str, Found]]
    steps: Callable[[Wanted, Found | None, frozenset[str]], Iterable[Step]]
    remove: str = ""
    names: str = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
    fixed: frozenset[str] = frozenset()
    secrets: Callable[[Any], Mapping[str, Secret]] = lambda _: {}
    """Of a definition: the secrets that are given, by their places, `secret` or `fields.password`."""
    check: Callable[[str, Any], Iterable[HubError]] = nothing
    """Errors (with their `field`) for what the command would refuse, as far as the definition tells by itself."""
    refers: Callable[[Any], Iterable[Reference]] = nothing
    resolve: Callable[[str, dict[str, Any], Path], dict[str, Any]] = lambda _name, written, _folder: written
    """On the client: what only the machine with the file knows. (name, what is written, folder). Raises HubError."""
    shows: Callable[[Mapping[str, Any], Callable[[str], str]], dict[str, str]] = lambda _result, _address: {}
    """What of a command's result is shown this once: (result, token -> address)."""
    brief: Callable[[dict[str, Any], Path], dict[str, Any]] | None = None
    """For an export: (complete settings, folder of the file) -> as one would write them. None: what is no default."""
    everywhere: tuple[str, Mapping[str, Any]] | None = None
    """Name and settings of one that every hub has: not exported."""
    made: frozenset[str] = frozenset()
    """Secrets that the hub makes by itself: left out of an export unless it is known where they came from."""
