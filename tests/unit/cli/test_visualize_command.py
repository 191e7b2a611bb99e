"""`hub visualize`: a picture of a flow on a command line."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import Shell


def test_a_flow_is_drawn_without_running_it(hub: Shell, flow_file: str, tmp_path: Path) -> None:
    text = hub("visualize", flow_file, "-p", "n=3")
    assert text == 'flowchart LR\n  n0["double"]\n'
    assert hub("visualize", f"{flow_file}:twice", "--format", "svg").startswith("<svg ")
    for name, begins in (("a.svg", "<svg "), ("a.mmd", "flowchart"), ("a.md", "```mermaid")):
        assert "Wrote" in hub("visualize", flow_file, "--out", str(tmp_path / name))
        assert (tmp_path / name).read_text().startswith(begins)
    hub("visualize", flow_file, "--format", "svg", "--out", str(tmp_path / "b.xml"))
    assert (tmp_path / "b.xml").read_text().startswith("<svg ")
    assert "End it in .svg" in hub("visualize", flow_file, "--out", str(tmp_path / "a.png"), code=2)


def test_what_is_wrong_with_a_flow_is_said(hub: Shell, tmp_path: Path) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "from hub import flow, task\n@task\ndef load(): ...\n@flow\ndef looks(): return list(load())\n"
        "@flow\ndef breaks(): raise KeyError('x')\n"
    )
    assert "viz_return_value" in hub("visualize", f"{file}:looks", code=2)
    assert "KeyError: 'x'" in hub("visualize", f"{file}:breaks", code=1)
