"""The protocol's invariants as a Hypothesis state machine on the real code.

Rules are only enabled when they can do something, and rare histories have rules of their own, else most steps would
be wasted.
"""

from __future__ import annotations

from hub.errors import HubError
from hub.events import LEVELS, allows
from hub.runtime.commands import Command, apply
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy import update

from hub_hybrid.replica import SITES

from .checks import NAMES, RUNS, Watched
from .world import SCOPE, PlaneEnd, copy_of, put_back

run_ids = st.sampled_from(RUNS)


class Links(Watched):
    """Everything that can fail does."""

    # --- work at the site ----------------------------------------------------------------------------------------

    @rule(run=run_ids, good=st.booleans(), stamp=st.booleans())
    def work(self, run: str, good: bool, stamp: bool) -> None:
        self.site.advance(run, good)
        if stamp:
            self.site.stamp()

    @rule(run=run_ids)
    def work_much(self, run: str) -> None:
        for _ in range(3):
            self.site.advance(run)
        self.site.stamp()

    @rule(run=run_ids, count=st.integers(1, 8))
    def runs_write_lines(self, run: str, count: int) -> None:
        self.write_lines(run, count)

    @precondition(lambda self: self.live())
    @rule(data=st.data(), fate=st.sampled_from(["ok", "ok", "lost", "answer_lost", "dup"]))
    def send_lines(self, data: st.DataObject, fate: str) -> None:
        self.lines_one(self.pick(data, self.live()), fate)

    @precondition(lambda self: any(row["state_type"] == "PAUSED" for row in self.site.runs().values()))
    @rule()
    def somebody_resumes_here(self) -> None:
        for run, row in self.site.runs().items():
            if row["state_type"] == "PAUSED":
                apply(self.site.store, Command("run.resume", SCOPE, run))

    # --- sessions and events -------------------------------------------------------------------------------------

    @precondition(lambda self: any(not self.has_session(end.name) for end in self.up()))
    @rule(data=st.data(), fate=st.sampled_from(["ok", "ok", "answer_lost", "dup"]), later=st.integers(0, 2))
    def open(self, data: st.DataObject, fate: str, later: int) -> None:
        end = self.pick(data, [end for end in self.up() if not self.has_session(end.name)])
        end.network.fates = ["ok"] * later + [fate]
        self.open_one(end.name)
        end.network.fates.clear()

    @precondition(lambda self: self.behind())
    @rule(data=st.data(), count=st.integers(1, 3), fate=st.sampled_from(["ok", "ok", "lost", "answer_lost", "dup"]))
    def push(self, data: st.DataObject, count: int, fate: str) -> None:
        self.push_one(self.pick(data, self.behind()), count, fate)

    @precondition(lambda self: any(end.network.late for end in self.planes.values()))
    @rule(data=st.data(), again=st.booleans())
    def network_delivers_late(self, data: st.DataObject, again: bool) -> None:
        network = self.pick(data, [end for end in self.planes.values() if end.network.late]).network
        network.redeliver(data.draw(st.integers(0, len(network.late) - 1)), keep=again)

    def late(self, name: str) -> None:
        """All that was lost arrives after all."""
        network = self.planes[name].network
        while network.late:
            network.redeliver(0, keep=False)

    # --- commands ------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES), op=st.sampled_from(["run.cancel", "run.cancel", "run.pause"]), run=run_ids)
    def user_asks(self, name: str, op: str, run: str) -> None:
        self.planes[name].order(op, run)

    @precondition(lambda self: any(end.deliverable() for end in self.planes.values()))
    @rule(data=st.data())
    def user_withdraws(self, data: st.DataObject) -> None:
        end = self.pick(data, [end for end in self.planes.values() if end.deliverable()])
        self.withdraw_newest(end)

    def withdraw_newest(self, end: PlaneEnd) -> None:
        wanted = [command["id"] for command in end.commands() if command["withdrawn_at"] is None]
        for command in reversed(wanted):
            try:
                end.withdraw(command)
            except HubError:
                continue
            self.withdrawn.add(command)
            return

    @precondition(lambda self: self.live())
    @rule(data=st.data(), crash=st.none() | st.none() | st.integers(0, 2), fate=st.sampled_from(["ok", "answer_lost"]))
    def poll(self, data: st.DataObject, crash: int | None, fate: str) -> None:
        self.poll_one(self.pick(data, self.live()), crash, fate)

    @precondition(lambda self: self.live())
    @rule(data=st.data(), run=run_ids)
    def pause_answered_but_not_passed(self, data: st.DataObject, run: str) -> None:
        """The site dies between a pause and its cursor; somebody resumes the run before the pause comes again."""
        end = self.pick(data, self.live())
        end.order("run.pause", run)
        self.poll_one(end, crash=0)
        self.somebody_resumes_here()
        self.open_one(end.name)

    @rule(name=st.sampled_from(NAMES), level=st.sampled_from(LEVELS))
    def policy_changes(self, name: str, level: str) -> None:
        if name in self.site.links():
            self.site.policy(name, level)
            self.laxest = level if allows(level, self.laxest) else self.laxest

    # --- failures ------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NAMES))
    def network_goes_or_comes(self, name: str) -> None:
        network = self.planes[name].network
        network.online = not network.online

    @precondition(lambda self: self.site.agents)
    @rule()
    def site_process_dies(self) -> None:
        self.site.agents.clear()

    @precondition(lambda self: self.up())
    @rule(data=st.data())
    def another_session_begins(self, data: st.DataObject) -> None:
        end = self.pick(data, self.up())
        with end.store.write() as tx:
            tx.conn.execute(update(SITES).values(fence=SITES.c.fence + 1))

    @rule(name=st.sampled_from(NAMES))
    def back_up_plane(self, name: str) -> None:
        self.backups[name] = copy_of(self.planes[name].store)

    @precondition(lambda self: self.backups)
    @rule(data=st.data())
    def restore_plane(self, data: st.DataObject) -> None:
        self.restore(data.draw(st.sampled_from(sorted(self.backups))))

    def restore(self, name: str) -> None:
        end = self.planes[name]
        put_back(end.store, self.backups[name])
        apply(end.store, Command("site.restored", SCOPE))

    @precondition(lambda self: self.live())
    @rule(data=st.data(), run=run_ids, other=run_ids, polled=st.booleans(), withdrawn=st.booleans())
    def command_lost_in_a_restore(
        self, data: st.DataObject, run: str, other: str, polled: bool, withdrawn: bool
    ) -> None:
        """The plane forgets a command that the site knows, or that it had delivered it."""
        end = self.pick(data, self.live())
        if data.draw(st.booleans()):
            end.order("run.cancel", run)
        self.backups[end.name] = copy_of(end.store)
        end.order("run.cancel", other)
        if polled:
            self.poll_one(end)
        self.restore(end.name)
        if withdrawn:
            self.withdraw_newest(end)

    @precondition(lambda self: self.live())
    @rule(data=st.data(), run=run_ids, snapshot=st.booleans(), fate=st.sampled_from(["ok", "dup"]))
    def session_lost_in_a_restore(self, data: st.DataObject, run: str, snapshot: bool, fate: str) -> None:
        """The plane forgets sessions; what they sent may arrive after the restore."""
        end = self.pick(data, self.live())
        self.backups[end.name] = copy_of(end.store)
        self.site.agents.clear()
        if snapshot:
            self.site.renew()
        self.site.advance(run)
        end.network.fates = ["ok"] * data.draw(st.integers(1, 3)) + [fate]
        self.open_one(end.name)
        end.network.fates.clear()
        if self.has_session(end.name):
            self.push_one(end, 10, fate)
        self.restore(end.name)

    @rule()
    def back_up_site(self) -> None:
        self.site_backup = copy_of(self.site.store)

    @precondition(lambda self: self.site_backup is not None)
    @rule()
    def restore_site(self) -> None:
        self.note_ends()
        put_back(self.site.store, self.site_backup)
        self.site.agents.clear()
        self.accepted = {run for run in self.accepted if self.state(run) in ("CANCELLED", "CANCELLING")}
        self.effects &= self.answered()
        self.before = {}

    @precondition(lambda self: self.live())
    @rule(data=st.data(), run=run_ids, other=run_ids, more=st.integers(0, 3))
    def history_lost_in_a_restore(self, data: st.DataObject, run: str, other: str, more: int) -> None:
        """The site forgets what the plane has seen, and goes on differently."""
        end = self.pick(data, self.live())
        self.site_backup = copy_of(self.site.store)
        self.site.advance(run)
        self.site.stamp()
        self.push_one(end, 10)
        self.restore_site()
        for _ in range(more):
            self.site.advance(other, good=False)
        self.site.stamp()
        if end.network.online:
            self.open_one(end.name)

    @rule(count=st.integers(1, 4))
    def trim(self, count: int) -> None:
        self.site.stamp()
        self.site.trim(count)

    # --- switching -----------------------------------------------------------------------------------------------

    @precondition(lambda self: "cloud" not in self.site.links())
    @rule(trimmed=st.booleans())
    def connect_cloud(self, trimmed: bool) -> None:
        self.site.connect(self.planes["cloud"])
        if trimmed:
            self.trim(100)

    @precondition(lambda self: len(self.site.links()) > 1)
    @rule(name=st.sampled_from(NAMES))
    def promote(self, name: str) -> None:
        try:
            apply(self.site.store, Command("link.promote", SCOPE, name))
        except HubError:
            return  # it does not have everything
