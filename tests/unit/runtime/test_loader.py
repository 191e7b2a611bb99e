"""Loading flows from files and modules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hub.errors import FlowLoadError
from hub.runtime import loader

GOOD = """
from hub import flow
import neighbour

@flow
def first(): return neighbour.VALUE

@flow(name="second one")
def second(): return 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("VALUE = 7")
    (tmp_path / "good.py").write_text(GOOD)
    return tmp_path


def refused(entrypoint: str) -> FlowLoadError:
    with pytest.raises(FlowLoadError) as caught:
        loader.load_flow(entrypoint)
    return caught.value


def test_it_finds_a_flow_by_its_function_or_its_name(folder: Path) -> None:
    flow = loader.load_flow(f"{folder}/good.py:first")
    assert flow.fn() == 7
    assert loader.load_flow(f"{folder}/good.py:second one").name == "second one"
    assert loader.load_flow(f"{folder}/good.py:first") is flow
    assert loader.entrypoint_of(flow) == f"{folder.resolve()}/good.py:first"


def test_a_copy_with_other_options_is_found_by_its_own_name(folder: Path) -> None:
    text = (
        "from hub import flow\n\n@flow\ndef one():\n    return 1\n\ntwo = one.with_options(name='second', retries=2)\n"
    )
    (folder / "copies.py").write_text(text)
    two = loader.load_flow(f"{folder}/copies.py:two")
    assert (two.name, two.options.retry.retries) == ("second", 2)
    assert loader.entrypoint_of(two) == f"{folder.resolve()}/copies.py:two"
    assert loader.entrypoint_of(loader.load_flow(f"{folder}/copies.py:one")).endswith(":one")
    with pytest.raises(FlowLoadError, match="a copy with other options that no worker can find"):
        loader.entrypoint_of(two.with_options(retries=3))
    # Nothing is different about this one.
    assert loader.entrypoint_of(loader.load_flow(f"{folder}/copies.py:one").with_options()).endswith(":one")


def test_it_imports_a_changed_file_again(folder: Path) -> None:
    file = folder / "changing.py"
    file.write_text("from hub import flow\n@flow\ndef only(): return 1\n")
    assert loader.load_flow(str(file)).fn() == 1
    file.write_text("from hub import flow\n@flow\ndef only(): return 22\n")
    assert loader.load_flow(str(file)).fn() == 22


def test_it_imports_modules(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    assert loader.load_flow("good:first").name == "first"
    assert "There is no module nowhere" in refused("nowhere.at_all:flow").hint
    assert loader.absolute("good.py:first") == f"{folder.resolve()}/good.py:first".replace("/", os.sep)


def test_it_says_which_line_of_the_file_is_wrong(folder: Path) -> None:
    (folder / "bad.py").write_text("import os\n\ndef f():\n    raise RuntimeError('no\\0pe')\nf()\n")
    error = refused(f"{folder}/bad.py:f")
    assert error.detail.endswith("bad.py, line 4 does not import: RuntimeError: no\ufffdpe")
    assert error.fields["line"] == 4
    trace = str(error.fields["trace"])
    assert 'bad.py", line 4, in f' in trace
    assert "hub/runtime" not in trace
    assert "importlib" not in trace
    (folder / "syntax.py").write_text("x = 1\nif x\n")
    assert refused(f"{folder}/syntax.py:f").fields["line"] == 2
    (folder / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    assert "line 2 does not import: SystemExit" in refused(f"{folder}/leaves.py:f").detail


def test_it_says_what_there_is_instead(folder: Path) -> None:
    assert "there is no third" in refused(f"{folder}/good.py:third").detail
    assert f"{folder}/good.py:first" in refused(f"{folder}/good.py:third").hint
    assert "holds 2 flows" in refused(f"{folder}/good.py").detail
    assert "neighbour is not a flow" in refused(f"{folder}/good.py:neighbour").detail
    assert "cannot be read" in refused(f"{folder}/none.py:f").detail
    assert refused(":f").hint.startswith("Write path/file.py")
    assert "cannot be read" in refused(f"{folder}:f").detail or "is not a Python file" in refused(f"{folder}:f").detail


def test_a_link_that_is_turned_to_another_folder_gives_the_flow_there(folder: Path) -> None:
    for release, value in (("one", 1), ("two", 2)):
        (folder / release).mkdir()
        (folder / release / "linked.py").write_text(f"from hub import flow\n@flow\ndef f(): return {value}\n")
        os.utime(folder / release / "linked.py", ns=(1, 1))
    current = folder / "current"
    current.symlink_to("one")
    assert loader.load_flow(f"{current}/linked.py:f").fn() == 1
    current.unlink()
    current.symlink_to("two")
    assert loader.load_flow(f"{current}/linked.py:f").fn() == 2
