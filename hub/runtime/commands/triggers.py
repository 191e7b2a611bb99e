"""What an automation may be asked to look for, and to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from hub.errors import UsageError
from hub.runtime import calendar
from hub.runtime.acting import CONTROL_NAMES, NAMES
from hub.runtime.commands import controls
from hub.runtime.commands.controls import ActionControl
from hub.runtime.composing import timing
from hub.runtime.expressions import check_mapping, compile_expression
from hub.runtime.placement import Placement
from hub.runtime.triggers import key_expression

YEAR = 31_536_000
Pattern: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Posture: TypeAlias = Annotated[
    Literal["reactive", "proactive"], BeforeValidator(lambda said: said.lower() if isinstance(said, str) else said)
]


class Trigger(BaseModel):
    """Which events, and how many. `types` (or `expect`) are patterns such as `github.push` or `github.*`; `match` is
    CEL, empty: all of them; `plugin` names one that is asked of each that is left (hook `hub_trigger_match`).

    Reactive: fires when `threshold` of them came `within` so many seconds. Proactive: fires when they did not come.
    `after`: only events that follow one of these types count, and it opens the window. `for_each`: fields of the event
    or CEL; each of their values is counted apart. `cool_down`: for so many seconds after it fired it rests.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["event"] = "event"
    posture: Posture = "reactive"
    types: list[Pattern] = Field(default_factory=list, max_length=50, validation_alias=AliasChoices("types", "expect"))
    match: str = Field(default="", max_length=10_000)
    plugin: str = Field(default="", pattern=r"^([a-z][a-z0-9-]{1,39})?$")
    after: list[Pattern] = Field(default_factory=list, max_length=50)
    for_each: list[Pattern] = Field(default_factory=list, max_length=5)
    threshold: int = Field(default=1, ge=1, le=100_000)
    within: float = Field(default=0, ge=0, le=YEAR)
    cool_down: float = Field(default=0, ge=0, le=YEAR)

    @model_validator(mode="after")
    def _makes_sense(self) -> Trigger:
        if self.posture == "proactive" and self.within < 10:
            raise ValueError("a proactive trigger needs `within`, 10 seconds or more: how long it waits")
        if self.threshold > 1 and not self.within:
            raise ValueError("a threshold above 1 needs `within`: in how many seconds")
        if self.after and not self.within:
            raise ValueError("`after` needs `within`: how many seconds its window is open")
        return self


class _Whole(BaseModel):
    """What a compound and a sequence have in common. What is counted apart and when to rest is said of the whole."""

    model_config = ConfigDict(extra="forbid")
    triggers: list[AnyTrigger] = Field(min_length=2, max_length=10)
    within: float = Field(default=0, ge=0, le=YEAR)
    for_each: list[Pattern] = Field(default_factory=list, max_length=5)
    cool_down: float = Field(default=0, ge=0, le=YEAR)

    @model_validator(mode="after")
    def _parts_are_parts(self) -> Self:
        for number, part in enumerate(self.triggers, 1):
            if part.for_each or part.cool_down:
                raise ValueError(f"part {number}: `for_each` and `cool_down` belong to the whole, not to a part")
            if isinstance(part, Trigger) and part.plugin:
                raise ValueError(f"part {number}: no plugin is asked of parts")
        if _depth(self.triggers) > DEEPEST:
            raise ValueError(f"triggers are at most {DEEPEST} deep")
        if len(list(_leaves(self.triggers))) > MOST_PARTS:
            raise ValueError(f"it has more than {MOST_PARTS} parts in all")
        return self


class Compound(_Whole):
    """Fires when parts of it have fired within so many seconds of each other (0: ever): `all`, `any`, or a number."""

    kind: Literal["compound"]
    require: Literal["any", "all"] | Annotated[int, Field(ge=1, le=10)] = "all"

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if isinstance(self.require, int) and self.require > len(self.triggers):
            raise ValueError(f"`require` is {self.require}, but there are only {len(self.triggers)} parts")
        return self


class Sequence(_Whole):
    """Fires when all parts have fired, one after the other, the last within so many seconds of the first (0: ever)."""

    kind: Literal["sequence"]


def _trigger_kind(given: Any) -> str:
    said = given.get("kind", "event") if isinstance(given, Mapping) else getattr(given, "kind", "event")
    return said if isinstance(said, str) else "event"


AnyTrigger: TypeAlias = Annotated[
    Annotated[Trigger, Tag("event")] | Annotated[Compound, Tag("compound")] | Annotated[Sequence, Tag("sequence")],
    Discriminator(_trigger_kind),
]


class Schedule(BaseModel):
    """Set times: a `cron` expression or a recurrence rule (`rrule`) in a time zone, or an `interval` in seconds."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["schedule"]
    cron: str = Field(default="", max_length=200)
    rrule: str = Field(default="", max_length=200)
    interval: float = Field(default=0, ge=0, le=YEAR)
    timezone: str = Field(default="UTC", max_length=64)

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        if [bool(self.cron), bool(self.rrule), bool(self.interval)].count(True) != 1:
            raise ValueError("set times need one of `cron`, `rrule` and `interval`")
        try:
            calendar.check(**timing(self.model_dump()))
        except UsageError as error:
            raise ValueError(error.detail) from None
        return self


WholeTrigger: TypeAlias = Annotated[
    Annotated[Trigger, Tag("event")]
    | Annotated[Compound, Tag("compound")]
    | Annotated[Sequence, Tag("sequence")]
    | Annotated[Schedule, Tag("schedule")],
    Discriminator(_trigger_kind),
]
DEEPEST = 3
MOST_PARTS = 20
for _kind_of_whole in (_Whole, Compound, Sequence):
    _kind_of_whole.model_rebuild()


def _depth(parts: Iterable[AnyTrigger]) -> int:
    return 1 + max(0 if isinstance(part, Trigger) else _depth(part.triggers) for part in parts)


def _leaves(parts: Iterable[AnyTrigger]) -> Iterator[Trigger]:
    for part in parts:
        if isinstance(part, Trigger):
            yield part
        else:
            yield from _leaves(part.triggers)


class Retry(BaseModel):
    """Try an action that failed up to `times` more, `delay` seconds after, twice as long each time."""

    model_config = ConfigDict(extra="forbid")
    times: int = Field(default=3, ge=1, le=20)
    delay: float = Field(default=10, ge=0, le=3600)


class _Action(BaseModel):
    model_config = ConfigDict(extra="forbid")
    retry: Retry | None = None


Target: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]


class RunDeployment(_Action):
    """Start a deployment. `parameters` is a JSON tree whose strings that start with `=` are CEL.

    `flow_control` holds for what this action asks for, in place of the same controls of the deployment. `place`: not
    here but at a site of this plane, whose deployment of that name it is.
    """

    run_deployment: str = Field(min_length=1, max_length=200)
    parameters: dict[str, Any] = Field(default_factory=dict)
    flow_control: ActionControl | None = None
    place: Placement | None = None

    @model_validator(mode="after")
    def _is_controlled_where_it_runs(self) -> Self:
        if self.place is not None and self.flow_control is not None:
            raise ValueError("`flow_control` is for runs of this hub; one with `place` is controlled at its site")
        return self


class RunAction(_Action):
    """Call an action of a plugin, `PLUGIN.ACTION`, in a run of its own on a worker, with its own retries.

    `parameters` is a JSON tree whose strings that start with `=` are CEL.
    """

    run_action: str = Field(min_length=3, max_length=200, pattern=r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9_-]*$")
    parameters: dict[str, Any] = Field(default_factory=dict)


class CancelRun(_Action):
    """Cancel a run: its id, or CEL such as `=event.run_id`."""

    cancel_run: Target


class PauseRun(_Action):
    """Pause a run: its id, or CEL such as `=event.run_id`."""

    pause_run: Target


class ResumeRun(_Action):
    """Let a paused run go on: its id, or CEL such as `=event.run_id`."""

    resume_run: Target


class SetRunState(_Action):
    """Set the state of a run: its id, or CEL such as `=event.run_id`. The rules of runs decide whether it can be.

    `message` is text, or CEL.
    """

    set_state: Target
    state: Literal["SCHEDULED", "PAUSED", "CANCELLED", "COMPLETED", "FAILED"]
    message: str = Field(default="", max_length=500)


class PauseDeployment(_Action):
    """Let the schedules of a deployment rest: its name or id, or CEL such as `=event.deployment_name`."""

    pause_deployment: Target


class ResumeDeployment(_Action):
    """Let the schedules of a deployment go on: its name or id, or CEL such as `=event.deployment_name`."""

    resume_deployment: Target


class PauseSchedule(_Action):
    """Let one schedule rest: its id, or CEL such as `=event.subject`."""

    pause_schedule: Target


class ResumeSchedule(_Action):
    """Let one schedule go on: its id, or CEL such as `=event.subject`."""

    resume_schedule: Target


class RaiseAlert(_Action):
    """Tell people, over every channel: `alert` is the title, both texts may hold `${CEL}`."""

    alert: str = Field(min_length=1, max_length=500)
    body: str = Field(default="", max_length=5_000)
    severity: Literal["info", "warning", "error"] = "error"


class AcknowledgeAlert(_Action):
    """Say that somebody looks after an alert: its id, that of a message about alerts, or CEL. `by`: text, or CEL."""

    acknowledge_alert: Target
    by: str = Field(default="", max_length=1000)


class SendWebhook(_Action):
    """Send a webhook to an endpoint: its type is the event's, its data what the event carried, unless said otherwise.

    `data` is a JSON tree whose strings that start with `=` are CEL.
    """

    send_webhook: str = Field(min_length=1, max_length=200)
    type: str = Field(default="=event.type", min_length=1, max_length=1000)
    data: dict[str, Any] | None = None


_KINDS: tuple[type[_Action], ...] = (
    RunDeployment, RunAction, CancelRun, PauseRun, ResumeRun, SetRunState, PauseDeployment, ResumeDeployment,
    PauseSchedule, ResumeSchedule, RaiseAlert, AcknowledgeAlert, SendWebhook,
)  # fmt: skip
_KEYS = {next(name for name in kind.model_fields if name != "retry"): kind for kind in _KINDS}


def _kind_of(given: Any) -> str:
    names = given if isinstance(given, Mapping) else type(given).model_fields if isinstance(given, BaseModel) else ()
    # What names none of them is told what it lacks to be the first.
    return next((name for name in _KEYS if name in names), "run_deployment")


Action: TypeAlias = Annotated[
    Annotated[RunDeployment, Tag("run_deployment")]
    | Annotated[RunAction, Tag("run_action")]
    | Annotated[CancelRun, Tag("cancel_run")]
    | Annotated[PauseRun, Tag("pause_run")]
    | Annotated[ResumeRun, Tag("resume_run")]
    | Annotated[SetRunState, Tag("set_state")]
    | Annotated[PauseDeployment, Tag("pause_deployment")]
    | Annotated[ResumeDeployment, Tag("resume_deployment")]
    | Annotated[PauseSchedule, Tag("pause_schedule")]
    | Annotated[ResumeSchedule, Tag("resume_schedule")]
    | Annotated[RaiseAlert, Tag("alert")]
    | Annotated[AcknowledgeAlert, Tag("acknowledge_alert")]
    | Annotated[SendWebhook, Tag("send_webhook")],
    Discriminator(_kind_of),
]


def check(trigger: WholeTrigger, actions: Iterable[_Action]) -> None:
    """Compile every expression. Raises ExpressionError."""
    if not isinstance(trigger, Schedule):
        for part in _leaves([trigger]):
            compile_expression(part.match or "true")
        for text in trigger.for_each:
            compile_expression(key_expression(text))
    for action in actions:
        if isinstance(action, RunDeployment) and action.flow_control is not None:
            controls.check(action.flow_control.stored(), CONTROL_NAMES)
        said = action.model_dump(
            exclude={"retry", "run_deployment", "run_action", "severity", "flow_control", "place", "state"},
            exclude_none=True,
        )
        check_mapping(
            said.get("parameters", said), where="parameters" if "parameters" in said else "action", names=NAMES
        )
