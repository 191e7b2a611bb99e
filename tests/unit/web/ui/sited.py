"""A site's planes, and a plane's sites: one lets everything out, one is silent, one was never heard."""

from __future__ import annotations

from hub.store.tables import Link, LinkAddress, PlaneCommand, PlaneLog, PlaneRun, PlaneSite
from hub.types import new_id
from tests.unit.web.ui.seed import Seed


def shown_links(seed: Seed) -> None:
    """The planes of a site: one with an address in each state, and a mirror that is away."""
    common = {"url": "https://plane.example.org", "level": "metadata", "created_at": seed.ago(900_000)}
    ids = seed.ids
    ids["link-cloud"] = seed.add(
        Link, **common, name="cloud", status="connected", acked_seq=1000, last_contact_at=seed.ago(4),
        key_until=seed.now + 86_400_000_000,
    )  # fmt: skip
    away = {"status": "offline", "primary": False, "last_error": "the plane cannot be reached: timed out"}
    ids["link-mirror"] = seed.add(Link, **{**common, "url": "https://mirror.example.net"}, name="mirror", **away)
    opened = {"github": seed.ago(400), "open": None, "observed": seed.ago(800)}
    for number, (source, at) in enumerate(opened.items()):
        values = {"link_id": ids["link-cloud"], "source_id": ids[source], "digest": f"d{number}", "opened_at": at}
        ids["address"] = seed.add(LinkAddress, **values, created_at=seed.ago(1000))


def shown_sites(seed: Seed) -> None:
    """Sites, their runs, a command, log lines with a gap."""
    for name, seen in (("lisbon", None), ("oslo", seed.ago(86_400)), ("berlin", seed.now)):
        seed.ids[f"site-{name}"] = seed.add(
            PlaneSite, name=name, site_id=new_id(), last_seen_at=seen, acked_seq=1234, command_head=3,
            command_delivered=2,
        )  # fmt: skip
    site = seed.ids["site-berlin"]
    trace = 'Traceback (most recent call last):\n  File "orders.py", line 5, in take\nValueError: no <b>such</b> order'
    said = {
        "errors": {"error_message": "ValueError: no <b>such</b> order", "error_trace": trace},
        "params": {"parameters": {"order": 17, "note": "<script>alert(1)</script>"}},
        "results": {"result": {"left_out_bytes": 90_000}},
    }
    for state, name, more in (("COMPLETED", "plain", {}), ("RUNNING", "busy", {}), ("FAILED", "told", said)):
        run = {
            "run_name": f"{name}-run", "flow_name": "take-orders", "state_name": state.title(), "attempt": 1,
            "created_at": seed.ago(60), "error_type": "ValueError" if more else None,
        }  # fmt: skip
        seed.ids[f"site-{name}"] = new_id()
        seed.add(
            PlaneRun, site_row=site, run_id=seed.ids[f"site-{name}"], run=run, more=more, state_type=state, version=3,
        )  # fmt: skip
    seed.add(
        PlaneCommand, site_row=site, seq=1, op="run.cancel", target=seed.ids["site-busy"], issued_at=seed.ago(30),
        issued_by="somebody",
    )  # fmt: skip
    for number, text in enumerate(("took an order", "<i>not markup</i>"), start=5):
        seed.add(
            PlaneLog, site_row=site, epoch=site, id=number, run_id=seed.ids["site-told"], at=seed.ago(50),
            logger="print", message=text, received_at=seed.now,
        )  # fmt: skip
    seed.add(
        PlaneLog, site_row=site, epoch=site, id=4, first=1, run_id="", at=seed.ago(55), level=30, logger="hub.link.gap",
        message="4 lines are missing here (backlog)", received_at=seed.now,
    )  # fmt: skip
