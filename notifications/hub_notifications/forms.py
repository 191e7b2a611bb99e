"""Addresses from fields, and the fields of each scheme: for forms, help and completion.

The fields are those of Apprise's `details()`. What is typed into one is data: it is quoted, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from functools import cache
from typing import Any, Literal
from urllib.parse import quote

from hub.channels import ChannelKind
from hub.errors import NotFoundError, UsageError

from hub_notifications import bridge

_TOKEN = re.compile(r"\{(\w+)\}")
_HIDDEN = frozenset({"retry", "wait", "optional", "redirect", "overflow", "rto", "cto", "store", "emojis", "tz"})
"""Arguments that only the hub decides, see `bridge.tame`."""
FIELD = "fields."
"""Before the name of a field, in errors that are about it."""
_EXTRA = ("+", ":", "-")
"""Prefixes of arguments that have any name: headers and fields of the payload."""
_OWN = {
    "slack+https": ("Slack-compatible webhook", "{schema}://{host}/{path}"),
    "slack+http": ("Slack-compatible webhook, without TLS (private networks only)", "{schema}://{host}:{port}/{path}"),
    "hub+https": ("Signed webhook (Standard Webhooks)", "{schema}://{host}/{path}"),
    "hub+http": ("Signed webhook without TLS (private networks only)", "{schema}://{host}:{port}/{path}"),
}


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of an address."""

    name: str
    label: str
    type: str
    required: bool
    private: bool
    """A secret: forms hide it."""
    place: Literal["address", "argument"]
    default: str = ""
    values: tuple[str, ...] = ()
    pattern: str = ""
    many: bool = False
    """Several values, separated by commas."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How addresses of one scheme are made."""

    scheme: str
    service: str
    templates: tuple[str, ...]
    fields: tuple[FormField, ...]
    attachments: bool = False
    more: str = ""
    """Where more is to be read."""

    @property
    def names(self) -> list[str]:
        """Of its fields."""
        return [one.name for one in self.fields]

    @property
    def ways(self) -> list[frozenset[str]]:
        """The least that an address can be made of: sets of fields, each enough by itself."""
        found = {_tokens_of(template) for template in self.templates}
        least = [one for one in found if not any(other < one for other in found)]
        return sorted(least, key=lambda one: (len(one), sorted(one)))


def list_schemes(kinds: Mapping[str, ChannelKind] | None = None) -> list[Scheme]:
    """Every scheme, by name: the hub's own, those of plugins, and Apprise's that this machine can use."""
    found = dict(_known())
    for kind in (kinds or {}).values():
        found[kind.scheme] = Scheme(kind.scheme, kind.summary, (kind.example,), (), kind.attachments)
    return [found[name] for name in sorted(found)]


@cache
def _known() -> Mapping[str, Scheme]:
    """The hub's own and Apprise's: a quarter of a second, once a process."""
    found = {name: _own(name) for name in _OWN}
    with bridge.quiet():
        listed = bridge.load().Apprise().details()["schemas"]
    for entry in listed:
        for name in (*(entry["secure_protocols"] or ()), *(entry["protocols"] or ())):
            found.setdefault(name, _apprise(name, entry))
    return found


def find_scheme(name: str, kinds: Mapping[str, ChannelKind] | None = None) -> Scheme:
    """One scheme. Raises NotFoundError that names those like it."""
    known = {one.scheme: one for one in list_schemes(kinds)}
    if name.lower() in known:
        return known[name.lower()]
    near = ", ".join(get_close_matches(name.lower(), known, 3))
    raise NotFoundError(
        f"there is no scheme {name[:30]!r}", hint=f"Did you mean {near}?" if near else "`hub channels schemes`"
    )


def build_address(scheme: Scheme, fields: Mapping[str, str]) -> str:
    """The address that the fields make, each quoted. Raises UsageError that names fields, never a value."""
    known = {one.name: one for one in scheme.fields}
    given = {name: value for name, value in fields.items() if value != ""}
    unknown = sorted(name for name in given if name not in known and not name.startswith(_EXTRA))
    if unknown:
        raise UsageError(
            f"{scheme.scheme}:// has no field {', '.join(unknown)}", hint=f"Its fields: {', '.join(known)}."
        )
    for name, value in given.items():
        if name in known:
            _check(known[name], value)
    tokens = {name: value for name, value in given.items() if name in known and known[name].place == "address"}
    template = _template(scheme, tokens)
    filled = _TOKEN.sub(lambda match: _filled(match, scheme, known, tokens), template)
    asked = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in given.items() if name not in tokens)
    return f"{filled}?{asked}" if asked else filled


def _check(field: FormField, value: str) -> None:
    """Refuse what its service cannot take, at its field. Patterns are those of Apprise, which asks them again."""
    fault = ""
    if field.type == "int" and not (value.isascii() and value.isdecimal()):
        fault = "expected a whole number"
    elif field.values and value.lower() not in map(str.lower, field.values):
        fault = f"expected one of {', '.join(field.values)}"
    elif field.pattern and not re.search(field.pattern, value.strip(), re.IGNORECASE):
        fault = "this is not what it looks like at the service; copy it from there once more"
    if fault:
        raise UsageError(f"{FIELD}{field.name}: {fault}", field=f"{FIELD}{field.name}")


def _template(scheme: Scheme, tokens: Mapping[str, str]) -> str:
    """The shortest template that has a place for all that is given and wants nothing else."""
    wanted = frozenset(tokens)
    fitting = [one for one in scheme.templates if _tokens_of(one) == wanted]
    if fitting:
        return min(fitting, key=len)
    forms = " or ".join(sorted({", ".join(sorted(_tokens_of(one))) for one in scheme.templates}))
    lacking = [one for template in scheme.templates if (one := sorted(_tokens_of(template) - wanted)) and
               wanted < _tokens_of(template)]  # fmt: skip
    missing = min(lacking, key=len, default=[])
    raise UsageError(
        f"no form of a {scheme.scheme}:// address takes just these fields: {', '.join(sorted(wanted)) or 'none'}",
        hint=f"It takes {forms[:600]}.",
        **({"field": f"{FIELD}{missing[0]}"} if missing else {}),
    )


def _tokens_of(template: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(template)) - {"schema"}


def _filled(match: re.Match[str], scheme: Scheme, known: Mapping[str, FormField], tokens: Mapping[str, str]) -> str:
    name = match[1]
    if name == "schema":
        return scheme.scheme
    if known[name].many:
        return "/".join(_quoted(one.strip()) for one in tokens[name].split(",") if one.strip())
    if name in ("path", "fullpath"):
        before = "" if match.string[: match.start()].endswith("/") else "/"
        after = "/" if match.string[match.end() :].startswith("{") else ""
        return before + quote(tokens[name].strip("/"), safe="/") + after
    return quote(tokens[name], safe="")


def _quoted(text: str) -> str:
    return quote(text, safe="#@+:" if text[:1] in "#@+:" and text[1:].isalnum() else "")


def _own(name: str) -> Scheme:
    service, template = _OWN[name]
    fields = [
        FormField("host", "Host", "string", True, False, "address"),
        FormField("path", "Path", "string", True, True, "address"),
        FormField("port", "Port", "int", ":{port}" in template, False, "address"),
    ]
    if name.startswith("hub+"):
        fields.append(FormField("secret", "Secret to sign with (whsec_...)", "string", True, True, "argument"))
    return Scheme(name, service, tuple(dict.fromkeys((template, "{schema}://{host}:{port}/{path}"))), tuple(fields))


def _apprise(name: str, entry: Mapping[str, Any]) -> Scheme:
    details = entry["details"]
    used = {part for template in details["templates"] for part in _TOKEN.findall(template)} - {"schema"}
    fields = [_field(part, spec, "address") for part, spec in details["tokens"].items() if part in used]
    taken = {one.name for one in fields}
    fields += [
        _field(argument, spec, "argument") for argument, spec in details["args"].items()
        if "alias_of" not in spec and argument not in _HIDDEN and argument not in taken
    ]  # fmt: skip
    return Scheme(
        name, str(entry["service_name"]), tuple(details["templates"]), tuple(fields), bool(entry["attachment_support"]),
        str(entry["setup_url"] or ""),
    )  # fmt: skip


def _field(name: str, spec: Mapping[str, Any], place: Literal["address", "argument"]) -> FormField:
    kind, default = str(spec.get("type", "string")), spec.get("default")
    default = default.value if isinstance(default, Enum) else default
    values: Sequence[Any] = sorted(map(str, spec.get("values") or ()))
    pattern = (spec.get("regex") or ("",))[0] or ""
    return FormField(
        name, str(spec.get("name", name)), kind.rpartition(":")[2] if kind.startswith("list:") else kind,
        bool(spec.get("required")), bool(spec.get("private")), place, "" if default is None else str(default),
        tuple(values), pattern, kind.startswith("list:"),
    )  # fmt: skip
