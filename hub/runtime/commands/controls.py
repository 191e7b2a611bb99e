"""Flow control as it is asked for: bounded, its expressions compiled, its combinations checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from hub.engine import flowcontrol
from hub.errors import UsageError
from hub.types import ID_PATTERN

REQUEST = ("params",)
"""What keys on a deployment see: the parameters of the run that is asked for."""
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)$")
_PATH = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,9}$")


def seconds(given: Any) -> Any:
    """A duration written as `90s`, `5m`, `2h` or `1d` in seconds; a number is one of seconds already."""
    if not isinstance(given, str):
        return given
    found = _DURATION.match(given.strip())
    if found is None:
        raise ValueError("write a duration as 30s, 5m, 2h, 1d, or as a number of seconds")
    return float(found[1]) * _UNITS[found[2]]


def _duration(longest: int) -> WithJsonSchema:
    number = {"type": "number", "minimum": 1, "maximum": longest}
    return WithJsonSchema({"anyOf": [number, {"type": "string", "pattern": _DURATION.pattern}]}, mode="validation")


Period: TypeAlias = Annotated[
    float, BeforeValidator(seconds), Field(ge=1, le=7 * 86_400, allow_inf_nan=False), _duration(7 * 86_400)
]
Key: TypeAlias = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00]*$")]
"""CEL; each of its values is counted apart."""


class _Control(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Concurrency(_Control):
    """At most `limit` runs execute at once, for each value of `key`."""

    limit: int = Field(ge=1, le=100_000)
    key: Key = ""


class Debounce(_Control):
    """A request waits for `period`, and a later one takes its place; `timeout` after the first one it starts anyway."""

    period: Period
    key: Key = ""
    timeout: Period | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Debounce:
        if self.timeout is not None and self.timeout < self.period:
            raise ValueError("`timeout` is shorter than `period`, which then means nothing")
        return self


class RateLimit(_Control):
    """At most `limit` requests in a `period`, which begins with the first of them; what exceeds them is dropped."""

    limit: int = Field(ge=1, le=1_000_000)
    period: Period
    key: Key = ""


class Throttle(_Control):
    """One run starts each `period` / `limit`, after a rest `burst` at once; others wait."""

    limit: int = Field(ge=1, le=1_000_000)
    period: Period
    burst: int = Field(default=1, ge=1, le=1_000_000)
    key: Key = ""


class Batch(_Control):
    """Up to `max_size` requests start one run, `timeout` after the first at the latest. `if`: which are batched."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    max_size: int = Field(ge=2, le=flowcontrol.MOST_IN_BATCH)
    timeout: Period
    key: Key = ""
    if_: Key = Field(default="", validation_alias=AliasChoices("if", "if_"), serialization_alias="if")


class Singleton(_Control):
    """One active run for each value of `key`: a new request is dropped (`skip`), or cancels that run (`cancel`)."""

    key: Key = ""
    mode: Literal["skip", "cancel"] = "skip"


class CancelOn(_Control):
    """An event of this type (a pattern) cancels the run: if `match`, a path, has the same value in the parameters of
    the run and in the body of the event; or if the CEL `if` says so; within `timeout` of the making of the run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    event: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    match: str = Field(default="", max_length=200)
    if_: Key = Field(default="", validation_alias=AliasChoices("if", "if_"), serialization_alias="if")
    timeout: (
        Annotated[
            float, BeforeValidator(seconds), Field(ge=1, le=31_536_000, allow_inf_nan=False), _duration(31_536_000)
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _makes_sense(self) -> CancelOn:
        if bool(self.match) == bool(self.if_):
            raise ValueError("give one of `match` and `if`: which runs the event is about")
        if self.match and not _PATH.match(self.match):
            raise ValueError("`match` is a path such as order_id or customer.id")
        return self


class FlowControl(BaseModel):
    """What is done with requests to start a run. A control that is left out does nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    idempotency: Key | None = None
    rate_limit: RateLimit | None = None
    batch: Batch | None = None
    debounce: Debounce | None = None
    singleton: Singleton | None = None
    throttle: Throttle | None = None
    concurrency: Concurrency | None = None
    cancel_on: list[CancelOn] = Field(default_factory=list, max_length=5)

    def stored(self) -> dict[str, Any]:
        """The controls that are set, as they are kept; `concurrency` is kept apart, in the deployment's own columns."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"concurrency"})


class ActionControl(FlowControl):
    """Flow control of an action of an automation. Concurrency is counted by deployment, so it is set there."""

    @model_validator(mode="after")
    def _makes_sense(self) -> ActionControl:
        if self.concurrency is not None:
            raise ValueError("concurrency is counted among all runs of a deployment: set it at the deployment")
        return self


class Controlled(_Control):
    """What an action of an automation asks for beside its run: its controls, and what their expressions gave.

    `owner`: whose the states of these controls are. `batched`: what `if` of the batch said, null without one.
    """

    owner: str = Field(pattern=ID_PATTERN)
    controls: ActionControl
    keys: dict[str, Annotated[str, Field(max_length=1000)]] = Field(default_factory=dict, max_length=10)
    batched: bool | None = None


def keys_of(controls: Mapping[str, Any]) -> dict[str, str]:
    """The keys of stored controls, by their names; empty for one without."""
    return {
        name: given if isinstance(given, str) else given.get("key", "") if isinstance(given, Mapping) else ""
        for name, given in controls.items()
    }


def check(controls: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """Compile the expressions of stored controls; `names` are what their keys see. Raises ExpressionError."""
    if not controls:
        return
    from hub.runtime import expressions  # noqa: PLC0415 - CEL is loaded where a key needs it

    for name, key in keys_of(controls).items():
        if key:
            expressions.check_mapping({"key": f"={key}"}, where=f"flow_control.{name}", names=names)
    condition = (controls.get("batch") or {}).get("if")
    if condition:
        expressions.check_mapping({"if": f"={condition}"}, where="flow_control.batch", names=names)
    arrival = ("params", *expressions.VARIABLES)
    for number, one in enumerate(controls.get("cancel_on", ())):
        where = f"flow_control.cancel_on[{number}]"
        expressions.check_mapping({"if": f"={condition_of(one)}"}, where=where, names=arrival)


def check_combination(controls: Mapping[str, Any], deployment: Mapping[str, Any]) -> None:
    """Refuse stored controls that cannot be combined with one another, or with the concurrency of the deployment (its
    row or the columns of one to be). Raises UsageError with every reason.
    """
    keys = keys_of(controls)
    if deployment["concurrency"] is not None:
        keys["concurrency"] = deployment["concurrency_key"].removeprefix("=")
    wrong = flowcontrol.problems(keys)
    if wrong:
        raise UsageError(
            f"flow_control: {'; '.join(wrong)}", hint="docs/flow-control.md says what goes together.",
            code="illegal-combination",
        )  # fmt: skip


def check_batch(controls: Mapping[str, Any], deployment: str, schema: Mapping[str, Any]) -> None:
    """Refuse a batch for a flow that takes no `events`. Raises UsageError."""
    if "batch" not in controls:
        return
    known = schema.get("properties")
    if known is not None and schema.get("additionalProperties") is False and flowcontrol.EVENTS not in known:
        raise UsageError(
            f"flow_control.batch: the flow of {deployment} takes no parameter {flowcontrol.EVENTS!r}, in which its run "
            f"would get the parameters of all its requests",
            hint=f"Declare it: def flow({flowcontrol.EVENTS}: list[dict]).",
        )


def condition_of(one: Mapping[str, Any]) -> str:
    """The condition of an item of `cancel_on` as CEL. What one of the two sides lacks is not the same."""
    if one.get("if"):
        return str(one["if"])
    parts = one["match"].split(".")
    paths = [".".join(parts[: at + 1]) for at in range(len(parts))]
    known = [f"has({side}.{path})" for side in ("params", "body") for path in paths]
    return " && ".join([*known, f"params.{one['match']} == body.{one['match']}"])
