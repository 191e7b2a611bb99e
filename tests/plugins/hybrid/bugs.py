"""Bugs put into the real code on purpose, one function each: the state machine must find every one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hub.errors import NotFoundError, RefusedError
from hub.store import runs, stream

from hub_hybrid import agent, exchange, export, lines, links, orders, replica
from hub_hybrid.protocol import Acked, Commands, LogsAcked

commands: Any = import_module("hub.runtime.commands.apply")
run_commands: Any = import_module("hub.runtime.commands.runs")
Patch = Callable[[pytest.MonkeyPatch], None]


def cursor_moves_before_the_command(patch: pytest.MonkeyPatch) -> None:
    """The cursor is kept first; a crash then loses the command."""
    real = agent.Agent.poll

    def poll(self: agent.Agent, wait: float = 0) -> int:
        ask, session = self.ask, self._current()

        def eager(kind: Any, *args: Any, **more: Any) -> Any:
            answer = ask(kind, *args, **more)
            if kind is Commands:
                self.advance(session, answer.cursor)
            return answer

        patch.setattr(self, "ask", eager)
        try:
            return real(self, wait)
        finally:
            patch.delattr(self, "ask")

    patch.setattr(agent.Agent, "poll", poll)


def outcomes_are_not_looked_up(patch: pytest.MonkeyPatch) -> None:
    """A repeated command is carried out again."""
    patch.setattr(commands, "_earlier", lambda _tx, _command: None)
    real = commands._note

    def note(tx: Any, command: Any, *rest: Any) -> None:
        tx.conn.execute(commands._OUTCOMES.delete().where(commands._OUTCOMES.c.command_id == command.id))
        real(tx, command, *rest)

    patch.setattr(commands, "_note", note)


def a_restored_plane_keeps_its_epoch(patch: pytest.MonkeyPatch) -> None:
    """Sites go on with cursors of another history."""
    patch.setattr(replica, "restored", lambda _tx, _site: {})
    patch.setattr(replica, "was_restored", lambda _site, _hello: False)


def a_restored_plane_forgets_what_it_delivered(patch: pytest.MonkeyPatch) -> None:
    """A user may withdraw what the site has carried out."""
    real = replica.restored

    def restored(tx: Any, site: Any) -> dict[str, Any]:
        return real(tx, {**site, "command_head": site["command_delivered"]})

    patch.setattr(replica, "restored", restored)


def a_restored_plane_gives_out_a_fence_again(patch: pytest.MonkeyPatch) -> None:
    """The first session after the backup goes on, and so do its requests that are still under way."""
    patch.setattr(replica, "unused_fence", lambda fence: fence + 1)


def delivered_commands_can_be_withdrawn(patch: pytest.MonkeyPatch) -> None:
    """The plane takes back what the site may have."""
    real = replica.locked
    patch.setattr(orders, "locked", lambda tx, row: {**real(tx, row), "command_delivered": 0})


def delivery_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    """The same, from the other side."""
    real = orders.deliver

    def deliver(tx: Any, site_row: str, fence: int, after: int) -> Commands:
        before = replica.locked(tx, site_row)["command_delivered"]
        answer = real(tx, site_row, fence, after)
        tx.conn.execute(replica.SITES.update().where(replica.SITES.c.id == site_row).values(command_delivered=before))
        return answer

    patch.setattr(orders, "deliver", deliver)


def withdrawn_commands_are_delivered(patch: pytest.MonkeyPatch) -> None:
    """The plane forgets to keep the withdrawal."""
    real = orders.withdraw

    def withdraw(tx: Any, scope: Any, site_row: str, command_id: str) -> dict[str, Any]:
        row = real(tx, scope, site_row, command_id)
        tx.conn.execute(replica.COMMANDS.update().where(replica.COMMANDS.c.id == command_id).values(withdrawn_at=None))
        return row

    patch.setattr(orders, "withdraw", withdraw)


def the_plane_has_no_fence(patch: pytest.MonkeyPatch) -> None:
    """A late request of an older session is believed."""
    patch.setattr(replica, "fenced", lambda tx, row, _fence: replica.locked(tx, row))
    patch.setattr(orders, "fenced", lambda tx, row, _fence: replica.locked(tx, row))


def forks_are_not_noticed(patch: pytest.MonkeyPatch) -> None:
    """A site restored from a backup goes on where the plane stands."""
    real = exchange.start

    def start(answer: Any, ends: Any, hash_there: Any) -> Any:
        found = real(answer, ends, hash_there)
        return "push" if found == "fork" else found

    patch.setattr(exchange, "start", start)


def a_fork_keeps_its_epoch(patch: pytest.MonkeyPatch) -> None:
    """Two histories under one name."""
    patch.setattr(stream, "renew_epoch", stream.read)


def left_epochs_are_followed_again(patch: pytest.MonkeyPatch) -> None:
    """A site restored twice from the same backup writes over what was."""
    patch.setattr(replica, "_mode", lambda _tx, site, epoch: "resume" if site["stream_epoch"] == epoch else "snapshot")


def events_are_trimmed_early(patch: pytest.MonkeyPatch) -> None:
    """Retention does not ask the links."""
    real = stream.trim

    def trim(tx: Any, *, before: int, limit: int = 5000) -> int:
        rows = [dict(row) for row in tx.conn.execute(stream.LINKS.select()).mappings()]
        tx.conn.execute(stream.LINKS.update().values(acked_seq=None))
        count = real(tx, before=before, limit=limit)
        for row in rows:
            tx.conn.execute(
                stream.LINKS.update().where(stream.LINKS.c.id == row["id"]).values(acked_seq=row["acked_seq"])
            )
        return count

    patch.setattr(stream, "trim", trim)


def a_cancel_leaves_no_tombstone(patch: pytest.MonkeyPatch) -> None:
    """A cancel that came before its run is accepted and forgotten."""

    def cancel(tx: Any, command: Any, args: Any) -> dict[str, Any]:
        try:
            return dict(run_commands._signal(tx, command, run_commands.Cancel("cancelled")))
        except NotFoundError:
            return {"id": command.target}

    from hub.runtime.commands import registry

    registry.find("run.cancel")
    patch.setitem(registry._ops, "run.cancel", replace(registry._ops["run.cancel"], handler=cancel))


def a_state_changes_without_its_event(patch: pytest.MonkeyPatch) -> None:
    """The start of a run is not told."""
    real = runs._event

    def event(tx: Any, scope: Any, verb: str, run: Any) -> str:
        return "" if verb == "started" else real(tx, scope, verb, run)

    patch.setattr(runs, "_event", event)


def the_site_remembers_its_own_acked(patch: pytest.MonkeyPatch) -> None:
    """After a new session it goes on where it stood, not where the plane stands."""
    real = agent.Agent.open

    def open_(self: agent.Agent) -> None:
        with self._store.read() as tx:
            before = links.current(tx, self._link_id)["acked_seq"]
        real(self)
        if self.session is not None and before is not None:
            self.session = replace(self.session, acked=max(before, self.session.acked))

    patch.setattr(agent.Agent, "open", open_)


def any_plane_is_obeyed(patch: pytest.MonkeyPatch) -> None:
    """Neither primary nor authority is asked for."""
    patch.setattr(agent.Agent, "obey", lambda _self, _command, _tx: None)


def an_old_authority_is_obeyed(patch: pytest.MonkeyPatch) -> None:
    """Commands from before a switch still count when the plane is primary again."""

    def obey(self: agent.Agent, command: Any, tx: Any) -> None:
        if not links.current(tx, self._link_id)["primary"]:
            raise RefusedError("not primary", code="not_authority")

    patch.setattr(agent.Agent, "obey", obey)


def final_states_are_not_final(patch: pytest.MonkeyPatch) -> None:
    """A cancel changes what has ended."""
    from hub.engine import rules
    from hub.engine.run import Cancel, Transition
    from hub.runtime import orchestrator
    from hub.states import State, StateType

    def decide(run: Any, signal: Any, *, now: int) -> Any:
        if isinstance(signal, Cancel) and run.state.final:
            state = State(StateType.CANCELLED, "Cancelled", "")
            return Transition(run, state, "cancelled", run.attempt, run.epoch, ended=True)
        return rules.decide(run, signal, now=now)

    patch.setattr(orchestrator, "decide", decide)


def a_switched_link_goes_on(patch: pytest.MonkeyPatch) -> None:
    """Whoever was promoted is not told."""
    real = agent.Agent._next

    def next_(self: agent.Agent, session: Any) -> Any:
        with self._store.read() as tx:
            link = links.current(tx, self._link_id)
        return real(self, replace(session, authority=(bool(link["primary"]), link["authority_id"])))

    patch.setattr(agent.Agent, "_next", next_)


def the_newest_state_is_written_over(patch: pytest.MonkeyPatch) -> None:
    """The replica keeps the first state that it heard of a run."""
    real = replica._replicate

    def replicate(tx: Any, owner: Any, found: Any) -> None:
        query = replica.RUNS.select().where(replica.RUNS.c.site_row == owner["site_row"])
        known = {row.run_id for row in tx.conn.execute(query)}
        real(tx, owner, [run for run in found if run.id not in known])

    patch.setattr(replica, "_replicate", replicate)


def gone_runs_stay_in_the_replica(patch: pytest.MonkeyPatch) -> None:
    """A snapshot only adds."""
    real = replica.snapshot

    def snapshot(tx: Any, site_row: str, fence: int, part: Any) -> Acked:
        answer = real(tx, site_row, fence, part)
        tx.conn.execute(replica.RUNS.update().values(orphaned_at=None))
        return answer

    patch.setattr(replica, "snapshot", snapshot)


def snapshots_leave_answers_out(patch: pytest.MonkeyPatch) -> None:
    """Outcomes whose events are gone are never told."""
    patch.setattr(export, "answered_page", lambda _tx, _workspace, _after, _limit: [])


def a_private_field_is_exported(patch: pytest.MonkeyPatch) -> None:
    """An error's text is taken for metadata."""
    from hub import events as catalog

    for verb in ("failed", "created"):
        classes = {**catalog.CATALOG[f"hub.run.{verb}"], "parameters": "metadata", "error_message": "metadata"}
        patch.setitem(catalog.CATALOG, f"hub.run.{verb}", classes)


def refusals_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """What the site refuses is not answered."""
    real = commands.apply

    def apply(store: Any, command: Any, **more: Any) -> Any:
        with store.read() as tx:
            row = tx.conn.execute(runs.TABLE.select().where(runs.TABLE.c.id == command.target)).mappings().first()
        if command.via == "link" and row is not None and row["state_type"] in ("COMPLETED", "FAILED"):
            return commands.Outcome(command.id, "rejected", "")
        return real(store, command, **more)

    patch.setattr(agent, "apply", apply)


def the_policy_is_not_looked_at_when_an_event_leaves(patch: pytest.MonkeyPatch) -> None:
    """What was let out for one plane reaches another, and what waits is sent after all."""
    patch.setattr(export, "lessened", lambda event, _policy: event)


def lines_are_shed_in_silence(patch: pytest.MonkeyPatch) -> None:
    """The plane is not told what it lacks."""

    def leave_out(self: lines.Lines, session: Any, link: Any, last: int, _cause: str) -> bool:
        self._advance(session, link, log_cursor=last)
        return True

    patch.setattr(lines.Lines, "_leave_out", leave_out)


def lines_go_on_where_the_site_stood(patch: pytest.MonkeyPatch) -> None:
    """A plane that was restored never gets again what it has lost."""
    real = agent._log_place
    patch.setattr(
        agent, "_log_place", lambda link, answer, *, forked: real(link, answer, forked=forked) if forked else {}
    )


def a_plane_keeps_no_marks(patch: pytest.MonkeyPatch) -> None:
    """It passes over what is missing as if it were not."""
    real = replica.take_lines

    def take_lines(tx: Any, site_row: str, fence: int, batch: Any) -> LogsAcked:
        return real(tx, site_row, fence, batch.model_copy(update={"gap": None}))

    patch.setattr(replica, "take_lines", take_lines)
