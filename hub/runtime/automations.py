"""When events match, do something: reads stamped events in order and decides what each means for every automation.

Safe at any point of a crash and with any number of processes. What is decided - the record, what was counted, the
actions to carry out - is written in one transaction with the position in the stream of events, and actions are
commands whose ids come from the automation and the event: doing one again answers with the first outcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from hub.plugins import Loop
from hub.runtime import acting, windows
from hub.runtime.composing import Composer, id_of
from hub.runtime.contexts import Row
from hub.runtime.counting import Trigger, Verdict, Window, count, is_overdue, miss
from hub.runtime.triggers import Facts, Match, Part, Rule, Rules, evaluate
from hub.store import automation_state as state
from hub.store import automations, events
from hub.store.base import Store, Tx
from hub.store.portions import in_portions
from hub.types import SECOND, Actor, Id, Micros, Scope, dated_id

_BATCH = 200
_TOGETHER = 64
"""Firings that are written at once, at most."""
_Plain: TypeAlias = tuple[Rule, Row, str, int]
"""A rule that fires whenever it matches, the event, its key, how many automations led to it."""
DEEPEST = 8
"""Automations that may follow from one another."""
GRACE = 2 * SECOND
"""How long after its end a window is looked at: what happened in it may be committed a little later."""


class Automations:
    """One per upkeep process."""

    def __init__(self, store: Store, interval: float = 1.0) -> None:
        self.store = store
        self.interval = interval
        self._rules = Rules()
        self._seen = 0
        """The position up to which all was decided when this one last looked."""

    def step(self) -> bool:
        """Look at the next stamped events, then carry out what is due; True when there was anything."""
        with self.store.read() as tx:
            following = events.ask_after(tx, seq=self._seen, limit=_BATCH) if self._rules.by_id else None
            cursor, last, stand = automations.ask_cursor(tx), events.ask_last(tx), automations.ask_stand(tx)
            due, over = state.ask_any_due(tx), state.ask_over(tx, limit=1)
            found = [] if following is None else following.all()
            start, end, known, acts, is_over = cursor(), last(), stand(), due(), bool(over())
            batch: list[dict[str, Any]] = []
            if start < end:
                self._rules = self._rules.refresh(tx, known)
                if following is None or start != self._seen:  # the first look, or others have gone on
                    found = events.after(tx, seq=start, limit=_BATCH) if self._rules.by_id else []
                # What was stamped by then is older than a rule that was not there yet.
                batch = [event for event in found if event["seq"] <= end and self._rules.by_id]
            late = [] if start < end else state.overdue(tx, before=tx.now - GRACE, limit=_BATCH)
        if start < end and not self._rules.by_id:
            with self.store.write(durable=False) as tx:
                automations.advance(tx, end)
        # What a power cut takes back is decided again, before anything that followed from it was kept.
        planned = self._decide(batch) if batch else acting.Planned()
        self._seen = batch[-1]["seq"] if batch else end
        if is_over:
            acts = acting.let_next_go(self.store) or acts
        if late:
            acts = self._look_at_ends(late) or acts
        if not acts and not planned.rows:
            return bool(batch)
        return acting.carry_out(self.store, None if acts else planned) or bool(batch)

    def _decide(self, batch: list[dict[str, Any]]) -> acting.Planned:
        """What is to be done."""
        planned = acting.Planned()

        def decide(tx: Tx, some: Iterator[tuple[int, list[Match]]]) -> None:
            seen, seq, judge = automations.lock(tx), 0, Judge(tx, planned)
            for seq, matches in some:
                for match in matches if seq > seen else ():
                    judge.take(match)
            judge.settle()
            automations.advance(tx, seq, seen)

        in_portions(self.store, [(event["seq"], self._matches(event)) for event in batch], decide)
        return planned

    def _matches(self, event: Row) -> list[Match]:
        facts = Facts(self.store, event)
        found = (evaluate(rule, facts) for rule in self._rules.wanting(event))
        return [match for match in found if match is not None]

    def _look_at_ends(self, late: list[dict[str, Any]]) -> bool:
        """Windows in which what was expected did not come, once all that was stamped has been counted."""
        planned = acting.Planned()
        with self.store.write(durable=False) as tx:
            if automations.lock(tx) < events.last(tx):
                return False
            self._rules = self._rules.refresh(tx, automations.stand(tx))
            unstamped = events.oldest_unstamped(tx)
            horizon = tx.now - GRACE if unstamped is None else min(tx.now - GRACE, unstamped)
            judge = Judge(tx, planned)
            for row in late:
                rule = self._rules.by_window.get(row["automation_id"])
                if rule is None:
                    state.drop_window(tx, row["automation_id"], row["key"])
                    continue
                judge.end(rule, row["key"], horizon)
            judge.settle()
        return bool(planned.rows)

    def loop(self) -> Loop:
        """As an upkeep loop."""
        return Loop("automations", self.step, topics=("events",), interval=self.interval, pace=0.03)


class Judge:
    """Decides in one transaction, which holds the position in the stream of events."""

    def __init__(self, tx: Tx, planned: acting.Planned) -> None:
        self._tx = tx
        self._planned = planned
        self._plain: list[_Plain] = []
        self._unwritten: list[dict[str, Any]] = []
        self._depths: dict[Id, int] = {}

    def settle(self) -> None:
        """Write what the rules come to that fire whenever they match, of which `take` has only made a list."""
        plain, self._plain = self._plain, []
        if not plain and not self._unwritten:
            return
        fired = [
            (rule, event, key, depth, Verdict("fired", "it matched", (event["id"],)))
            for rule, event, key, depth in plain
        ]
        rows = [_firing(rule, event, key, verdict) for rule, event, key, _, verdict in fired]
        new = automations.note_all(self._tx, rows)
        for rule, event, key, depth, verdict in fired:
            if (rule.id, event["id"]) in new:
                self._plan(rule, event, key, verdict, depth)
        self._write()

    def take(self, match: Match) -> None:
        """What an event that a rule matched comes to; `settle` must follow."""
        rule, event = match.rule, match.event
        depth = self._depth(event) + 1
        if depth > DEEPEST:
            self._note(rule, event, match.key, Verdict("loop_stopped", too_deep(depth)), error=match.error)
            return
        if match.error:
            noted = self._note(rule, event, match.key, Verdict("error", ""), error=match.error)
            # Not about an event that tells of automations: two that err on all events would err on each other's errors.
            if noted and not event["type"].startswith("hub.automation."):
                acting.failed(self._tx, rule.id, rule.name, event, match.error, depth)
            return
        if rule.trigger.is_plain:
            self._plain.append((rule, event, match.key, depth))
            if len(self._plain) >= _TOGETHER:
                self.settle()
            return
        self.settle()  # of earlier events, for whose keys the actions of this one may stand in line
        if automations.firing(self._tx, rule.id, event["id"]) is not None:
            return
        self.end(rule, match.key, event["at"])
        if rule.whole is not None:
            verdict = self._composer(rule, match.key).take(list(match.hits), event["at"])
        else:
            verdict, window = count(rule.trigger, self._window(rule, match.key), match.seen)
            self._keep(rule, match.key, window)
        self._note(rule, event, match.key, verdict)
        self._plan(rule, event, match.key, verdict, depth)

    def end(self, rule: Rule, key: str, at: Micros) -> None:
        """End a window if what was expected did not come before then."""
        if rule.whole is not None:
            for part in rule.parts:
                if part.trigger.is_proactive:  # of others nothing needs to be read
                    self._end_part(rule, part, key, at)
            return
        window = self._window(rule, key)
        if not is_overdue(rule.trigger, window, at):
            return
        verdict, after = miss(rule.trigger, window)
        self._keep(rule, key, after)
        event, depth = self._missed(rule, rule.id, rule.trigger, key, window)
        if depth > DEEPEST:
            verdict = Verdict("loop_stopped", too_deep(depth))
        self._note(rule, event, key, verdict)
        self._plan(rule, event, key, verdict, depth)

    def _end_part(self, rule: Rule, part: Part, key: str, at: Micros) -> None:
        composer = self._composer(rule, key)
        window = composer.memory.window(part.place)
        if not is_overdue(part.trigger, window, at):
            return
        event, depth = self._missed(rule, id_of(rule.id, part.place), part.trigger, key, window)
        verdict = composer.miss(part.place, part.trigger, event["id"], window.until_at or at)
        if depth > DEEPEST:
            verdict = Verdict("loop_stopped", too_deep(depth))
        self._note(rule, event, key, verdict)
        self._plan(rule, event, key, verdict, depth)

    def _composer(self, rule: Rule, key: str) -> Composer:
        assert rule.whole is not None
        return Composer(rule.whole, rule.trigger.cool_down, windows.Kept(self._tx, rule, key))

    def _window(self, rule: Rule, key: str) -> Window:
        return windows.of_row(state.window(self._tx, rule.id, key))

    def _keep(self, rule: Rule, key: str, window: Window) -> None:
        if window == Window():
            state.drop_window(self._tx, rule.id, key)
        else:
            values = windows.as_row(rule.trigger, window)
            state.keep_window(self._tx, rule.workspace_id, rule.id, key, values)

    def _missed(
        self, rule: Rule, part_id: Id, trigger: Trigger, key: str, window: Window
    ) -> tuple[dict[str, Any], int]:
        """Something did not happen: an event of its own, about the run of the event that opened the window."""
        scope = Scope(rule.workspace_id, Actor("automation", rule.id))
        event_id = dated_id(window.until_at or 0, part_id, "missed", key, str(window.opened_at))
        opener = events.get(self._tx, scope, window.events[0]) if window.events else None
        depth = self._depth(opener) + 1 if opener else 1
        if events.get(self._tx, scope, event_id) is None:
            events.append(
                self._tx, scope, "hub.automation.missed", event_id=event_id, subject=rule.id, name=rule.name,
                run_id=opener["run_id"] if opener else None, cause=opener["id"] if opener else None, depth=depth,
                since=window.opened_at, until=window.until_at, count=window.count, threshold=trigger.threshold,
                key=key,
            )  # fmt: skip
        event = events.get(self._tx, scope, event_id)
        assert event is not None
        return event, depth

    def _depth(self, event: Row) -> int:
        if event["id"] not in self._depths:
            self._depths[event["id"]] = state.depth_of(self._tx, event)
        return self._depths[event["id"]]

    def _note(self, rule: Rule, event: Row, key: str, verdict: Verdict, *, error: str = "") -> bool:
        return automations.note(self._tx, _firing(rule, event, key, verdict, error=error))

    def _plan(self, rule: Rule, event: Row, key: str, verdict: Verdict, depth: int) -> None:
        if verdict.outcome != "fired":
            return
        for number in range(len(rule.actions)):
            row = acting.planned(self._tx.now, rule, event, number, depth)
            if acting.lane_key(row, event):
                # One by one: the next of them may stand in line behind it.
                self._write()
                row = acting.in_line(self._tx, row, event)
            self._unwritten.append(row)
            self._planned.add(row, _firing(rule, event, key, verdict), event)

    def _write(self) -> None:
        rows, self._unwritten = self._unwritten, []
        state.add_actions(self._tx, rows)


def _firing(rule: Rule, event: Row, key: str, verdict: Verdict, *, error: str = "") -> dict[str, Any]:
    """The row of what came of an event, but for when; of its events where they are others than this one."""
    others = list(verdict.events) if verdict.events not in ((), (event["id"],)) else None
    return {
        "automation_id": rule.id, "event_id": event["id"], "outcome": verdict.outcome, "error": error or None,
        "reason": verdict.reason or None, "key": key or None, "events": others, "workspace_id": rule.workspace_id,
    }  # fmt: skip


def too_deep(depth: int) -> str:
    """Why an automation that follows from others is stopped."""
    return f"it would be number {depth} of automations that follow from one another; at most {DEEPEST} may"
