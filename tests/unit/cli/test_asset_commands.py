"""`hub assets` and what it says."""

from __future__ import annotations

from pathlib import Path

from hub.runtime import inline
from tests.unit.cli.conftest import Shell

FLOW = """
from hub import add_asset_metadata, flow, materialize

@materialize("s3://lake/orders", asset_deps=["s3://lake/raw"])
def orders() -> None:
    add_asset_metadata("s3://lake/orders", {"rows": 7})

@flow
def nightly() -> None:
    orders()
"""


def test_assets_are_listed_and_shown(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "making.py"
    file.write_text(FLOW)
    assert hub.json("assets", "ls") == []
    hub("run", f"{file}:nightly")
    hub("run", f"{file}:nightly")
    inline.forget()
    listed = hub.json("assets", "ls")
    assert {row["key"]: row["state"] for row in listed} == {"s3://lake/orders": "materialized", "s3://lake/raw": None}
    assert "s3://lake/orders" in hub("assets", "ls")
    shown = hub.json("assets", "show", "s3://lake/orders")
    assert (shown["metadata"], [near["key"] for near in shown["upstream"]]) == ({"rows": 7}, ["s3://lake/raw"])
    assert len(shown["materializations"]) == 2
    text = hub("assets", "show", shown["upstream"][0]["id"])
    assert "Goes into" in text
    assert "No task has made it yet" not in hub("assets", "show", "s3://lake/orders")
    assert "no asset" in hub("assets", "show", "s3://lake/other", code=3)
