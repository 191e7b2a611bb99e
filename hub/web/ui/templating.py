"""The templates' environment: HTML escaped everywhere, a name that is not given is an error, not an empty text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hub.runtime.composing import in_words
from hub.runtime.labels import in_words as placed
from hub.states import TERMINAL, StateType
from hub.version import __version__
from hub.web.ui import show
from hub.web.ui.icons import icon
from hub.web.ui.markdown import markdown
from hub.web.ui.outcomes import mark_of

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"


@lru_cache(maxsize=32)
def environment(*folders: Path) -> Environment:
    """The environment over the dashboard's own templates; a plugin's folders come first.

    Its templates find the dashboard's macros in `macros.html` and its layout in `base.html`.
    """
    own = FileSystemLoader(FOLDER / "templates")
    env = Environment(
        loader=ChoiceLoader([*(FileSystemLoader(folder) for folder in folders), own]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("duration", "ago", "clock", "stamp", "size", "number", "plural", "pretty", "cut", "exact", "sentence"):
        env.filters[name] = getattr(show, name)
    env.filters["state_icon"] = state_icon
    env.filters["waits_for"] = in_words
    env.filters["placed"] = placed
    env.filters["pairs"] = pairs
    env.filters["markdown"] = markdown
    env.globals.update(icon=icon, link=link, static=static, version=__version__, TERMINAL=TERMINAL)
    env.globals["outcome_mark"] = mark_of
    return env


def render(template: str, context: Mapping[str, Any], *folders: Path) -> Markup:
    """Render a template that needs no request (a panel); the result is safe HTML."""
    return Markup(environment(*folders).get_template(template).render(**context))  # noqa: S704 - autoescaped above


def link(path: str, /, *parts: str, **query: object) -> str:
    """An address inside the dashboard: `path`, then `parts` and `query` quoted; empty query values are left out."""
    address = "/".join([path, *(quote(part, safe="") for part in parts)])
    given = {name.rstrip("_"): str(value) for name, value in query.items() if value not in (None, "")}
    return f"{address}?{urlencode(given)}" if given else address


def static(name: str) -> str:
    """The address of a static file with its digest, so that browsers may keep it for ever."""
    return f"/ui/static/{name}?v={digest(name)}"


@lru_cache(maxsize=16)
def digest(name: str) -> str:
    """The first characters of the file's SHA-256."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def pairs(values: Iterable[str]) -> list[tuple[str, str]]:
    """Options of a select whose values are their texts."""
    return [(value, value) for value in values]


def state_icon(state: str) -> Markup:
    """The icon of a state; each has an outline of its own, so that nothing depends on colour."""
    return icon(state if state in StateType.__members__ else "info")
