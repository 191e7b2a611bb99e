"""From a webhook's first byte to the first line of the flow that it starts, on an idle hub."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from hub.testing.demo import github
from hub.testing.demo.site import Site

from benchmarks.bare_celery import BareCelery, awaited
from benchmarks.row import Row, percentile

FLOWS = str(Path(__file__).with_name("flows.py"))


def measure(quick: bool) -> list[Row]:
    """One at a time, with pauses spread over a second, so that no poll can be in step; the first is thrown away."""
    times = 10 if quick else 40
    with BareCelery() as bare:
        floor = percentile([bare.latency(f"l{number}") for number in range(times)], 0.5) * 1000
    found = sorted(seconds * 1000 for seconds in _webhooks(times))
    return [
        Row("webhook to first line, p50", percentile(found, 0.5), "ms", 20, floor, "bare Celery p50"),
        Row(
            "webhook to first line, p99",
            percentile(found, 0.99),
            "ms",
            100,
            floor,
            "bare Celery p50",
            note=f"n={times}",
        ),
    ]


def _webhooks(times: int) -> list[float]:
    spread = random.Random(7)
    found = []
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder, Site() as site:
        site.start()
        site.run("deploy", f"{FLOWS}:first_line", "--name", "first-line", "-p", f"folder={folder}")
        source = site.json("webhooks", "create", "bench", "--preset", "github")
        site.run(
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
