"""One site, one plane, the real app between them."""

from __future__ import annotations

import pytest
from hub.errors import ConflictError, TransientError
from hub.runtime.commands import Command, apply
from hub.types import new_id

from hub_hybrid.agent import SessionLost

from .world import CANARY, SCOPE, PlaneEnd, SiteEnd, answered, limited, memory_store, plain, push_all, same


def test_runs_that_were_there_before_the_link_arrive_as_a_snapshot(site: SiteEnd, plane: PlaneEnd) -> None:
    run = new_id()
    for _ in range(4):
        site.advance(run)
    site.stamp()
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    assert plane.runs()[run]["state_type"] == "COMPLETED"
    assert same(site, plane)
    assert agent.ready


def test_events_arrive_in_order_and_chained(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    run = new_id()
    for _ in range(4):
        site.advance(run)
        push_all(site)
    assert plane.runs()[run]["state_type"] == "COMPLETED"
    assert plane.row()["chain_hash"] == site.ends().hash
    assert site.link("cloud")["acked_seq"] == site.ends().seq
    assert same(site, plane)


def test_parameters_errors_logs_and_results_never_cross_the_wire(site: SiteEnd, plane: PlaneEnd) -> None:
    first, second, third = new_id(), new_id(), new_id()
    site.advance(first)
    site.connect(plane)
    site.agent(plane).open()
    for good, run in ((True, first), (False, second)):
        while site.advance(run, good):
            push_all(site)
    plane.order("run.cancel", third)
    site.agents["cloud"].poll()
    site.agents["cloud"].beat()
    push_all(site)
    site.agent(plane)
    sent = b"\n".join(plane.network.seen)
    assert plane.runs()[second]["run"]["error_type"] == "ValueError"
    assert third in sent.decode()
    assert CANARY.encode() not in sent


def test_a_cancel_reaches_the_run_and_its_outcome_the_plane(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    run = new_id()
    site.advance(run)
    push_all(site)
    command = plane.order("run.cancel", run)
    assert plane.runs()[run]["cancel_requested_at"] is not None
    assert plane.runs()[run]["state_type"] == "SCHEDULED"
    assert agent.poll() == 1
    push_all(site)
    assert plane.runs()[run]["state_type"] == "CANCELLED"
    assert plane.runs()[run]["cancel_requested_at"] is None
    (seen,) = plane.commands()
    assert (seen["id"], seen["outcome"]) == (command, "accepted")


def test_a_cancel_that_comes_after_the_end_is_answered_with_the_state_that_stands(
    site: SiteEnd, plane: PlaneEnd
) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    run = new_id()
    site.advance(run)
    push_all(site)
    plane.order("run.cancel", run)
    while site.advance(run):
        pass
    push_all(site)
    agent.poll()
    push_all(site)
    assert plane.commands()[0]["outcome"] == "rejected:already_final"
    assert plane.runs()[run]["state_type"] == "COMPLETED"
    assert plane.runs()[run]["cancel_requested_at"] is None


def test_a_cancel_that_overtakes_its_run_keeps_it_from_ever_starting(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    run = new_id()
    plane.order("run.cancel", run)
    agent.poll()
    site.create(run)
    assert site.runs()[run]["state_type"] == "CANCELLED"


def test_commands_wait_until_the_plane_knows_what_happened_before(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    site.advance(new_id())
    site.stamp()
    agent = site.agent(plane)
    agent.open()
    assert not agent.ready
    agent.push()
    assert agent.ready


def test_a_withdrawn_command_is_not_delivered_and_a_delivered_one_not_withdrawn(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    first, second = plane.order("run.cancel", new_id()), plane.order("run.cancel", new_id())
    assert first is not None
    assert second is not None
    plane.withdraw(first)
    assert agent.poll() == 1
    with pytest.raises(ConflictError, match="fetched"):
        plane.withdraw(second)


def test_the_same_wish_twice_is_one_command(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    site.agent(plane).open()
    run = new_id()
    assert plane.order("run.cancel", run) == plane.order("run.cancel", run)
    assert len(plane.commands()) == 1


def test_a_plane_that_is_not_primary_is_not_obeyed(site: SiteEnd, plane: PlaneEnd) -> None:
    other_store = memory_store()
    other = PlaneEnd(other_store, "mirror")
    site.connect(plane)
    site.connect(other)
    run = new_id()
    site.advance(run)
    site.stamp()
    for end in (plane, other):
        site.agent(end).open()
    assert other.order("run.cancel", run) is None
    old = plane.order("run.cancel", run)
    apply(site.store, Command("link.promote", SCOPE, "mirror"))
    with pytest.raises(SessionLost):
        site.agents["cloud"].push()
    site.agents["cloud"].open()
    site.agents["cloud"].poll()
    push_all(site, "cloud")
    assert site.runs()[run]["state_type"] == "SCHEDULED"
    assert [(c["id"], c["outcome"]) for c in plane.commands()] == [(old, "rejected:not_authority")]
    site.agents["mirror"].open()
    assert other.order("run.cancel", run) is not None
    push_all(site, "mirror")
    site.agents["mirror"].poll()
    assert site.runs()[run]["state_type"] == "CANCELLED"
    other.network.shut()
    other_store.close()


def test_an_operation_that_no_plane_may_ask_for_is_refused(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    plane.order("run.cancel", new_id())
    with plane.store.write() as tx:
        from hub_hybrid.replica import COMMANDS

        tx.conn.execute(COMMANDS.update().values(op="queue.set", args={"name": "default", "paused": True}))
    agent.poll()
    push_all(site)
    assert plane.commands()[0]["outcome"] == "rejected:unsupported"


def test_a_newer_session_ends_the_older_one(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    first = site.agent(plane)
    first.open()
    second = site.agent(plane)
    second.open()
    site.advance(new_id())
    site.stamp()
    with pytest.raises(SessionLost):
        first.push()
    assert second.push()


def test_a_lost_answer_is_answered_again_without_a_second_effect(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    site.advance(new_id())
    site.stamp()
    plane.network.fates = ["answer_lost"]
    with pytest.raises(TransientError):
        agent.push()
    assert agent.push()
    assert same(site, plane)


def test_a_batch_that_is_too_large_is_halved(site: SiteEnd, plane: PlaneEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    for _ in range(12):
        site.advance(new_id())
    site.stamp()
    sizes: list[int] = []
    real = plane.network.deliver

    def picky(letter):  # type: ignore[no-untyped-def]

        sizes.append(len(plain(*letter[2:])))
        if sizes[-1] > 3000:
            return answered(413, {"code": "body-too-large"})
        return real(letter)

    monkeypatch.setattr(plane.network, "deliver", picky)
    while agent.push():
        pass
    assert max(sizes) > 3000
    assert plane.row()["acked_seq"] == site.ends().seq
    assert same(site, plane)


def test_an_event_too_large_even_alone_leaves_as_its_digest(
    site: SiteEnd, plane: PlaneEnd, monkeypatch: pytest.MonkeyPatch
) -> None:

    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    site.advance(new_id())
    site.stamp()
    real = plane.network.deliver
    monkeypatch.setattr(
        plane.network, "deliver", lambda letter: answered(413) if len(plain(*letter[2:])) > 600 else real(letter)
    )
    while agent.push():
        pass
    assert plane.row()["acked_seq"] == site.ends().seq
    assert plane.row()["chain_hash"] == site.ends().hash


def test_history_removed_before_a_link_came_back_is_replaced_by_a_snapshot(site: SiteEnd, plane: PlaneEnd) -> None:
    link = site.connect(plane)
    site.agent(plane).open()
    site.advance(new_id())
    push_all(site)
    apply(site.store, Command("link.disconnect", SCOPE, link))
    run = new_id()
    while site.advance(run):
        pass
    site.stamp()
    site.trim(1000)
    site.connect(plane)
    site.agent(plane).open()
    assert plane.runs()[run]["state_type"] == "COMPLETED"
    assert same(site, plane)


def test_small_batches_carry_a_long_backlog(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    for _ in range(25):
        site.advance(new_id())
    site.stamp()
    limited(agent, 4)
    count = 0
    while agent.push():
        count += 1
    assert count == 7
    assert same(site, plane)
