"""The filters and tests that a template has.

What a filter makes of a text is a plain text, escaped where it is printed; only those that write the format (`link`,
`code`, `bold`, `block`, `escape`) make one that is written already.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import filters as jinja
from jinja2 import pass_context, pass_environment
from jinja2.runtime import Context, Undefined
from jinja2.utils import url_quote

from hub.texts import formats
from hub.texts.formats import Format, Safe
from hub.texts.limits import MAX_STRING, Refused, bounded
from hub.texts.words import Moment, counted, moment, spoken

TESTS = frozenset(
    {
        "boolean", "defined", "divisibleby", "eq", "equalto", "even", "false", "float", "ge", "greaterthan", "gt", "in",
        "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence",
        "string", "true", "undefined", "upper", "==", "!=", ">", ">=", "<", "<=",
    }
)  # fmt: skip
_DIRECTIVES = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSyYzZF%])*")
_ZONE = re.compile(r"[A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+){0,2}")


def _of_plain(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that gets what is written in the format as plain text: what it makes of that is not."""

    @functools.wraps(filter_)
    def call(*given: Any, **named: Any) -> Any:
        return filter_(*map(_plain, given), **{name: _plain(value) for name, value in named.items()})

    return call


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Safe) else value


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else tojson(value)


def replace(value: Any, old: str, new: str, count: int = -1) -> str:
    """With one text in place of another."""
    text, old, new = _text(value), _text(old), _text(new)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    if len(text) + times * (len(new) - len(old)) > MAX_STRING:
        raise Refused(f"replace makes a text longer than {MAX_STRING:,} characters")
    return text.replace(old, new, count)


def truncate(value: Any, length: int = 255, end: str = "…") -> str:
    """No longer than `length`, cut at the end of a word where there is one."""
    text, end = _text(value), _text(end)
    if len(text) <= length:
        return text
    room = max(length - len(end), 0)
    short = text[:room].rsplit(None, 1)[0] if " " in text[1:room] and not text[room].isspace() else text[:room]
    return short.rstrip() + end


def lines(value: Any, count: int = 10) -> str:
    """The last lines of a text or a list; a negative number gives the first ones."""
    found = [_text(item) for item in value] if isinstance(value, list | tuple) else _text(value).splitlines()
    return "\n".join(found[-count:] if count > 0 else found[: -count or None])


def tojson(value: Any) -> str:
    """As JSON."""
    return json.dumps(value, ensure_ascii=False, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, Iterable):
        return list(value)
    raise Refused("it is nothing that JSON has")


@pass_environment
def total(environment: Any, value: Iterable[Any], attribute: str | None = None) -> float:
    """The sum of numbers."""
    found = list(value) if attribute is None else [environment.getitem(one, attribute) for one in value]
    if not all(isinstance(one, int | float) for one in found):
        raise Refused("sum adds numbers, and something else was among them")
    return float(sum(found)) if any(isinstance(one, float) for one in found) else int(sum(found))


def rounded(value: float, digits: int = 0) -> float:
    """A number with so many digits behind the point."""
    if not -15 <= digits <= 15:
        raise Refused("round takes 0 to 15 digits")
    return float(round(value, digits)) if digits else round(value)


@pass_environment
def join(environment: Any, value: Iterable[Any], between: str = "", attribute: str | None = None) -> str:
    """The items behind each other; written in the format where an item is."""
    items = list(value) if attribute is None else [environment.getitem(item, attribute) for item in value]
    parts = [part for item in items for part in (between, item)][1:]
    made: str = environment.joined(parts)
    return made


def date(value: Any, form: str = "%Y-%m-%d %H:%M", zone: str = "UTC") -> str:
    """A time as people write it, in a time zone."""
    if not _DIRECTIVES.fullmatch(form) or len(form) > 100:
        raise Refused("a date is written with %Y %m %d %H %M %S, %y %b %B %a %A %I %p %j %F %z %Z")
    at = _moment(value)
    return "" if at is None else at.astimezone(_zone(zone)).strftime(form)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        if _ZONE.fullmatch(name):
            return ZoneInfo(name)
    except (OSError, ValueError):
        pass
    raise Refused(f"there is no time zone {name[:60]!r}; write one such as Europe/Berlin")


def _moment(value: Any) -> datetime | None:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if value in (None, ""):
        return None
    found: Moment | None = moment(value)
    if found is None:
        raise Refused(f"{str(value)[:60]!r} is no time")
    return found


def duration(value: Any, until: Any = None) -> str:
    """Seconds, or the time between two moments, as people say it: `2 h 5 min`."""
    if until is None and isinstance(value, int | float):
        return spoken(value)
    start, end = _moment(value), _moment(until)
    return "" if start is None or end is None else spoken((end - start).total_seconds())


@pass_context
def since(context: Context, value: Any) -> str:
    """How long ago it was when the message was made."""
    return duration(value, context.get("created_at"))


def plural(value: Any, one: str, many: str = "") -> str:
    """A number and what it counts: `1 run`, `3 runs`."""
    return counted(value if isinstance(value, int) else len(value), _text(one), _text(many))


def _written(write: Callable[[str, Format], Safe]) -> Callable[..., Safe]:
    @pass_environment
    def filter_(environment: Any, value: Any) -> Safe:
        return write(_text(value), environment.form)

    return filter_


@pass_environment
def link(environment: Any, value: Any, text: Any = "") -> Safe:
    """A link to an address, by a name."""
    return formats.link(_text(value), _text(text), environment.form)


@pass_environment
def escape(environment: Any, value: Any) -> Safe:
    """As it would be printed."""
    return Safe(environment.escape(value))


def _escaped(form: Format) -> Callable[..., str]:
    """Escaped for a format, whatever the channel's is: of another one it is a text like any other."""

    @pass_environment
    def filter_(environment: Any, value: Any) -> str:
        made = formats.escape(value if isinstance(value, Safe) else _text(value), form)
        return made if environment.form == form else str(made)

    return filter_


def default(value: Any, instead: Any = "", also_empty: bool = False) -> Any:
    """Something else where there is nothing."""
    return instead if isinstance(value, Undefined) or value is None or (also_empty and not value) else value


def _checked(name: str) -> Callable[..., Any]:
    """A method of texts as a filter."""

    def filter_(value: Any) -> str:
        return bounded(getattr(_text(value), name)())

    return filter_


def as_items(value: Any) -> list[tuple[Any, Any]]:
    """The pairs of a mapping."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, Undefined) or value is None:
        return []
    raise Refused("items takes a mapping, such as alert.labels")


PLAIN: dict[str, Callable[..., Any]] = {
    **{name: _checked(name) for name in ("upper", "lower", "title", "capitalize")},
    "trim": _checked("strip"),
    "string": _text,
    "replace": replace,
    "truncate": truncate,
    "lines": lines,
    "tojson": tojson,
    "urlencode": lambda value: url_quote(_text(value)),
    "date": date,
    "duration": duration,
    "since": since,
    "plural": plural,
    "items": as_items,
    "reverse": lambda value: value[::-1] if isinstance(value, str) else list(value)[::-1],
    "count": len,
    "length": len,
    "abs": abs,
    "int": jinja.do_int,
    "float": jinja.do_float,
    "round": rounded,
    "list": list,
}
AS_THEY_ARE: dict[str, Callable[..., Any]] = {
    **{
        name: jinja.FILTERS[name]
        for name in (
            "dictsort", "first", "groupby", "last", "map", "max", "min", "reject", "rejectattr", "select", "selectattr",
            "sort", "unique",
        )
    },
    "d": default,
    "default": default,
    "join": join,
    "sum": total,
    "escape": escape,
    "e": escape,
    "slack": _escaped("slack"),
    "markdown": _escaped("markdown"),
    "html": _escaped("html"),
    "link": link,
    "code": _written(formats.code),
    "bold": _written(formats.bold),
    "block": _written(formats.block),
}  # fmt: skip
FILTERS: dict[str, Callable[..., Any]] = {**{name: _of_plain(one) for name, one in PLAIN.items()}, **AS_THEY_ARE}
