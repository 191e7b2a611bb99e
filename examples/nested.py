"""Flows in flows: the sales of each region are a run of their own, and one that fails does not stop the others.

    hub run examples/nested.py:sales -p folder=sales -p 'regions=["north", "south"]'
    hub deploy examples/nested.py:sales --name sales

`hub runs ls` shows the run and those of its regions. Each can be looked at, and be cancelled while the others go on
(`hub runs cancel ID`): its caller gets RunCancelled.
"""

from __future__ import annotations

import csv
from pathlib import Path

from hub import create_table_artifact, flow, get_run_logger, task
from hub.errors import RunCancelled


@task
def read(file: str) -> list[float]:
    """The amounts of a file; whatever is no number is an error with its line."""
    amounts = []
    with open(file, newline="") as rows:
        for line, row in enumerate(csv.DictReader(rows), 2):
            try:
                amounts.append(float(row["amount"]))
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{Path(file).name}, line {line}: no amount in {row}") from None
    return amounts


@task
def add(amounts: list[float]) -> float:
    """Their sum, in whole cents."""
    return round(sum(amounts), 2)


@flow(flow_run_name="sales-of-{region}")
def sales_of(region: str, folder: str) -> float:
    """The sales of one region: a run of its own, with its own state, log, retries and results."""
    total = add(read(str(Path(folder) / f"{region}.csv")))
    get_run_logger().info("%s sold %.2f", region, total)
    return total


@task
def publish(totals: dict[str, float], missing: dict[str, str]) -> None:
    """What is known, and what is not and why, for people to read."""
    known = [{"region": region, "sales": total, "note": ""} for region, total in totals.items()]
    unknown = [{"region": region, "sales": None, "note": why} for region, why in missing.items()]
    create_table_artifact([*known, *unknown], key="sales", description="Sales of each **region**")


@flow
def sales(folder: str, regions: list[str]) -> dict[str, float]:
    """The sales of all regions that could be read; fails when there is none."""
    totals: dict[str, float] = {}
    missing: dict[str, str] = {}
    for region in regions:
        try:
            totals[region] = sales_of(region, folder)
        except RunCancelled:
            missing[region] = "cancelled"
        except (OSError, ValueError) as error:
            missing[region] = str(error)
            get_run_logger().warning("goes on without %s: %s", region, error)
    publish(totals, missing)
    if not totals:
        raise LookupError(f"no region could be read: {missing}")
    return totals
