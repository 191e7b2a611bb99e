"""The hook hub_export_redact: what a stranger's plugin withholds never reaches a plane, and the chain still holds."""

from __future__ import annotations

import pytest
from hub.plugins import load_plugins
from hub.runtime import contributed
from hub.settings import load_settings

from hub_hybrid import exchange, export
from hub_hybrid.export import Policy
from hub_hybrid.protocol import RunOut

from .test_links_over_http import End, ends, linked, make_run, reported, stamp, until  # noqa: F401 - fixtures


@pytest.fixture
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugins of this process are freshly loaded ones."""
    for name in ("_installed", "_hooks", "around_task"):
        monkeypatch.setattr(contributed, name, None)
    contributed.install(load_plugins(load_settings(), process="upkeep").hooks)


@pytest.mark.usefixtures("_plugins")
@pytest.mark.parametrize("mode", ["secret-flow", "raise", "garbage"])
def test_what_is_withheld_leaves_as_its_digest(
    linked: tuple[End, End],  # noqa: F811 - a fixture
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    site, plane = linked
    first = make_run(site)
    until(lambda: first in reported(plane))
    monkeypatch.setenv("ECHO_WITHHOLD", mode)
    hidden = make_run(site, flow_name="secret-flow")
    last = site.client.get("/links/preview")["items"][-1]
    assert set(last) == {"seq", "hash", "digest"}, last
    until(lambda: site.client.page("/links")[0][0]["lag"] == 0)
    assert hidden not in reported(plane)
    monkeypatch.setenv("ECHO_WITHHOLD", "")
    third = make_run(site)
    until(lambda: third in reported(plane))
    assert site.client.page("/links")[0][0]["last_error"] == ""
    with plane.store.read() as tx:
        from hub.store.tables import metadata
        from sqlalchemy import text

        kept = [tx.conn.execute(text(f"SELECT * FROM {table.name}")).all() for table in metadata.sorted_tables]
    assert "secret-flow" not in repr(kept)


@pytest.mark.usefixtures("_plugins")
def test_runs_of_a_snapshot_and_events_are_withheld_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [RunOut(id=name, run={"flow_name": name}) for name in ("open", "secret")]
    monkeypatch.setenv("ECHO_WITHHOLD", "secret")
    assert [run.id for run in export.redacted_runs(runs) if isinstance(run, RunOut)] == ["open"]
    monkeypatch.setenv("ECHO_WITHHOLD", "raise")
    assert export.redacted_runs(runs) == []
    row = {"seq": 1, "id": "e", "type": "t", "subject": "s", "run_id": None, "at": 1, "schema_version": 1, "body": {}}
    from hub import events as catalog

    event = export.event_out(
        {**row, "workspace_id": "w", "hash": catalog.chain("", catalog.digest(row)), "more": None}, Policy("w")
    )
    (held,) = export.redacted([event])
    assert held.digest is not None
    assert exchange.chained("", [held])
