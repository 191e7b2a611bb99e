"""Messages to try templates with: made up, with everything that a real one may have. Pure."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

Sample: TypeAlias = Literal["firing", "more", "resolved", "digest", "test"]
SAMPLES: tuple[Sample, ...] = get_args(Sample)
_HUB = "https://hub.example"
_RUN = "01993f2a-7c11-7e55-9d5e-5b1f0c9a7d01"
_ALERT = "01993f2a-7c40-7a11-8a55-1f0c9a7d5e01"


def sample(name: Sample, channel: str = "chat") -> dict[str, Any]:
    """A made-up message (see `content`)."""
    if name == "test":
        alerts = [_about_the_channel(channel)]
    elif name == "digest":
        alerts = [
            _failed(occurrences=25, total=40),
            _late(),
            _failed(_resolved(), flow="hourly", title="hourly failed"),
        ]
    elif name == "resolved":
        alerts = [_failed(_resolved(), occurrences=0, total=12)]
    else:
        alerts = [_failed(occurrences=1, total=1)] if name == "firing" else [_failed(occurrences=37, total=38)]
    firing = sum(one["status"] == "firing" for one in alerts)
    return {
        "reason": name, "route": "default", "channel": channel, "created_at": "2026-11-27T06:05:00.000000Z",
        "note": "", "counts": {
            "firing": firing + (10 if name == "digest" else 0), "resolved": len(alerts) - firing,
            "occurrences": sum(one["occurrences"] for one in alerts), "left_out": 10 if name == "digest" else 0,
        },
        "alerts": alerts,
        "links": {
            "acknowledge": f"{_HUB}/alerts/acknowledge/sample", "silence": f"{_HUB}/alerts/silence/sample",
            "dashboard": f"{_HUB}/ui/alerts",
        },
    }  # fmt: skip


def _failed(more: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    flow = changes.get("flow", "nightly")
    runs = changes.get("total", 1)
    made: dict[str, Any] = {
        "id": _ALERT, "status": "firing", "kind": "run-failed", "severity": "error", "title": f"{flow} failed",
        "text": "", "about": f"{flow}/production", "dedup_key": f"{flow}/production/run-failed",
        "labels": {
            "about": f"{flow}/production", "flow": flow, "deployment": "production", "kind": "run-failed",
            "severity": "error", "team": "data",
        },
        "occurrences": 1, "total": 1, "started_at": "2026-11-27T04:00:12.000000Z", "ended_at": None,
        "acknowledged_by": None, "flow": flow, "deployment": "production",
        "run": {"id": _RUN, "name": f"{flow}-42", "state": "Failed", "attempt": 3}, "task": "load",
        "error": {"type": "ConnectionError", "message": "warehouse did not answer <within 30 s> & was given up"},
        "logs": [
            "extract: 12,403 rows in 3.2 s", "load: connecting to warehouse", "load: attempt 3 of 3",
            "load: gave up after 30 s",
        ],
        "runs": [
            {"id": _RUN[:-2] + f"{number:02}", "name": f"{flow}-{number}", "link": f"{_HUB}/ui/runs/{number}"}
            for number in range(42, 42 - min(runs, 10), -1)
        ],
        "links": {"run": f"{_HUB}/ui/runs/{_RUN}", "alert": f"{_HUB}/ui/alerts/{_ALERT}"},
    }  # fmt: skip
    return {**made, **(more or {}), **changes}


def _resolved() -> dict[str, Any]:
    return {"status": "resolved", "ended_at": "2026-11-27T06:04:40.000000Z", "error": None, "logs": [], "task": None}


def _late() -> dict[str, Any]:
    return {
        **_failed(), "id": _ALERT[:-2] + "02", "kind": "source-silent", "severity": "warning",
        "title": "Source shop has been silent", "text": "Nothing has come for 2 h; usually something does every 5 min.",
        "about": "source/shop", "labels": {"about": "source/shop", "kind": "source-silent", "severity": "warning"},
        "flow": "", "deployment": "", "run": None, "task": None, "error": None, "logs": [], "runs": [],
        "links": {"run": "", "alert": f"{_HUB}/ui/alerts/{_ALERT[:-2]}02"},
    }  # fmt: skip


def _about_the_channel(channel: str) -> dict[str, Any]:
    return {
        **_late(), "kind": "channel-test", "severity": "info", "title": "Test from Hubspoke",
        "text": f"This is a test of channel {channel}. Nothing is wrong.", "about": f"channel/{channel}",
        "labels": {"about": f"channel/{channel}", "kind": "channel-test", "severity": "info"},
    }  # fmt: skip
