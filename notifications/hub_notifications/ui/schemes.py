"""The services that a channel can be made for, and the fields of their forms, as pages show them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from hub_notifications.forms import FIELD, FormField, Scheme

POPULAR = (
    "mailtos", "slack", "discord", "workflows", "gchat", "tgram", "pagerduty", "opsgenie", "ntfys", "mmosts",
    "slack+https", "hub+https", "pover", "twilio",
)  # fmt: skip
_TRUTH = (("yes", "yes"), ("no", "no"))
_TARGETS = ("targets", "to")


@dataclass(frozen=True, slots=True)
class Service:
    """A service with all of its schemes, the one to take first."""

    name: str
    schemes: tuple[Scheme, ...]
    allowed: bool

    @property
    def words(self) -> str:
        """What a search looks in."""
        return " ".join((self.name, *(one.scheme for one in self.schemes))).casefold()


@dataclass(frozen=True, slots=True)
class Shown:
    """A field as a form shows it."""

    key: str
    label: str
    kind: str
    required: bool
    private: bool
    help: str
    options: tuple[tuple[str, str], ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


def services(schemes: Iterable[Scheme], allowed: Callable[[str], bool]) -> list[Service]:
    """Every service, the usual ones first; those that are not allowed here last."""
    found: dict[str, list[Scheme]] = {}
    for one in schemes:
        found.setdefault(one.service, []).append(one)
    made = []
    for name, ones in found.items():
        known = {one.scheme for one in ones}
        usable = sorted(ones, key=lambda one: (not allowed(one.scheme), not _is_secure(one.scheme, known), one.scheme))
        made.append(Service(name, tuple(usable), allowed(usable[0].scheme)))
    return sorted(made, key=lambda one: (not one.allowed, _rank(one), one.name.casefold()))


def _is_secure(scheme: str, known: Iterable[str]) -> bool:
    return scheme.endswith("s") and scheme[:-1] in known


def _rank(service: Service) -> int:
    return min((POPULAR.index(one.scheme) for one in service.schemes if one.scheme in POPULAR), default=len(POPULAR))


def fields(scheme: Scheme) -> tuple[list[Shown], list[Shown]]:
    """Those that an address is made of, what it always needs first; and those that may be left as they are."""
    ways = scheme.ways
    always = frozenset.intersection(*ways) if ways else frozenset()
    own = [one for one in scheme.fields if one.place == "address" or one.required]
    own.sort(key=lambda one: not (one.name in always or one.place == "argument"))
    needed = always | {one.name for one in own if one.place == "argument"}
    more = [one for one in scheme.fields if one not in own]
    return [_shown(one, one.name in needed) for one in own], [_shown(one, False) for one in more]


def ways(scheme: Scheme) -> list[str]:
    """What belongs together where an address can be made in more than one way; else nothing."""
    labels = {one.name: one.label for one in scheme.fields}
    found = scheme.ways
    return [" and ".join(labels[name] for name in scheme.names if name in way) for way in found] if found[1:] else []


def _shown(one: FormField, required: bool) -> Shown:
    attributes = {"autocomplete": "off", "maxlength": "2000"}
    if one.type == "int":
        attributes["inputmode"] = "numeric"
    kind, options = "text", tuple((value, value) for value in one.values)
    if one.type == "bool":
        options = _TRUTH
    if options:
        usual = {"True": "yes", "False": "no"}.get(one.default, one.default)
        kind, options = "select", (("", f"as usual ({usual})" if usual else "as usual"), *options)
        attributes = {}
    elif one.private:
        kind = "password"
    return Shown(FIELD + one.name, one.label, kind, required, one.private, _help(one), options, attributes)


def _help(one: FormField) -> str:
    said = []
    if one.private:
        said.append("A secret: sealed, and never shown again.")
    if one.name in _TARGETS:
        said.append("One of them: what is to go to others as well gets a channel each.")
    elif one.many:
        said.append("Several are separated by commas.")
    if one.default and one.type not in ("bool",) and not one.values:
        said.append(f"Usually {one.default}.")
    return " ".join(said)


def typed(scheme: Scheme, text: Callable[[str], str]) -> dict[str, str]:
    """What was typed into the fields of a scheme."""
    given: dict[str, Any] = {one.name: text(FIELD + one.name) for one in scheme.fields}
    return {name: value for name, value in given.items() if value}
