"""Which automations listen to an event, and what they make of it: an index by type, and filters compiled once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from hub.errors import ExpressionError, UnavailableError
from hub.runtime import contributed
from hub.runtime.composing import KINDS, Hit, Place, Whole, ids_of
from hub.runtime.counting import TICKED, Seen, Trigger
from hub.runtime.expressions import VARIABLES, Expression, Prepared, compile_expression, prepare
from hub.runtime.keys import joined
from hub.runtime.payloads import variables_of
from hub.store import automations
from hub.store.base import Store, Tx
from hub.types import Id

_WILD = re.compile(r"[*?\[]")
_FIELD = re.compile(r"^[a-z_][a-z0-9_]*$")
_MOST_TYPES = 2_000


def key_expression(text: str) -> str:
    """An item of `for_each` as CEL: the name of a field of the event stands for that field."""
    return f"event.{text}" if _FIELD.match(text) and text not in VARIABLES else text


@dataclass(frozen=True, slots=True)
class Part:
    """A trigger on events inside of one that is made of triggers."""

    place: Place
    trigger: Trigger
    filter: Expression | None


@dataclass(frozen=True, slots=True)
class Rule:
    """An automation, ready to be tried on events. `broken`: why it cannot be. `whole`: what its `parts` make up."""

    id: Id
    workspace_id: Id
    name: str
    version: int
    trigger: Trigger
    actions: tuple[Mapping[str, Any], ...]
    filter: Expression | None = None
    keys: tuple[Expression, ...] = ()
    broken: str = ""
    whole: Whole | None = None
    parts: tuple[Part, ...] = ()

    def told(self) -> dict[str, Any]:
        """The automation as a plugin gets it."""
        return {"id": self.id, "name": self.name, "plugin": self.trigger.plugin}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Rule:
        """From its row."""
        trigger = Trigger.of(row["trigger"])
        known = (row["id"], row["workspace_id"], row["name"], row["version"], trigger, tuple(row["actions"]))
        whole = Whole.of(row["trigger"]) if row["trigger"].get("kind") in KINDS else None
        try:
            wanted = _filter(trigger)
            keys = tuple(compile_expression(key_expression(text)) for text in trigger.for_each)
            parts = [Part(place, part, _filter(part)) for place, part in whole.leaves()] if whole else []
        except ExpressionError as error:
            return cls(*known, broken=error.detail)
        return cls(*known, filter=wanted, keys=keys, whole=whole, parts=tuple(parts))


def _filter(trigger: Trigger) -> Expression | None:
    return compile_expression(trigger.match) if trigger.match else None


class Facts:
    """An event as expressions see it, read and handed to their engine once, for all rules that ask."""

    def __init__(self, store: Store, event: Mapping[str, Any]) -> None:
        self.event = event
        self._store = store
        self._prepared: Prepared | ExpressionError | None = None

    def prepared(self) -> Prepared:
        """The variables. Raises ExpressionError when the body cannot be read."""
        if self._prepared is None:
            try:
                self._prepared = prepare(variables_of(self._store, self.event))
            except ExpressionError as error:
                self._prepared = error
        if isinstance(self._prepared, ExpressionError):
            raise self._prepared
        return self._prepared

    def told(self) -> dict[str, Any]:
        """The event as a plugin gets it."""
        found = variables_of(self._store, self.event)
        return {**found["event"], "data": found["body"]}


@dataclass(frozen=True, slots=True)
class Match:
    """A rule that means an event, or erred on it (`error`)."""

    rule: Rule
    event: Mapping[str, Any]
    seen: Seen
    key: str = ""
    error: str = ""
    hits: tuple[Hit, ...] = ()
    """The parts that mean it, of a rule that has parts."""


def evaluate(rule: Rule, facts: Facts) -> Match | None:
    """Try a rule on an event of a type that it listens to. None: the event is not one that it means."""
    event = facts.event
    try:
        if rule.filter is not None and not rule.filter.matches(facts.prepared()):
            return None
        if rule.trigger.plugin and contributed.hooks().trigger_match(facts.told(), rule.told()) is not None:
            return None
        hits = tuple(_hits(rule, facts))
        if rule.whole is not None and not hits and not rule.broken:
            return None
        key = joined([one.value(facts.prepared()) for one in rule.keys]) if rule.keys else ""
    except (ExpressionError, UnavailableError) as failure:
        return _matched(rule, event, error=failure.detail)
    return _matched(rule, event, key, rule.broken, hits)


def _hits(rule: Rule, facts: Facts) -> Iterable[Hit]:
    for part in rule.parts:
        if part.trigger.listens_to(facts.event["type"]) and (
            part.filter is None or part.filter.matches(facts.prepared())
        ):
            yield Hit(part.place, part.trigger, _seen(part.trigger, facts.event))


def _matched(rule: Rule, event: Mapping[str, Any], key: str = "", error: str = "", hits: tuple[Hit, ...] = ()) -> Match:
    return Match(rule, event, _seen(rule.trigger, event), key, error, hits)


def _seen(trigger: Trigger, event: Mapping[str, Any]) -> Seen:
    return Seen(event["id"], event["at"], _any(trigger.expect, event), _any(trigger.after, event))


def _any(patterns: Iterable[str], event: Mapping[str, Any]) -> bool:
    return any(fnmatchcase(event["type"], pattern) for pattern in patterns)


@dataclass(slots=True)
class Rules:
    """All automations that are switched on, by the types of events that they listen to."""

    stand: tuple[int, int, int] | None = None
    by_id: dict[Id, Rule] = field(default_factory=dict)
    by_window: dict[Id, Rule] = field(default_factory=dict)
    """By the ids under which their counting is kept."""
    _exact: dict[str, list[Rule]] = field(default_factory=dict)
    _wild: list[tuple[str, Rule]] = field(default_factory=list)
    _known: dict[str, tuple[Rule, ...]] = field(default_factory=dict)

    def refresh(self, tx: Tx, stand: tuple[int, int, int]) -> Rules:
        """These, or the ones that are stored by now when any of them was changed, as `automations.stand` shows."""
        return self if stand == self.stand else Rules.of(automations.enabled(tx), stand)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], stand: tuple[int, int, int] | None = None) -> Rules:
        """From their rows, in the order in which they are to be tried."""
        found = cls(stand)
        for row in rows:
            rule = Rule.of(row)
            found.by_id[rule.id] = rule
            found.by_window |= dict.fromkeys(ids_of(rule.id, row["trigger"]), rule)
            for pattern in {*rule.trigger.expect, *rule.trigger.after}:
                if _WILD.search(pattern):
                    found._wild.append((pattern, rule))
                else:
                    found._exact.setdefault(pattern, []).append(rule)
        return found

    def wanting(self, event: Mapping[str, Any]) -> list[Rule]:
        """The rules that listen to an event of this type and did not cause it themselves."""
        cause, actor, workspace = event["body"].get("origin_id"), event["actor"], event["workspace_id"]
        subject = event["subject"] if event["type"].startswith("hub.automation.") else None
        of = subject if event["type"] == TICKED else None
        by = actor.removeprefix("automation:") if actor.startswith("automation:") else None
        return [
            rule
            for rule in self._of_type(event["type"])
            if rule.workspace_id == workspace
            and (rule.id == of if rule.trigger.is_scheduled else rule.id not in (cause, subject, by))
        ]

    def _of_type(self, type_: str) -> tuple[Rule, ...]:
        if type_ not in self._known:
            if len(self._known) >= _MOST_TYPES:
                self._known.clear()
            wild = [rule for pattern, rule in self._wild if fnmatchcase(type_, pattern)]
            unique = {rule.id: rule for rule in (*self._exact.get(type_, ()), *wild)}
            self._known[type_] = tuple(unique[key] for key in sorted(unique))
        return self._known[type_]
