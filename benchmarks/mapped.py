"""10,000 mapped tasks spread over Celery workers, beside bare Celery with a message each."""

from __future__ import annotations

import json
from pathlib import Path

from hub.testing.demo.site import Site, until

from benchmarks.bare_celery import BareCelery
from benchmarks.row import Row
from benchmarks.throughput import FLOWS, PLACES, everywhere


def measure(quick: bool) -> list[Row]:
    """SQLite with the embedded broker, then PostgreSQL and Redis where they are; a list, then an iterator."""
    count = 2_000 if quick else 10_000
    with BareCelery() as bare:
        floor = 10_000 / bare.rate(500 if quick else 2_000)
    return everywhere(lambda place: _rows(place, count, floor))


def _rows(place: str, count: int, floor: float) -> list[Row]:
    rows, where = [], "embedded" if place == "SQLite" else "PostgreSQL and Redis"
    note = "" if count == 10_000 else f"measured with {count:,}, scaled"
    with PLACES[place]() as settings, Site(settings) as site:
        site.start()
        for how in ("list", "iterator"):
            found = spread(site, how, count)
            seconds = found["seconds"] * 10_000 / count
            told = f"10,000 mapped over Celery ({how}), {where}"
            rows.append(Row(told, seconds, "s", 6, floor, "bare Celery, a message each", note=note))
            rows.append(Row(f"{told}: memory", found["peak"], "MB", 300))
    return rows


def spread(site: Site, how: str, count: int) -> dict[str, float]:
    """Seconds that a map of so many calls takes, the workers being warm, and the peak memory of its flow in MB."""
    site.run("deploy", f"{FLOWS}:spread", "--name", how)
    file = Path(site.home, f"{how}.json")
    for number in (100, count):  # the first one loads what is needed
        file.unlink(missing_ok=True)
        body = {"parameters": {"how": how, "count": number, "file": str(file)}}
        site.client.post(f"/deployments/{how}/runs", body)
        until("the map to end", file.exists, seconds=120)
    found: dict[str, float] = json.loads(file.read_text())
    return found
