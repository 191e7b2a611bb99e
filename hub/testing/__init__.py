"""What helps to try the hub out and to test what is built on it.

    with hub.testing.harness() as kit:
        assert bill(["tea"]) == 3.5
        assert kit.run(bill).task("price-0").result == 3.5

See docs/testing.md. With pytest, the fixtures `hub`, `hub_home`, `hub_clock` and `webhook` are there by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.testing.clock import Clock as Clock
    from hub.testing.conformance.case import PluginConformance as PluginConformance
    from hub.testing.crashing import Crash as Crash
    from hub.testing.crashing import CrashFound as CrashFound
    from hub.testing.crashing import crashes as crashes
    from hub.testing.crashing import survives_crashes as survives_crashes
    from hub.testing.kit import Hub as Hub
    from hub.testing.kit import harness as harness
    from hub.testing.notes import Notes as Notes
    from hub.testing.records import Run as Run
    from hub.testing.records import TaskRun as TaskRun
    from hub.testing.replaying import Divergence as Divergence
    from hub.testing.replaying import RecordedFailure as RecordedFailure
    from hub.testing.replaying import Replay as Replay
    from hub.testing.replaying import replay as replay
    from hub.testing.trials import Trial as Trial
    from hub.testing.webhooks import Delivered as Delivered
    from hub.testing.webhooks import FakeWebhook as FakeWebhook
    from hub.testing.webhooks import webhook as webhook

_HOMES = {
    "Clock": "clock", "Crash": "crashing", "CrashFound": "crashing", "Delivered": "webhooks",
    "Divergence": "replaying", "FakeWebhook": "webhooks", "Hub": "kit", "Notes": "notes",
    "PluginConformance": "conformance.case",
    "RecordedFailure": "replaying", "Replay": "replaying", "Run": "records", "TaskRun": "records",
    "Trial": "trials",
    "crashes": "crashing", "harness": "kit", "replay": "replaying", "survives_crashes": "crashing",
    "webhook": "webhooks",
}  # fmt: skip
# Without PluginConformance, which needs pytest.
__all__ = [
    "Clock",
    "Crash",
    "CrashFound",
    "Delivered",
    "Divergence",
    "FakeWebhook",
    "Hub",
    "Notes",
    "RecordedFailure",
    "Replay",
    "Run",
    "TaskRun",
    "Trial",
    "crashes",
    "harness",
    "replay",
    "survives_crashes",
    "webhook",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'hub.testing' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - loading it must cost nothing to who has pytest only

    return getattr(import_module(f"hub.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
