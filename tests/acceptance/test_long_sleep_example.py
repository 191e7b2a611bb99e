"""The example of long sleeps: it has no process meanwhile, and everything may be killed; no mail is sent twice."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.runtime import process
from tests.acceptance.conftest import Site, wait_until
from tests.acceptance.typed import EXAMPLES, given, hub, rows, run_example

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def _mails(outbox: Path) -> list[str]:
    return sorted(path.read_text().split("\n\n")[1].split()[0] for path in outbox.glob("*.txt"))


def test_who_pays_is_not_told_of_an_end(site: Site, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    assert run_example(site, "long_sleep.py:trial", customer="Ada", outbox=outbox, day=0.01) == "over"
    assert _mails(outbox) == ["Ten", "Welcome!", "Your"]
    (outbox / "Grace.paid").touch()
    assert run_example(site, "long_sleep.py:trial", customer="Grace", outbox=outbox, day=0.01) == "paid"
    assert _mails(outbox) == ["Ten", "Welcome!", "Welcome!", "Your"]


def test_it_sleeps_through_the_death_of_everything(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site, outbox = make_site(HUB_SDK_WAIT_IN_PLACE="0.2"), tmp_path / "outbox"
    everything = site.up("--slots", "1")
    hub(site, "deploy", str(EXAMPLES / "long_sleep.py:trial"))
    hub(site, "deployments", "run", "trial", *given({"customer": "Ada", "outbox": outbox, "day": 0.3}))
    (run,) = rows(site)
    wait_until(lambda: "Sleeping" in site.history(run["id"]), 60, site.logs())
    everything.kill()
    everything.wait(10)
    for pid in site.processes():
        process.send(pid, signal.SIGKILL)
    wait_until(lambda: not site.processes())
    site.up("--slots", "1")
    site.wait_ended([run["id"]])
    row = site.row(run["id"])
    assert (row["state_name"], json.loads(row["result"])) == ("Completed", "over"), row["error_message"]
    assert _mails(outbox) == ["Ten", "Welcome!", "Your"]
    assert site.history(run["id"]).count("Sleeping") == 2
