"""The training example: what was trained before is cached, and a miss says what differs."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.acceptance.conftest import Site
from tests.acceptance.typed import hub, logged, rows, run_example, tasks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def _houses(file: Path, count: int) -> Path:
    lines = [f"{50 + n % 90},{1 + n % 6},Kiel,{3 * (50 + n % 90) + 20 * (1 + n % 6) + n % 2}" for n in range(count)]
    file.write_text("\n".join(["area,rooms,city,price", *lines]) + "\n")
    return file


def test_only_what_is_new_is_trained(site: Site, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas", reason="the example uses pandas, which is not installed")
    pytest.importorskip("pyarrow", reason="the example keeps parquet, and pyarrow is not installed")
    file = _houses(tmp_path / "houses.csv", 400)
    first = run_example(site, "ml_training.py:training", file=file)
    assert first["alpha"] == 0.1
    assert first["error"] < 1
    assert run_example(site, "ml_training.py:training", file=file, alphas=[0.1, 1, 10, 100]) == first
    _houses(file, 410)
    assert run_example(site, "ml_training.py:training", file=file, alphas=[0.1]) != first
    made, again, changed = (run["id"] for run in rows(site))
    done, cached = "Completed", "Cached"
    trained = ["fingerprint-0", "features-0", "train-0", "train-1", "train-2"]
    assert tasks(site, made) == dict.fromkeys(trained, done)
    assert tasks(site, again) == {**dict.fromkeys(trained, cached), "fingerprint-0": done, "train-3": done}
    assert tasks(site, changed) == {"fingerprint-0": done, "features-0": done, "train-0": done}
    assert logged(site, again).count("cache miss") == 1
    assert "differs in inputs.alpha" in logged(site, again)
    assert "differs in inputs.digest" in logged(site, changed)
    assert "differs in inputs.frame" in logged(site, changed)
    hub(site, "results", "get", f"{again}/features-0", "--out", str(tmp_path / "features.parquet"))
    frame = pd.read_parquet(io.BytesIO((tmp_path / "features.parquet").read_bytes()))
    assert list(frame.columns) == ["area", "rooms", "price"]
    assert len(frame) == 400
