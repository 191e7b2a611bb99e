from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub.hookspecs import hookimpl
from hub.plugins import Context, Panel, load_plugins
from hub.settings import Settings, load_settings
from hub.store import Store, open_store
from hub.store.tables import RunRow, Worker
from hub.types import Actor, Scope, new_id
from starlette.testclient import TestClient
from tests.unit.web.ui.seed import Seed
from tests.unit.web.ui.serving import make_app
from tests.unit.web.ui.workspace import fill

from hub_plugins.dashboard import attention, counts
from hub_plugins.dashboard.panels import overview

OWNER = Scope(actor=Actor("local", scopes=frozenset({"*"})))


@pytest.fixture(params=["memory", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Both dialects: the overview groups and counts in the database."""
    url = "sqlite://" if request.param == "memory" else request.getfixturevalue("postgres_url")
    opened = open_store(url)
    opened.migrate()
    yield opened
    opened.close()


def ended(seed: Seed, hours_ago: float, state: str) -> None:
    at = seed.ago(hours_ago * 3600)
    seed.add(RunRow, at_=at, state_type=state, state_name=state.title(), ended_at=at, created_at=at, name="r")


def test_runs_are_counted_in_the_hour_they_ended(store: Store) -> None:
    seed = Seed(store)
    for hours_ago, state in ((0, "COMPLETED"), (0, "COMPLETED"), (5, "FAILED"), (30, "FAILED"), (0, "CRASHED")):
        ended(seed, hours_ago, state)
    with store.read() as tx:
        day = counts.last_day(store, tx, OWNER)
    assert dict(day.totals) == {"COMPLETED": 2, "FAILED": 1, "CRASHED": 1}
    assert day.failed == 2
    assert len(day.hours) == 24
    assert dict(day.hours[-1].counts) == {"COMPLETED": 2, "CRASHED": 1}
    assert sum(hour.counts.get("FAILED", 0) for hour in day.hours) == 1


def test_other_workspaces_are_not_counted(store: Store) -> None:
    ended(Seed(store), 0, "FAILED")
    foreign = Scope(new_id(), OWNER.actor)
    with store.read() as tx:
        assert counts.last_day(store, tx, foreign).totals == {}
        assert attention.items(tx, foreign, counts.current(tx, foreign)) == []


def test_what_needs_attention_is_named_with_its_page(store: Store) -> None:
    seed = fill(store)
    with store.read() as tx:
        items = attention.items(tx, OWNER, counts.current(tx, OWNER))
    words = [item.word for item in items]
    assert words[0] == "Late"
    assert {"Failed", "TimedOut", "Crashed", "Not verified", "Channel off", "Given up"} <= set(words)
    assert any(item.address == f"/ui/runs/{seed.ids['failed']}" for item in items)


def test_a_reader_hears_only_of_what_they_may_see(store: Store) -> None:
    fill(store)
    with store.read() as tx:
        reader = Scope(actor=Actor("token", "t", frozenset({"runs:read"})))
        words = {item.word for item in attention.items(tx, reader, counts.current(tx, reader))}
    assert words.isdisjoint({"Not verified", "Channel off", "Given up"})
    assert "Failed" in words


def test_runs_that_wait_without_a_worker_come_first(store: Store) -> None:
    seed = Seed(store)
    seed.add(RunRow, state_type="SCHEDULED", state_name="Scheduled", name="r")
    with store.read() as tx:
        items = attention.items(tx, OWNER, counts.current(tx, OWNER))
    assert items[0].word == "No worker"
    seed.add(Worker, name="w", status="ready", lease_until=seed.ago(-60), started_at=seed.now, slots=1)
    with store.read() as tx:
        assert attention.items(tx, OWNER, counts.current(tx, OWNER)) == []


def test_an_empty_hub_has_every_panel(store: Store) -> None:
    panels = list(overview(store, OWNER))
    assert [panel.title for panel in panels][1:] == [
        "First steps", "Needs attention", "Runs that ended in the last 24 hours", "Workers", "Next by schedule"
    ]  # fmt: skip
    assert "hub deploy" in panels[1].html
    assert "No run has ended" in panels[3].html
    assert "hub worker" in panels[4].html


def settings(folder: Path, **more: str) -> Settings:
    return load_settings({"home": folder, **more}, environ={})


def test_without_the_plugin_there_is_no_dashboard(store: Store, tmp_path: Path) -> None:
    app = make_app(store, tmp_path, plugins="-dashboard")
    with TestClient(app, base_url="http://localhost:4300") as browser:
        assert browser.get("/ui/runs").status_code == 404
        assert browser.get("/api/v1/runs").status_code == 200


def test_a_panel_that_fails_says_so_and_the_page_stands(store: Store, tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        def hub_ui_panels(self, ctx: Context, view: str) -> list[Panel]:
            raise RuntimeError(f"<b>{view} is broken</b>")

    class Strange:
        @hookimpl
        def hub_ui_panels(self) -> list[str]:
            return ["<script>"]

    plugins = load_plugins(settings(tmp_path), process="web", store=store)
    plugins.hooks._manager.register(Broken(), name="broken")
    plugins.hooks._manager.register(Strange(), name="strange")
    panels = plugins.hooks.ui_panels("home", {"scope": OWNER})
    assert {panel.title for panel in panels[-2:]} == {"Plugin broken", "Plugin strange"}
    html = "".join(panel.html for panel in panels[-2:])
    assert "&lt;b&gt;home is broken" in html
    assert "what it gave is no panel" in html
    assert "<script>" not in html
