"""`hub artifacts` and what it says."""

from __future__ import annotations

from pathlib import Path

from hub.runtime import inline
from tests.unit.cli.conftest import Shell

FLOW = """
import hub
from hub import flow

@flow
def leaves(n: int = 1) -> None:
    hub.create_table_artifact([{"city": "Kiel", "n": n}, {"city": "Ulm", "n": None}], key="cities", description="Of today")
    hub.create_markdown_artifact("# Well", key="note")
    hub.create_progress_artifact(40)
    hub.create_link_artifact("https://example.org/")
"""  # noqa: E501 - a file of its own


def test_artifacts_are_listed_shown_and_removed(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "leaving.py"
    file.write_text(FLOW)
    assert hub.json("artifacts", "ls") == []
    for n in ("1", "2"):
        hub("run", f"{file}:leaves", "-p", f"n={n}")
    inline.forget()
    listed = hub.json("artifacts", "ls")
    assert [row["kind"] for row in listed] == ["link", "progress", "markdown", "table"] * 2
    assert [row["key"] for row in hub.json("artifacts", "ls", "--latest", "--kind", "table")] == ["cities"]
    assert len(hub.json("artifacts", "ls", "--run", listed[0]["run_id"])) == 4
    assert len(hub.json("artifacts", "ls", "--key", "note")) == 2
    assert "Of today" in hub("artifacts", "ls")
    shown = hub("artifacts", "show", "cities")
    assert all(word in shown for word in ("Of today", "city", "Kiel", "leaves"))
    assert hub.json("artifacts", "show", "cities")["content"]["rows"] == [["Kiel", 2], ["Ulm", None]]
    assert "# Well" in hub("artifacts", "show", "note")
    assert "40 %" in hub("artifacts", "show", listed[1]["id"])
    assert "https://example.org/" in hub("artifacts", "show", listed[0]["id"])
    assert "no artifact with the key" in hub("artifacts", "show", "nothing", code=3)
    assert "Would remove the table artifact cities" in hub("artifacts", "rm", "cities", "--dry-run")
    assert "cannot be undone" in hub("artifacts", "rm", "cities", code=2)
    assert "Removed the table artifact cities" in hub("artifacts", "rm", "cities", "--yes")
    assert hub.json("artifacts", "show", "cities")["content"]["rows"][0] == ["Kiel", 1]
