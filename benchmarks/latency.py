"""From a webhook's first byte to the first line of the flow that it starts, on an idle hub."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from hub.testing.demo import github
from hub.testing.demo.site import Site

from benchmarks.bare_celery import BareCelery, awaited
from benchmarks.door import automate
from benchmarks.row import Row, percentile
from benchmarks.throughput import PLACES, everywhere

FLOWS = str(Path(__file__).with_name("flows.py"))


def measure(quick: bool) -> list[Row]:
    """One at a time, with pauses spread over a second, so that no poll can be in step; the first is thrown away. On
    SQLite and on PostgreSQL with Redis, alone and with ten automations on each request."""
    times = 10 if quick else 40
    with BareCelery() as bare:
        floor = percentile([bare.latency(f"l{number}") for number in range(times)], 0.5) * 1000
    return everywhere(lambda place: _rows(place, times, floor))


def _rows(place: str, times: int, floor: float) -> list[Row]:
    rows = []
    for what, others in (("", 0), (", 10 automations", 9)):
        with PLACES[place]() as settings:
            found = sorted(seconds * 1000 for seconds in _webhooks(times, settings, others))
        for share, budget in ((0.5, 20), (0.99, 100)):
            title = f"webhook to first line, p{share * 100:.0f}, {place}{what}"
            value = percentile(found, share)
            rows.append(Row(title, value, "ms", budget, floor, "bare Celery p50", note=f"n={times}"))
    return rows


def _webhooks(times: int, settings: dict[str, str], others: int) -> list[float]:
    spread = random.Random(7)
    found = []
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder, Site(settings) as site:
        site.start()
        site.run("deploy", f"{FLOWS}:first_line", "--name", "first-line", "-p", f"folder={folder}")
        source = site.json("webhooks", "create", "bench", "--preset", "github")
        rule = (
            "automations",
            "create",
            "bench",
            "--on",
            "github.push",
            "--run",
            "first-line",
            "-p",
            "name==body.after",
        )
        site.run(*rule)
        if others:
            automate(site, others)
        url = f"{site.url}/in/" + str(source["url"]).rpartition("/in/")[2]
        for number in range(times + 1):
            request = github.delivery("push", {**github.PUSH, "after": f"n{number}"}, str(source["secret"]))
            began = time.time()
            answer = github.send(site.http, url, request)
            if answer.status >= 300:
                raise RuntimeError(f"the door answered {answer.status} {answer.document}")
            found.append(float(awaited(Path(folder, f"n{number}"))) - began)
            time.sleep(0.2 + spread.random())
    return found[1:]
