"""What must always hold for a site and its planes, and how everything heals when all faults end."""

from __future__ import annotations

import itertools
import sys
from typing import Any

from hub.errors import NotFoundError, TransientError
from hub.events import allows
from hub.store import stream
from hub.store.base import Tx
from hub.store.tables import CommandOutcome, Event, StateRow
from hub.types import DEFAULT_WORKSPACE, derived_id
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant
from sqlalchemy import func, select

from hub_hybrid.agent import Agent, LinkRefused, SessionLost
from hub_hybrid.lines import Lines
from hub_hybrid.protocol import CommandOut

from .world import CANARIES, PlaneEnd, SiteEnd, give_back, limited, memory_store

RUNS = tuple(derived_id(DEFAULT_WORKSPACE, f"run {number}") for number in range(3))
NAMES = ("local", "cloud")
TERMINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
OUTCOMES = CommandOutcome.__table__  # type: ignore[attr-defined]
EVENTS = Event.__table__  # type: ignore[attr-defined]
STATES = StateRow.__table__  # type: ignore[attr-defined]
LIMIT = 12
"""Lines that may wait for a plane."""
TROUBLE = (SessionLost, TransientError, LinkRefused, NotFoundError)


class Crash(Exception):
    """The site's process dies here."""


class Watched(RuleBasedStateMachine):
    """A site with one or two planes, and the invariants. Their numbers are those of docs/hybrid.md."""

    @initialize(cloud=st.booleans())
    def begin(self, cloud: bool) -> None:
        self.site = SiteEnd(memory_store())
        self.planes = {name: PlaneEnd(memory_store(), name) for name in NAMES}
        self.site_backup: Any = None
        self.trouble = ""
        self.backups: dict[str, Any] = {}
        self.effects: set[str] = set()
        self.accepted: set[str] = set()
        self.withdrawn: set[str] = set()
        self.reported: set[tuple[str, str]] = set()
        self.before: dict[str, str] = {}
        self.laxest = "metadata"
        self.numbers = itertools.count()
        for name in NAMES if cloud else NAMES[:1]:
            self.site.connect(self.planes[name])
            self.open_one(name)

    def teardown(self) -> None:
        if not hasattr(self, "planes"):
            return
        try:
            if sys.exc_info()[0] is None:  # a broken invariant is news enough
                self.heal()
        finally:
            self.shut()

    def shut(self) -> None:
        for end in self.planes.values():
            end.network.shut()
            give_back(end.store)
        give_back(self.site.store)

    # --- who can do what -----------------------------------------------------------------------------------------

    def up(self) -> list[PlaneEnd]:
        return [self.planes[name] for name in self.site.links() if self.planes[name].network.online]

    def live(self) -> list[PlaneEnd]:
        return [end for end in self.up() if self.has_session(end.name)]

    def has_session(self, name: str) -> bool:
        agent = self.site.agents.get(name)
        return agent is not None and agent.session is not None

    def agent(self, name: str) -> Agent:
        return self.site.agents.get(name) or self.site.agent(self.planes[name])

    def behind(self) -> list[PlaneEnd]:
        head = self.site.ends().seq
        sessions = [(end, self.site.agents[end.name].session) for end in self.live()]
        return [end for end, session in sessions if session is not None and session.acked < head]

    def pick(self, data: st.DataObject, ends: list[PlaneEnd]) -> PlaneEnd:
        return data.draw(st.sampled_from(ends), label="plane")

    # --- exchanges ---------------------------------------------------------------------------------------------

    def open_one(self, name: str) -> None:
        self.site.stamp()
        try:
            self.agent(name).open()
        except TROUBLE as trouble:
            self.trouble = repr(trouble)
            self.planes[name].network.fates.clear()

    def push_one(self, end: PlaneEnd, count: int, fate: str = "ok") -> None:
        agent = self.site.agents[end.name]
        limited(agent, count)
        end.network.fates = [fate]
        try:
            agent.push()
        except TROUBLE as trouble:
            self.trouble = repr(trouble)
        end.network.fates.clear()

    def write_lines(self, run: str, count: int) -> None:
        if run in self.site.runs():
            self.site.log(run, *(f"{CANARIES['logs']} {next(self.numbers)}" for _ in range(count)))

    def lines_one(self, end: PlaneEnd, fate: str = "ok") -> None:
        agent = self.site.agents[end.name]
        end.network.fates = [fate]
        try:
            Lines(self.site.store, self.site.link(end.name)["id"], agent, LIMIT).step()
        except TROUBLE as trouble:
            self.trouble = repr(trouble)
        end.network.fates.clear()

    def poll_one(self, end: PlaneEnd, crash: int | None = None, fate: str = "ok") -> None:
        agent = self.site.agents[end.name]
        self.watch(agent, end.name, crash)
        end.network.fates = [fate]
        try:
            agent.poll()
        except Crash:
            self.site.agents.clear()
        except TROUBLE as trouble:
            self.trouble = repr(trouble)
        end.network.fates.clear()
        self.site.stamp()

    def watch(self, agent: Agent, name: str, crash: int | None) -> None:
        """See what each command does; the process may die between carrying one out and moving the cursor."""
        real_apply, real_advance = Agent.carry_out, Agent.advance
        done = [0]

        def carry_out(command: CommandOut) -> None:
            before = self.versions()
            real_apply(agent, command)
            done[0] += 1
            if self.versions() != before:
                assert command.id not in self.effects, "I5: a repeated command had a second effect"
                assert self.site.link(name)["primary"], "I10: a plane that is not primary changed something"
                assert command.authority_id == self.site.link(name)["authority_id"], "I10: an old authority"
                self.effects.add(command.id)
            if command.op == "run.cancel" and self.outcome(command.id) == "accepted":
                self.accepted.add(command.target)
            if done[0] - 1 == crash:
                raise Crash

        def advance(session: Any, cursor: int) -> None:
            real_advance(agent, session, cursor)

        agent.carry_out, agent.advance = carry_out, advance  # type: ignore[method-assign]

    def versions(self) -> dict[str, int]:
        return {run_id: row["version"] for run_id, row in self.site.runs().items()}

    def outcome(self, command_id: str) -> str | None:
        with self.site.store.read() as tx:
            query = select(OUTCOMES.c.status).where(OUTCOMES.c.command_id == command_id)
            found: str | None = tx.conn.execute(query).scalar()
            return found

    def answered(self) -> set[str]:
        query = select(OUTCOMES.c.command_id).where(OUTCOMES.c.via == "link")
        return self.site.reads("answered", lambda tx: set(tx.conn.execute(query).scalars()))

    # --- invariants ----------------------------------------------------------------------------------------------

    def state(self, run: str) -> str | None:
        row = self.site.runs().get(run)
        return None if row is None else row["state_type"]

    @invariant()
    def planes_hold_a_prefix(self) -> None:
        if not hasattr(self, "planes"):
            return
        ends, links = self.site.ends(), self.site.links()
        for end in self.live():
            row, session = end.row(), self.site.agents[end.name].session
            assert session is not None
            if row["fence"] != session.fence or row["stream_epoch"] != ends.epoch:
                continue
            assert row["acked_seq"] <= ends.seq, "I2: the plane is ahead of the site"
            acked = links[end.name]["acked_seq"]
            assert acked is None or acked <= row["acked_seq"], "I2: the site believes in more than the plane holds"
            if row["acked_seq"] >= ends.base_seq:
                assert row["chain_hash"] == self.site.hash_at(row["acked_seq"]), "I3: not a prefix"
            if row["acked_seq"] == ends.seq and not self.unstamped():
                assert self.replica(end) == self.own(), "I4: caught up but different"

    def unstamped(self) -> bool:
        return self.site.reads("unstamped", stream.unstamped)

    def replica(self, end: PlaneEnd) -> dict[str, tuple[str, int]]:
        known = [row for row in end.runs().values() if row["orphaned_at"] is None]
        return {row["run_id"]: (row["state_type"], row["version"]) for row in known}

    def own(self) -> dict[str, tuple[str, int]]:
        return {row["id"]: (row["state_type"], row["version"]) for row in self.site.runs().values()}

    @invariant()
    def every_change_has_one_event(self) -> None:
        if not hasattr(self, "site") or self.site.ends().base_seq:
            return
        counted, found = self.site.reads("changes", _changes)
        assert counted == found, "I6: a change without its event"

    @invariant()
    def states_keep_their_promises(self) -> None:
        if not hasattr(self, "site"):
            return
        now = {run_id: row["state_type"] for run_id, row in self.site.runs().items()}
        for run in self.accepted:
            assert now.get(run) in ("CANCELLED", "CANCELLING"), "I7: an accepted cancel did not hold"
        for run, state in self.before.items():
            assert state not in TERMINAL or now.get(run) == state, "I9: a final state changed"
        self.before = now

    @invariant()
    def withdrawn_commands_never_run(self) -> None:
        if hasattr(self, "site"):
            assert not self.withdrawn & self.answered(), "I8: a withdrawn command ran"

    @invariant()
    def needed_events_are_kept(self) -> None:
        if hasattr(self, "site"):
            base = self.site.ends().base_seq
            for link in self.site.links().values():
                assert link["acked_seq"] is None or link["acked_seq"] >= base, "I11: a plane still needed it"

    @invariant()
    def planes_show_what_sites_reported(self) -> None:
        if hasattr(self, "site"):
            self.note_ends()
        for end in getattr(self, "planes", {}).values():
            shown = {(row["run_id"], row["state_type"]) for row in end.runs().values()}
            assert {pair for pair in shown if pair[1] in TERMINAL} <= self.reported, "I12: an invented end"
            assert not end.defects, f"I1: the plane failed: {end.defects}"
            self.nothing_above_the_policy(end)

    def nothing_above_the_policy(self, end: PlaneEnd) -> None:
        """What was sent since the last check; the policy changes only between two of them."""
        seen, end.network.seen = end.network.seen, []
        link = self.site.links().get(end.name)
        level = link["level"] if link else "metadata"
        for kind, canary in CANARIES.items():
            if not allows(level, kind):
                assert not any(canary.encode() in body for body in seen), f"I13: {kind} on the wire under {level}"
        spooled = self.site.reads("spooled", _spooled)
        assert all(allows(self.laxest, kind) for kind in spooled), "I13: more in the outbox than any policy let out"

    @invariant()
    def lines_are_kept_or_told(self) -> None:
        """Each line that a link and its plane have passed is there, or a mark says that it is not."""
        if not hasattr(self, "planes"):
            return
        for name, link in self.site.links().items():
            row, found = self.planes[name].row(), self.planes[name].lines()
            if row["log_epoch"] != link["log_epoch"]:
                continue
            mine = {line["id"]: line for line in found if line["epoch"] == link["log_epoch"]}
            marks = [(line["first"], line["id"]) for line in mine.values() if line["first"] is not None]
            for line in self.site.lines(link["log_start"], min(link["log_cursor"], row["log_acked"])):
                told = any(first <= line["id"] <= last for first, last in marks)
                kept = mine.get(line["id"], {}).get("message") == line["message"]
                assert kept or told, f"I14: line {line['id']} is neither at the plane nor told as missing"

    def note_ends(self) -> None:
        """Remember how runs ended at the site, whatever is restored later."""
        self.reported |= {(run, row["state_type"]) for run, row in self.site.runs().items()}

    def heal(self) -> None:
        """All faults end: then every link converges (L1), every command has an outcome (L2), planes know (L3)."""
        for name in self.site.links():
            end = self.planes[name]
            end.network.online = True
            end.network.fates.clear()
            for _ in range(60):
                self.site.stamp()
                if not self.has_session(name):
                    self.open_one(name)
                    continue
                self.poll_one(end)
                if self.has_session(name):
                    self.push_one(end, 50)
                session = self.site.agents[name].session if name in self.site.agents else None
                if session is not None and session.acked == self.site.ends().seq and not self.unstamped():
                    break
            assert end.row()["acked_seq"] == self.site.ends().seq, f"L1: a link did not converge: {self.trouble}"
            self.heal_lines(end)
            assert self.replica(end) == self.own(), f"L1: {name} converged to something else"
            link = self.site.link(name)
            authority = link["authority_id"] if link["primary"] else ""
            assert end.row()["authority_id"] == authority, "L3: the plane does not know whether it commands"
            for command in end.commands():
                if command["withdrawn_at"] is None:
                    assert command["outcome"] is not None, f"L2: no outcome for {command['op']} {command['seq']}"

    def heal_lines(self, end: PlaneEnd) -> None:
        """All lines that may leave do, or are told as missing."""
        for _ in range(200):
            link = self.site.link(end.name)
            if not allows(link["level"], "logs"):
                return
            row, newest = end.row(), self.site.newest_line()
            passed = row["log_acked"] if row["log_epoch"] == link["log_epoch"] else link["log_start"]
            if not self.site.lines(passed, newest):
                self.lines_are_kept_or_told()
                return
            self.lines_one(end)
        raise AssertionError(f"L1: log lines did not converge: {self.trouble}")


def _changes(tx: Tx) -> tuple[dict[str, int], dict[str, int]]:
    """How often each run changed, and how many events tell of it."""
    changes = select(STATES.c.run_id, func.count()).group_by(STATES.c.run_id)
    told = select(EVENTS.c.run_id, func.count()).where(EVENTS.c.type.startswith("hub.run."))
    counted = {row[0]: row[1] for row in tx.conn.execute(changes)}
    return counted, {row[0]: row[1] for row in tx.conn.execute(told.group_by(EVENTS.c.run_id))}


def _spooled(tx: Tx) -> set[str]:
    """Classes of which something is kept to be sent."""
    query = select(EVENTS.c.more).where(EVENTS.c.more.is_not(None))
    return {kind for row in tx.conn.execute(query).scalars() for kind in row}
