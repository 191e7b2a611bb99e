"""What an automation would have made of events that are stored: the same decisions, of which nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hub.errors import HubError
from hub.runtime import acting, ticking, windows
from hub.runtime.automations import DEEPEST, too_deep
from hub.runtime.composing import Composer, Place, Progress
from hub.runtime.contexts import Contexts
from hub.runtime.counting import Trigger, Verdict, Window, count, is_overdue, miss
from hub.runtime.triggers import Facts, Match, Rule, Rules, evaluate
from hub.store import automation_state as state
from hub.store import events
from hub.store.base import Store
from hub.types import Id, Micros, Scope

MOST = 1_000
MOST_TIMES = 20
"""Set times that are looked ahead."""
NOT_YET: Id = ""
"""The id of the event that something did not come, which does not exist."""
_PAGE = 500
_FARTHEST = 20_000
"""Events that are looked through for the last ones of the types in question."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What would come of one event, or of one that did not come (`event_id` None).

    `outcome` is one of those of evaluations, `no_match` or `own`. `actions`: operation, target and arguments of each
    command that would be given, or its `error`.
    """

    at: Micros
    outcome: str
    reason: str = ""
    event_id: Id | None = None
    type: str = ""
    error: str | None = None
    key: str = ""
    events: tuple[Id, ...] = ()
    actions: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For an answer."""
        return {**asdict(self), "events": list(self.events)}


def last_of(store: Store, scope: Scope, trigger: Trigger, limit: int) -> list[dict[str, Any]]:
    """The last stamped events of the types that a trigger listens to, oldest first."""
    found: list[dict[str, Any]] = []
    before, looked = None, 0
    while len(found) < limit and looked < _FARTHEST:
        with store.read() as tx:
            page = events.before(tx, scope, seq=before, limit=_PAGE)
        found += [event for event in page if trigger.listens_to(event["type"])]
        looked += len(page)
        if len(page) < _PAGE:
            break
        before = page[-1]["seq"]
    return found[:limit][::-1]


def batch_of(store: Store, scope: Scope, row: Mapping[str, Any], limit: int, now: Micros) -> list[dict[str, Any]]:
    """What to feed an automation (its row) with: the last events that it listens to, or its next set times."""
    trigger = Trigger.of(row["trigger"])
    if trigger.is_scheduled:
        return list(ticking.coming(row, now, min(limit, MOST_TIMES)))
    return last_of(store, scope, trigger, limit)


def simulate(store: Store, row: Mapping[str, Any], batch: Iterable[Mapping[str, Any]], now: Micros) -> list[Trial]:
    """Feed an automation (its row; also one that is switched off) with events, oldest first."""
    return _Simulation(store, row).run(batch, now)


class _Memory:
    """The memory of a rule with parts, for as long as the simulation lasts."""

    def __init__(self) -> None:
        self._windows: dict[Place, Window] = {}
        self._progress: dict[Place, Progress] = {}

    def window(self, place: Place) -> Window:
        return self._windows.get(place, Window())

    def keep(self, place: Place, window: Window) -> None:
        self._windows[place] = window

    def progress(self, place: Place) -> Progress:
        return self._progress.get(place, {})

    def keep_progress(self, place: Place, progress: Progress) -> None:
        self._progress[place] = progress


class _Simulation:
    def __init__(self, store: Store, row: Mapping[str, Any]) -> None:
        self._store = store
        self._rule = Rule.of(row)
        self._rules = Rules.of([row])
        self._contexts = Contexts(store)
        self._windows: dict[str, Window] = {}
        self._memories: dict[str, _Memory] = {}
        self._trials: list[Trial] = []

    def run(self, batch: Iterable[Mapping[str, Any]], now: Micros) -> list[Trial]:
        trigger = self._rule.trigger
        for number, event in enumerate(batch):
            self._contexts.know(event)
            if number == 0:
                self._begin(trigger, event["at"])
            self._try(event)
        for key in {**self._windows, **self._memories}:
            self._end(key, now)
        return self._trials

    def _begin(self, trigger: Trigger, at: Micros) -> None:
        if first := windows.first(trigger, at):
            self._windows[""] = first
        for part in () if trigger.for_each else self._rule.parts:
            if first := windows.first(part.trigger, at):
                self._composer("").memory.keep(part.place, first)

    def _try(self, event: Mapping[str, Any]) -> None:
        if not self._rule.trigger.listens_to(event["type"]):
            return self._say(event, Verdict("no_match", "it does not listen to this type"))
        if not self._rules.wanting(event):
            return self._say(event, Verdict("own", "it caused this event itself"))
        match = evaluate(self._rule, Facts(self._store, event))
        if match is None:
            return self._say(event, Verdict("no_match", "its filter says no"))
        with self._store.read() as tx:
            depth = state.depth_of(tx, event) + 1
        if depth > DEEPEST:
            return self._say(event, Verdict("loop_stopped", too_deep(depth)), match)
        if match.error:
            return self._say(event, Verdict("error", ""), match)
        self._end(match.key, event["at"])
        if self._rule.whole is not None:
            verdict = self._composer(match.key).take(list(match.hits), event["at"])
            return self._say(event, verdict, match)
        verdict, window = count(self._rule.trigger, self._windows.get(match.key, Window()), match.seen)
        self._windows[match.key] = window
        return self._say(event, verdict, match)

    def _composer(self, key: str) -> Composer:
        assert self._rule.whole is not None
        memory = self._memories.setdefault(key, _Memory())
        return Composer(self._rule.whole, self._rule.trigger.cool_down, memory)

    def _end(self, key: str, at: Micros) -> None:
        for part in self._rule.parts:
            composer = self._composer(key)
            window = composer.memory.window(part.place)
            if is_overdue(part.trigger, window, at):
                until = window.until_at or at
                self._missed(key, until, composer.miss(part.place, part.trigger, NOT_YET, until))
        window = self._windows.get(key, Window())
        if is_overdue(self._rule.trigger, window, at):
            verdict, self._windows[key] = miss(self._rule.trigger, window)
            self._missed(key, window.until_at or 0, verdict)

    def _missed(self, key: str, until: Micros, verdict: Verdict) -> None:
        # Its event does not exist, so neither do the values of its expressions.
        acts = [dict(action) for action in self._rule.actions] if verdict.outcome == "fired" else []
        known = tuple(one for one in verdict.events if one != NOT_YET)
        self._trials.append(Trial(until, verdict.outcome, verdict.reason, key=key, events=known, actions=acts))

    def _say(self, event: Mapping[str, Any], verdict: Verdict, match: Match | None = None) -> None:
        key, error = (match.key, match.error) if match else ("", "")
        acts = self._acts(event, verdict, key) if verdict.outcome == "fired" else []
        self._trials.append(
            Trial(
                event["at"], verdict.outcome, verdict.reason, event["id"], event["type"], error or None, key,
                verdict.events, acts,
            )
        )  # fmt: skip

    def _acts(self, event: Mapping[str, Any], verdict: Verdict, key: str) -> list[dict[str, Any]]:
        return [
            self._act(acting.planned(0, self._rule, event, number, 1), verdict, key)
            for number in range(len(self._rule.actions))
        ]

    def _act(self, row: Mapping[str, Any], verdict: Verdict, key: str) -> dict[str, Any]:
        try:
            op, target, args = acting.command_of(row, self._contexts.made(row["event_id"], verdict.events, key))
        except HubError as failure:
            return {"error": failure.detail}
        hidden = {"run_id", "origin", "origin_id", "about", "occurrence", "caused_by"}
        return {"op": op, "target": target, "args": {name: args[name] for name in args if name not in hidden}}
