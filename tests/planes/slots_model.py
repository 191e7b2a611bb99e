"""A model of one limit or more, of the attempts that use them, and of what must be true after every step."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

from hub.engine.run import Cancel, Claim, Complete, Dispatch, Lose, Release
from hub.errors import ConflictError
from hub.runtime.commands import Command, apply
from hub.runtime.orchestrator import handle
from hub.store import Store, attempts, limits, runs
from hub.store.limits import SLOTS, Request
from hub.types import Id, Scope, new_id
from sqlalchemy import select

SCOPE = Scope()
LEASE_S = 60.0
Step = tuple[Any, ...]


@dataclass
class Attempt:
    """An execution of a run. `live`: whoever executes it is alive and the hub has not given it up."""

    run_id: Id
    number: int
    live: bool = True

    @property
    def key(self) -> Id:
        return attempts.attempt_id(self.run_id, self.number)


@dataclass
class Asker:
    """A request, and what the model says of it."""

    request: Request
    attempt: Attempt
    wants: tuple[int, ...]
    state: str = "waits"


@dataclass
class World:
    """The real store beside the model. Every step ends with `check`."""

    store: Store
    slots: list[int]
    names: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    askers: list[Asker] = field(default_factory=list)
    ids: list[Id] = field(default_factory=list)

    def __post_init__(self) -> None:
        for slots in self.slots:
            name = f"l-{new_id()[-12:]}"
            done = apply(self.store, Command("limit.set", SCOPE, name, {"name": name, "slots": slots}))
            self.names.append(name)
            self.ids.append(done.result["id"])

    # --- steps ----------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """One step, then the checks. A step about something that is not there does nothing."""
        getattr(self, step[0])(*step[1:])
        self.check()

    def begin(self) -> None:
        """A run begins to execute."""
        run_id = new_id()
        with self.store.write() as tx:
            runs.create(tx, SCOPE, {"id": run_id, "name": "r", "flow_name": "f"})
        self._execute(run_id)

    def ask(self, who: int, wants: tuple[int, ...], occupy: int) -> None:
        """Code of an attempt asks, alive or not."""
        attempt = self.attempts[who % len(self.attempts)]
        if self._crashed(attempt):
            return  # nobody is there to ask
        which = tuple(sorted({want % len(self.slots) for want in wants}))
        if any(0 < self.slots[place] < occupy for place in which):
            return
        request = Request(
            new_id(), tuple(self.names[place] for place in which), occupy, "slots", attempt.run_id, attempt.number,
            attempt.key, lease_s=LEASE_S,
        )  # fmt: skip
        asker = Asker(request, attempt, which)
        self.askers.append(asker)
        self._ask(asker)

    def again(self, who: int) -> None:
        """One who waits is woken and looks."""
        waiting = [asker for asker in self.askers if asker.state == "waits"]
        if waiting:
            self._ask(waiting[who % len(waiting)])

    def give(self, who: int) -> None:
        """A block ends, or one who waits has no time left."""
        open_ = [asker for asker in self.askers if asker.state in ("holds", "waits")]
        if open_:
            asker = open_[who % len(open_)]
            with self.store.write() as tx:
                limits.release(tx, asker.request.id)
            asker.state = "done"

    def end(self, who: int, how: str) -> None:
        """An attempt ends: well, cancelled, lost, given back. A run that is lost or given back executes again."""
        attempt = self._live(who)
        if attempt is None:
            return
        signal: Any = {"complete": Complete, "lose": Lose, "release": Release}.get(how)
        if how == "cancel":
            handle(self.store, SCOPE, attempt.run_id, Cancel("no"))
            signal = Complete
        handle(self.store, SCOPE, attempt.run_id, signal(attempt.number, 1))
        self._dead(attempt)
        if how in ("lose", "release"):
            with contextlib.suppress(ConflictError):  # it has been lost too often
                self._execute(attempt.run_id)

    def crash(self, who: int) -> None:
        """What executes dies unseen, and the lease runs out."""
        attempt = self._live(who)
        if attempt is not None:
            with self.store.write() as tx:
                tx.conn.execute(SLOTS.update().where(SLOTS.c.attempt_id == attempt.key).values(expires_at=tx.now - 1))
            self._dead(attempt)

    def renew(self, who: int) -> None:
        """The keeper renews."""
        attempt = self._live(who)
        if attempt is not None:
            with self.store.write() as tx:
                assert attempts.renew(tx, [attempt.key], lease_s=LEASE_S) == [attempt.key]

    def resize(self, which: int, slots: int) -> None:
        """Somebody changes a limit."""
        place = which % len(self.slots)
        wanted = [asker.request.occupy for asker in self.askers if place in asker.wants and asker.state == "waits"]
        self.slots[place] = max([slots, *wanted]) if slots else 0
        args = {"name": self.names[place], "slots": self.slots[place]}
        apply(self.store, Command("limit.set", SCOPE, self.names[place], args))

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _execute(self, run_id: Id) -> None:
        number = handle(self.store, SCOPE, run_id, Dispatch(new_id())).attempt
        handle(self.store, SCOPE, run_id, Claim(number, 1))
        self.attempts.append(Attempt(run_id, number))

    def _live(self, who: int) -> Attempt | None:
        live = [attempt for attempt in self.attempts if attempt.live]
        return live[who % len(live)] if live else None

    def _dead(self, attempt: Attempt) -> None:
        attempt.live = False
        for asker in self.askers:
            if asker.attempt is attempt and asker.state in ("holds", "waits"):
                asker.state = "gone"

    def _ask(self, asker: Asker) -> None:
        with self.store.write() as tx:
            answer = limits.ask(tx, SCOPE, asker.request)
        if not asker.attempt.live:
            assert answer.status in ("lost", "cancelled"), f"a dead attempt was answered {answer.status}"
            asker.state = "gone"
        elif answer.status == "granted":
            for earlier in self.askers[: self.askers.index(asker)]:
                shared = set(earlier.wants) & set(asker.wants)
                assert earlier.state != "waits" or not shared, "somebody was passed"
            for place in asker.wants:
                held = self._held(place) + asker.request.occupy
                assert held <= self.slots[place], f"{held} of {self.slots[place]} given"
            asker.state = "holds"
        else:
            assert answer.status == "waits", answer

    def _crashed(self, attempt: Attempt) -> bool:
        with self.store.read() as tx:
            row = attempts.get(tx, attempt.key)
        return not attempt.live and row is not None and row["state"] == "CLAIMED"

    def _held(self, place: int) -> int:
        return sum(a.request.occupy for a in self.askers if a.state == "holds" and place in a.wants)

    # --- what must be true ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """What the store counts is what live attempts hold, and those who wait are those that the model knows."""
        with self.store.read() as tx:
            query = select(SLOTS.c.limit_id, SLOTS.c.request_id, SLOTS.c.state, SLOTS.c.occupy).where(
                SLOTS.c.limit_id.in_(self.ids), SLOTS.c.expires_at > tx.now
            )
            found = tx.conn.execute(query).all()
        for place, limit_id in enumerate(self.ids):
            for state, known in (("HELD", "holds"), ("WAITING", "waits")):
                kept = {row.request_id for row in found if row.limit_id == limit_id and row.state == state}
                mine = {a.request.id for a in self.askers if a.state == known and place in a.wants}
                assert kept == mine, f"{state} rows of limit {place} are not the live ones"
            held = sum(row.occupy for row in found if row.limit_id == limit_id and row.state == "HELD")
            assert held == self._held(place)

    def settle(self) -> None:
        """Let everybody look until nothing changes: whoever is first in all lines then has no room."""
        for _ in range(len(self.askers) + 1):
            for asker in list(self.askers):
                if asker.state == "waits":
                    self._ask(asker)
        self.check()
        waiting = [asker for asker in self.askers if asker.state == "waits"]
        for number, asker in enumerate(waiting):
            if any(set(earlier.wants) & set(asker.wants) for earlier in waiting[:number]):
                continue
            room = all(self._held(place) + asker.request.occupy <= self.slots[place] for place in asker.wants)
            assert not room, "somebody waits though there is room"


def play(store: Store, slots: list[int], script: list[Step]) -> None:
    """A whole story: some steps, then all who wait look."""
    world = World(store, list(slots))
    world.begin()
    for step in script:
        world.do(step)
    world.settle()
