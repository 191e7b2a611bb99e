"""Either end is restored from a backup, and nobody says so."""

from __future__ import annotations

import pytest
from hub.types import new_id

from hub_hybrid.agent import SessionLost

from .world import PlaneEnd, SiteEnd, copy_of, push_all, put_back, same


def test_a_site_restored_from_a_backup_begins_a_new_stream(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    site.agent(plane).open()
    kept, lost = new_id(), new_id()
    site.advance(kept)
    push_all(site)
    backup = copy_of(site.store)
    epoch = site.ends().epoch
    site.advance(lost)
    push_all(site)
    put_back(site.store, backup)
    site.agent(plane).open()
    assert site.ends().epoch != epoch
    assert plane.runs()[lost]["orphaned_at"] is not None
    assert plane.runs()[kept]["orphaned_at"] is None
    assert same(site, plane)


def test_a_plane_restored_from_a_backup_is_noticed_when_nobody_says_so(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    run = new_id()
    site.advance(run)
    push_all(site)
    epoch = plane.row()["plane_epoch"]
    backup = copy_of(plane.store)
    site.advance(run)
    plane.order("run.cancel", run)
    agent.poll()
    push_all(site)
    put_back(plane.store, backup)
    site.advance(new_id())
    site.stamp()
    with pytest.raises(SessionLost):
        agent.push()
    agent.open()
    assert plane.row()["plane_epoch"] != epoch
    assert site.link("cloud")["command_cursor"] == 0
    push_all(site)
    assert same(site, plane)


def test_a_link_with_nothing_to_send_notices_a_restored_plane_at_its_next_heartbeat(
    site: SiteEnd, plane: PlaneEnd
) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    backup = copy_of(plane.store)
    site.advance(new_id())
    push_all(site)
    put_back(plane.store, backup)
    assert not agent.push()
    with pytest.raises(SessionLost, match="older copy"):
        agent.beat()
    agent.open()
    push_all(site)
    assert same(site, plane)


def test_commands_in_the_place_of_forgotten_ones_are_delivered(site: SiteEnd, plane: PlaneEnd) -> None:
    site.connect(plane)
    agent = site.agent(plane)
    agent.open()
    backup = copy_of(plane.store)
    plane.order("run.cancel", new_id())
    agent.poll()
    put_back(plane.store, backup)
    command = plane.order("run.cancel", new_id())
    with pytest.raises(SessionLost, match="older copy"):
        agent.poll()
    agent.open()
    assert agent.poll() == 1
    push_all(site)
    assert [(c["id"], c["outcome"]) for c in plane.commands()] == [(command, "accepted")]
