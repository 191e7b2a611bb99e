"""From an API through pandas into a database: read pages, clean them, load them in one transaction.

hub run examples/etl.py:etl -p url=http://127.0.0.1:8000/orders -p database=orders.sqlite3
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pandas as pd
from hub import flow, get_run_logger, task


@task(retries=3, retry_delay_seconds=0.2, retry_on=OSError, timeout_seconds=30)
def fetch(url: str, page: int) -> list[dict[str, Any]]:
    """One page of the API; an empty one is the last."""
    try:
        with urlopen(f"{url}?page={page}", timeout=10) as response:
            rows: list[dict[str, Any]] = json.load(response)
    except HTTPError as error:
        with error:  # its connection is closed, also when it is kept for a later look
            raise OSError(f"page {page}: the API answered {error.code}") from None
    return rows


@task
def transform(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop rows without an amount, keep the newest of each id, total by customer."""
    frame = pd.DataFrame(rows)
    frame["amount"] = pd.to_numeric(frame["amount"], errors="coerce")
    frame = frame.dropna(subset=["amount"]).sort_values("updated").drop_duplicates("id", keep="last")
    totals = frame.groupby("customer", as_index=False).agg(orders=("id", "count"), amount=("amount", "sum"))
    records: list[dict[str, Any]] = json.loads(totals.to_json(orient="records"))
    return records


@task
def load(database: str, totals: list[dict[str, Any]]) -> int:
    """Replace the table in one transaction, so that a repeated step leaves the same rows."""
    with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS totals (customer TEXT PRIMARY KEY, orders INT, amount REAL)")
        connection.execute("DELETE FROM totals")
        connection.executemany("INSERT INTO totals VALUES (:customer, :orders, :amount)", totals)
    return len(totals)


@flow
def etl(url: str, database: str, pages: int = 100) -> int:
    """Load the totals of every customer; gives how many there are."""
    rows: list[dict[str, Any]] = []
    for page in range(1, pages + 1):
        found = fetch(url, page)
        if not found:
            break
        rows += found
    loaded = load(database, transform(rows)) if rows else 0
    get_run_logger().info("%d orders, %d customers", len(rows), loaded)
    return loaded
