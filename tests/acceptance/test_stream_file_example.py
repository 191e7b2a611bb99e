"""The streaming example: every line arrives, its memory does not grow with the file, a restart keeps whole parts."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.acceptance.conftest import Site
from tests.acceptance.typed import EXAMPLES, hub, rows, run_example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
# Says how much memory `hub run` took at most, in KiB.
PEAK = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "hub.cli", *sys.argv[1:]], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def _log(file: Path, lines: int) -> Path:
    with file.open("w") as out:
        out.writelines(f"{number:09} GET /page/{number % 977} 200 {'x' * 80}\n" for number in range(lines))
    return file


def test_all_lines_are_in_the_parts_in_their_order(site: Site, tmp_path: Path) -> None:
    file = _log(tmp_path / "access.log", 2_500)
    parts = tmp_path / "parts"
    told = run_example(site, "stream_file.py:pack", file=file, folder=parts, lines=1_000)
    assert told == {"parts": 3, "lines": 2_500, "bytes": file.stat().st_size}
    names = sorted(path.name for path in parts.iterdir())
    assert names == ["part-00001.gz", "part-00002.gz", "part-00003.gz"]
    assert b"".join(gzip.decompress((parts / name).read_bytes()) for name in names) == file.read_bytes()
    (bar,) = json.loads(hub(site, "artifacts", "ls", "--json"))
    assert (bar["kind"], bar["key"]) == ("progress", "packed")
    assert rows(site)[0]["state_name"] == "Completed"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux only")
def test_its_memory_does_not_grow_with_the_file(site: Site, tmp_path: Path) -> None:
    peaks = []
    for lines in (10_000, 400_000):
        file = _log(tmp_path / f"{lines}.log", lines)
        words = [str(EXAMPLES / "stream_file.py:pack"), "-p", f"file={file}", "-p", f"folder={tmp_path / str(lines)}"]
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "run", *words, "-p", "lines=5000"],
            env=site.env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout))
        assert len(list((tmp_path / str(lines)).iterdir())) == lines // 5_000
    size = (tmp_path / "400000.log").stat().st_size // 1024
    assert peaks[1] - peaks[0] < size / 3, f"{peaks} KiB, the file has {size} KiB"
