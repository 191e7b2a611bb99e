"""Trigger rules: what of them verifies the sender, and the rest as CEL."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from ipaddress import ip_network

from hub.webhooks.adnanh.reading import Node
from hub.webhooks.allowing import MAX_NETWORKS
from hub.webhooks.keeping import is_kept, is_secret

_HASH = re.compile(r"payload-(?:hash|hmac)-(sha1|sha256|sha512)\Z")
_PLACE = "ip-whitelist"
_INDEX = re.compile(r"[0-9]{1,6}\Z")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_QUERY = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_PREFIXED = {"x-hub-signature": "sha1=", "x-hub-signature-256": "sha256="}
"""Headers whose senders write the hash's name before the signature."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What was not taken over, and the line it stands in."""

    line: int
    text: str


@dataclass(slots=True)
class Verified:
    """How a source verifies: its preset, options and secret. An empty preset: nothing in the rule does."""

    preset: str = ""
    options: dict[str, str] = field(default_factory=dict)
    secret: str = field(default="", repr=False)
    allow_from: list[str] = field(default_factory=list)
    """Networks that requests must come from; none: from anywhere."""
    notes: list[Problem] = field(default_factory=list)


class Untranslatable(Exception):
    """A rule that cannot be taken over; the hook stays out."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(line, text)


def split(rule: Node | None) -> tuple[Verified, str]:
    """What verifies, and the rest as CEL (empty: every request). Raises Untranslatable."""
    if rule is None:
        return Verified(), ""
    every = _conjuncts(rule)
    signed = [one for one in every if _hash_of(one)]
    if len(signed) > 1:
        raise Untranslatable(signed[1].line, "more than one signature has to hold")
    chosen = signed[0] if signed else next((one for one in every if _is_token(one)), None)
    verified = Verified() if chosen is None else _signature(chosen) if signed else _token(chosen)
    placed = [one for one in every if _is_place(one)]
    if len(placed) > 1:
        raise Untranslatable(placed[1].line, "requests have to come from several places at once")
    verified.allow_from = _networks(placed[0]) if placed else []
    rest = [expression(one) for one in every if one is not chosen and one not in placed]
    return verified, rest[0] if len(rest) == 1 else " && ".join(f"({text})" for text in rest)


def expression(rule: Node) -> str:
    """A rule as CEL. Raises Untranslatable."""
    if not isinstance(rule.value, dict) or len(rule.value) != 1:
        raise Untranslatable(rule.line, "a rule must be one of and, or, not, match")
    ((kind, inner),) = rule.value.items()
    if kind == "match":
        return _match(inner)
    if kind == "not":
        return f"!({expression(inner)})"
    if kind not in ("and", "or") or not inner.items():
        raise Untranslatable(inner.line, f"the rule {_quoted(kind)} is none of and, or, not, match, or has no rules")
    joined = " && " if kind == "and" else " || "
    return joined.join(f"({expression(one)})" for one in inner.items())


def value_of(argument: Node) -> tuple[str, str]:
    """A reference to the request as CEL: that it is there, and its value. Raises Untranslatable."""
    source, name = argument.text("source"), argument.text("name")
    if source == "payload":
        return _path(argument.line, name)
    if source == "header":
        key = name.lower()
        if is_secret(key) or not is_kept(key):
            raise Untranslatable(argument.line, f"the header {name} is not kept with requests")
        return f"{json.dumps(key)} in headers", f"headers[{json.dumps(key)}]"
    if source in ("url", "query"):
        if is_secret(name):
            raise Untranslatable(argument.line, f"the query parameter {name} is not kept with requests")
        return f"{json.dumps(name)} in query", f"query[{json.dumps(name)}]"
    if source == "request" and name.lower() == "method":
        return "true", "method"
    raise Untranslatable(argument.line, f"{_quoted(source)} {_quoted(name)} of a request is nothing that a hub sees")


def _conjuncts(rule: Node) -> list[Node]:
    """The rules that all have to hold."""
    inner = rule.get("and")
    if inner is None or not inner.items():
        return [rule]
    return [found for one in inner.items() for found in _conjuncts(one)]


def _hash_of(rule: Node) -> str:
    match = rule.get("match")
    found = _HASH.match(match.text("type")) if match is not None else None
    return found[1] if found else ""


def _is_place(rule: Node) -> bool:
    """Whether a rule says where requests have to come from: one list of networks, or one of several."""
    either = rule.get("or")
    if either is not None:
        return bool(either.items()) and all(_is_place(one) for one in either.items())
    match = rule.get("match")
    return match is not None and match.text("type") == _PLACE


def _networks(rule: Node) -> list[str]:
    either = rule.get("or")
    if either is not None:
        return [network for one in either.items() for network in _networks(one)]
    match = _matched(rule)
    try:
        # Like the original, which takes any address of a network for the network.
        found = [str(ip_network(text, strict=False)) for text in match.text("ip-range").split()]
    except ValueError as error:
        raise Untranslatable(match.line, f"its ip-range is no network: {str(error)[:100]}") from None
    if not found or len(found) > MAX_NETWORKS:
        raise Untranslatable(match.line, f"its ip-range names no 1 to {MAX_NETWORKS} networks")
    return found


def _is_token(rule: Node) -> bool:
    """Whether a rule compares a secret that the sender puts into a header or the query."""
    match = rule.get("match")
    parameter = match.get("parameter") if match is not None and match.text("type") == "value" else None
    return (
        parameter is not None
        and parameter.text("source") in ("header", "url", "query")
        and is_secret(parameter.text("name").lower())
    )


def _signature(rule: Node) -> Verified:
    match, hash_ = _matched(rule), _hash_of(rule)
    parameter = match.get("parameter")
    if parameter is None or parameter.text("source") != "header" or not _HEADER.match(parameter.text("name")):
        raise Untranslatable(match.line, "the signature stands in no header")
    header = parameter.text("name")
    prefix = _PREFIXED.get(header.lower(), "")
    notes = []
    if not prefix:
        told = f"a bare signature is expected in {header}; if the sender writes {hash_}= before it: -o prefix={hash_}="
        notes.append(Problem(parameter.line, told))
    options = {"header": header, "hash": hash_, "prefix": prefix}
    return Verified("generic-hmac", options, _secret(match), notes=notes)


def _token(rule: Node) -> Verified:
    match = _matched(rule)
    parameter = match.get("parameter")
    assert parameter is not None
    where = "header" if parameter.text("source") == "header" else "query"
    name = parameter.text("name")
    if not (_HEADER if where == "header" else _QUERY).match(name):
        raise Untranslatable(parameter.line, f"{_quoted(name)} is no name of a {where} for a token")
    return Verified("token", {"from": f"{where}:{name}", "prefix": ""}, _secret(match, "value"))


def _matched(rule: Node) -> Node:
    found = rule.get("match")
    assert found is not None
    return found


def _secret(match: Node, key: str = "secret") -> str:
    found = match.text(key)
    if not found.strip():
        raise Untranslatable(match.line, "its secret is empty: anybody could sign with it")
    return found


def _match(match: Node) -> str:
    kind = match.text("type")
    if _HASH.match(kind):
        raise Untranslatable(match.line, f"{kind} counts only where all requests have to be signed")
    if kind == _PLACE:
        raise Untranslatable(match.line, f"{kind} counts only where all requests have to come from there")
    if kind not in ("value", "regex"):
        raise Untranslatable(match.line, f"there is nothing like the rule {_quoted(kind)}")
    parameter = match.get("parameter")
    if parameter is None:
        raise Untranslatable(match.line, "the rule has no parameter")
    there, value = value_of(parameter)
    wanted = match.get("value" if kind == "value" else "regex")
    if wanted is None or not isinstance(wanted.value, str):
        raise Untranslatable(match.line, f"the rule has no {kind}")
    text = json.dumps(wanted.value, ensure_ascii=False)
    same = f"string({value}) == {text}" if kind == "value" else f"string({value}).matches({text})"
    return same if there == "true" else f"{there} && {same}"


def _path(line: int, name: str) -> tuple[str, str]:
    """A dotted path into the body, guarded at each step: what is not there matches nothing."""
    if not name:
        raise Untranslatable(line, "a payload parameter without a name")
    at, guards = "body", list[str]()
    for step in name.split("."):
        if _INDEX.match(step):
            guards.append(f"type({at}) == list && size({at}) > {int(step)}")
            at = f"{at}[{int(step)}]"
        else:
            key = json.dumps(step, ensure_ascii=False)
            guards.append(f"type({at}) == map && {key} in {at}")
            at = f"{at}[{key}]"
    return " && ".join(guards), at


def _quoted(text: str) -> str:
    return repr(text[:60])
