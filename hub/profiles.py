"""Client profiles: which hub the commands of this machine talk to, and with what token.

They are kept in `profiles.toml` in the home, apart from `hub.toml`: commands write it, and it holds tokens, so nobody
else may read it (mode 0600). The profile `local` always is: this machine's own hub.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.errors import NotFoundError, SettingError, UsageError

LOCAL = "local"
FIELDS = ("api_url", "api_key", "api_ca")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
_OTHERS = 0o077


@dataclass
class Profiles:
    """What the file says: the profile in use (empty: what `hub.toml` says), and the settings of each by its name."""

    active: str = ""
    known: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)


def path_of(home: Path) -> Path:
    """Where the file is."""
    return home / "profiles.toml"


def read(home: Path) -> Profiles:
    """What the file says; nothing where there is none. Raises SettingError for one that others may read."""
    path = path_of(home)
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = tomllib.load(file)
    except FileNotFoundError:
        return Profiles()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {error}.") from None
    if mode & _OTHERS:
        raise SettingError(f"{path} holds tokens, and others may read it.", hint=f"chmod 600 {path}")
    known = data.get("profiles", {})
    return Profiles(str(data.get("active", "")), {name: _checked(path, name, one) for name, one in known.items()})


@contextmanager
def changing(home: Path) -> Iterator[Profiles]:
    """Read, change and write back, one process at a time; a reader sees the file before or after, never half of it."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "profiles.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = read(home)
        yield found
        _write(path_of(home), found)


def check_name(name: str) -> str:
    """The name. Raises UsageError when a profile cannot be called so."""
    if not _NAME.match(name):
        hint = "Letters, digits, dots, dashes, underscores."
        raise UsageError(f"a profile cannot be called {name[:100]!r}", hint=hint)
    if name == LOCAL:
        raise UsageError("the profile local is this machine's own hub; it has no address and no token")
    return name


def find(found: Profiles, name: str) -> dict[str, str]:
    """A profile's settings. Raises NotFoundError."""
    if name not in found.known:
        known = ", ".join((LOCAL, *found.known))
        raise NotFoundError(f"there is no profile {name[:100]!r}", hint=f"Known: {known}.")
    return found.known[name]


def _checked(path: Path, name: str, given: Mapping[str, Any]) -> dict[str, str]:
    for key in given:
        if key not in FIELDS:
            raise SettingError(f"{path}: profile {name!r} sets {key!r}; only {', '.join(FIELDS)} belong there.")
    return {key: str(value) for key, value in given.items()}


def _write(path: Path, found: Profiles) -> None:
    lines = [f"active = {_text(found.active)}"]
    for name, values in sorted(found.known.items()):
        lines += ["", f"[profiles.{_text(name)}]", *(f"{key} = {_text(value)}" for key, value in values.items())]
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _text(value: str) -> str:
    """A text as TOML writes it: as JSON does, but for DEL."""
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
