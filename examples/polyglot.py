"""One pipeline in several languages: an API, a program of the shell and Python, each a task.

hub run examples/polyglot.py:polyglot -p port=8000 -p folder=/tmp
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hub import flow, get_run_logger, http, shell, task

rates = http(
    "http://127.0.0.1:{port}/rates/{day}", name="rates",
    retries=3, retry_delay_seconds=0.2, retry_on=("rate_limited", "infrastructure"),
    timeout_seconds=30,
)  # fmt: skip
"""What the API says of a day: a currency's rate by its name."""

total = shell(
    # Any language will do: it gets arguments, prints lines, and its last one is the result.
    """awk -F, -v currency={currency} '$2 == currency {{ sum += $3; rows++ }}
       END {{ printf "%d rows\\n{{\\"rows\\": %d, \\"sum\\": %.2f}}\\n", rows, rows, sum }}' {file}""",
    name="total", output="last_json_line",
)  # fmt: skip
"""Rows and sum of one currency in a file of orders."""


@task
def converted(totals: dict[str, dict[str, Any]], rate: dict[str, float]) -> float:
    """All of it in one currency."""
    return round(sum(total["sum"] * rate[currency] for currency, total in totals.items()), 2)


@flow
def polyglot(port: int, folder: str, day: str = "2026-11-26") -> float:
    """The worth of a day's orders; also left in a file."""
    file = Path(folder) / f"{day}.csv"
    known = rates.submit(port=port, day=day)
    currencies = sorted(known.result())
    totals = total.map(currencies, file=file).result()
    worth = converted(dict(zip(currencies, totals, strict=True)), known.result())
    Path(folder, f"{day}.json").write_text(json.dumps({"worth": worth}))
    get_run_logger().info("worth %.2f", worth)
    return worth
