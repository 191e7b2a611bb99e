"""docs/webhooks.md says what is there."""

from __future__ import annotations

import re
from pathlib import Path

from hub.webhooks.preset import load_preset
from hub.webhooks.presets import Presets
from hub.webhooks.request import WebhookRequest
from hub.webhooks.secrets import SecretValue
from hub.webhooks.signing import sample_request, sign
from hub.webhooks.verify import verify

from hub_plugins.brokers.plugin import hub_presets as of_brokers
from hub_plugins.webhooks.plugin import hub_presets

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text("utf-8")
NOW = 1_795_200_000_000_000


def test_every_shipped_preset_stands_in_the_table() -> None:
    section = PAGE.partition("\n## Presets\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE))
    assert named == {preset.id for preset in Presets.load([*hub_presets(), *of_brokers()])}


def test_the_preset_of_the_manual_works() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    preset = load_preset(text, "docs/webhooks.md")
    request: WebhookRequest = sign(preset, "s", sample_request(preset, "order.created", ""), now=NOW)
    assert verify(preset, request, [SecretValue("a", "s")], now=NOW).valid
    assert not verify(preset, request, [SecretValue("a", "t")], now=NOW).valid
