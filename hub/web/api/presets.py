"""The presets over the API: the providers that this hub knows."""

from __future__ import annotations

from pydantic import Field

from hub.errors import NotFoundError
from hub.runtime.presets import installed
from hub.web.api.fields import NoBody, NoQuery, Out
from hub.web.api.op import Api, Call
from hub.webhooks.preset import Preset

api = Api()
READ = "sources:read"


class PresetOption(Out):
    """A choice of a preset; `default` null: it must be given."""

    description: str
    default: str | None
    choices: list[str]


class PresetOut(Out):
    """A provider. `secret`: issued by the provider or chosen by you."""

    id: str
    name: str
    summary: str
    docs: str
    where: str
    maturity: str
    unchecked: str
    secret: str
    consumer: str = Field(description="the consumer that its messages come by; empty: requests by HTTP")
    events: list[str]
    samples: list[str]
    options: dict[str, PresetOption]


@api.op("GET", "/api/v1/presets", out=list[PresetOut], scope=READ)
def list_presets(_call: Call[NoBody, NoQuery]) -> list[PresetOut]:
    """List the providers that this hub knows."""
    return [_preset(preset) for preset in installed()]


@api.op("GET", "/api/v1/presets/{name}", out=PresetOut, scope=READ, errors=[NotFoundError])
def get_preset(call: Call[NoBody, NoQuery]) -> PresetOut:
    """Show one provider."""
    return _preset(installed().get(call.path["name"]))


def _preset(preset: Preset) -> PresetOut:
    options = {name: option.model_dump() for name, option in preset.options.items()}
    plain = preset.model_dump(
        include={"id", "name", "summary", "docs", "where", "maturity", "unchecked", "secret", "consumer", "events"}
    )
    return PresetOut.model_validate(plain | {"options": options, "samples": [one.name for one in preset.samples]})
