"""What the runs of the workspace left for people to read."""

from __future__ import annotations

import json
from typing import Any

from hub.store import assets
from hub.store.assets import Tried
from hub.store.tables import Artifact, Variable
from hub.types import Scope, new_id
from tests.unit.web.ui.seed import Seed

TEXT = """# Test report

412 tests in **38 s**, three of them are *slow*:

1. `test_login` waits for the mail
2. `test_restore`

> The next run will be quicker.

| module | tests | share |
|---|--:|--:|
| billing | 120 | 29 % |
| web | 292 | 71 % |

See the [build](https://ci.example.org/build/17) and ![the chart](https://ci.example.org/chart.png).
"""
ROWS = [["billing", 0.91, 120, True], ["web", 0.874, 292, False], ["a module with a long name", None, 0, True]]


def shown_artifacts(seed: Seed) -> None:
    """One of each kind, the table in two versions; those of the failed run."""
    table = {"columns": ["module", "covered", "tests", "passed"], "rows": ROWS}
    few = {**table, "rows": ROWS[:1]}
    artifact(seed, "table", few, key="coverage", description="Lines that tests reach.", at=90_000)
    seed.ids["table"] = artifact(seed, "table", table, key="coverage", description="Lines that **tests** reach.")
    wide = {"columns": [f"column {n}" for n in range(40)], "rows": [list(range(40))]}
    seed.ids["wide"] = artifact(seed, "table", wide)
    seed.ids["text"] = artifact(seed, "markdown", TEXT, key="test-report")
    seed.ids["link"] = artifact(seed, "link", {"url": "https://ci.example.org/build/17", "text": "Build 17"})
    seed.ids["image"] = artifact(seed, "image", {"url": "https://ci.example.org/chart.png"}, key="chart")
    seed.ids["progress"] = artifact(seed, "progress", 62.5, key="upload", description="Uploading the packages")


def shown_variables(seed: Seed) -> None:
    """Some variables."""
    seed.add(Variable, name="regions", value=["north", "south"], tags=["etl"], updated_by="user:ann")
    seed.add(Variable, name="batch-size", value=500, tags=["etl", "tuning"], updated_by="local")
    seed.ids["variable"] = "batch-size"


LAKE = "s3://lake/"
MADE: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("events.parquet", ("raw/events.json",), None),
    ("orders.parquet", ("raw/orders.csv", "raw/customers.csv"), None),
    ("daily/sessions.parquet", ("events.parquet",), None),
    ("daily/revenue.parquet", ("orders.parquet", "events.parquet"), None),
    ("reports/a-report-with-a-very-long-name/of-the-quarter.html", ("daily/revenue.parquet",), None),
    (
        "reports/churn.html",
        ("daily/revenue.parquet", "daily/sessions.parquet"),
        "ValueError: no sessions yet",
    ),
)


def shown_assets(seed: Seed) -> None:
    """A small lake, of the failed run."""
    assert seed.tx is not None
    run = seed.ids.get("failed") or new_id()
    for attempt in (1, 2):
        for key, upstream, error in MADE:
            details = {LAKE + key: {"rows": 1200 * attempt, "format": key.rpartition(".")[2]}}
            tried = Tried(
                (LAKE + key,), tuple(LAKE + name for name in upstream), run, seed.id(seed.now), "nightly",
                "make-" + key.rpartition("/")[2].partition(".")[0], attempt,
                error=error if attempt == 2 else None, details=details,
            )  # fmt: skip
            assets.record(seed.tx, Scope(), tried)
    for name, key in (("asset", "daily/revenue.parquet"), ("raw", "raw/orders.csv")):
        seed.ids[name] = assets.listing(seed.tx, Scope(), key=LAKE + key).items[0]["id"]


def artifact(seed: Seed, kind: str, content: Any, *, at: float = 60, **more: Any) -> str:
    """An artifact of the failed run."""
    data = json.dumps(content).encode()
    return seed.add(
        Artifact, kind=kind, content=data, content_format="json", size=len(data), digest="", number=None,
        run_id=seed.ids.get("failed"), flow_name="github_ci", task_name="run-tests", created_by="system:worker",
        created_at=seed.ago(at), updated_at=seed.ago(at), **more,
    )  # fmt: skip
