"""Which route an alert takes. Pure: routes and an alert in, routes and keys of groups out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from hub.errors import ExpressionError, UsageError
from hub.runtime.calendar import zone
from hub.runtime.expressions import compile_expression
from hub.types import SECOND, Id, Micros
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from hub_notifications.grouping import Timing

NAMES = ("alert", "labels", "now")
"""What filters of routes, silences and inhibitions see."""
LABELS = (
    "kind", "severity", "about", "flow", "deployment", "source", "queue", "worker", "site", "channel", "plugin",
    "automation", "task", "tag",
)  # fmt: skip
"""Labels that every alert has, empty where they say nothing: a filter may name them without asking `has()`."""
DEFAULT = "default"
MAX_WAIT_S = 7 * 86_400
MAX_REPEATS = 5
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@contextmanager
def at_its_field() -> Iterator[None]:
    """Inside a validator: what the hub says no to is told with the place of its field, as all other faults are."""
    try:
        yield
    except UsageError as error:
        said = f"{error.detail}. {error.hint}" if error.hint else error.detail
        raise PydanticCustomError("refused", "{said}", {"said": said}) from None


def _filter(text: str) -> str:
    """Checked where it is written."""
    if text.strip():
        with at_its_field():
            compile_expression(text, NAMES)
    return text.strip()


def _zone(name: str) -> str:
    with at_its_field():
        zone(name)
    return name


Filter = Annotated[str, Field(max_length=10_000), AfterValidator(_filter)]
Zone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
Targets = Annotated[list[Annotated[str, Field(min_length=1, max_length=70)]], Field(max_length=20)]
Seconds = Annotated[int, Field(ge=0, le=MAX_WAIT_S)]


def _clock(given: Any) -> Any:
    return time.fromisoformat(given) if isinstance(given, str) else given


Clock = Annotated[time, BeforeValidator(_clock)]
"""A time of day: also as a text where texts are not turned into other types, as in `hub.yaml`."""


class Hours(BaseModel):
    """Hours of some days, in a time zone. An end before the start is on the next day."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)
    days: list[Day] = Field(default=list(DAYS), min_length=1, max_length=7)
    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _makes_sense(self) -> Hours:
        if self.start == self.end:
            raise ValueError(f"from and to are both {self.start}; for whole days write from 00:00 to 23:59:59")
        return self

    def hold(self, now: Micros) -> bool:
        """Whether `now` is within them."""
        local = datetime.fromtimestamp(now / SECOND, ZoneInfo(self.timezone))
        at, day = local.time(), local.weekday()
        if self.start < self.end:
            return DAYS[day] in self.days and self.start <= at < self.end
        begun, left = DAYS[day] in self.days and at >= self.start, DAYS[day - 1] in self.days and at < self.end
        return begun or left


class Step(BaseModel):
    """A step of an escalation: after so long unacknowledged, tell these too."""

    model_config = ConfigDict(extra="forbid")
    after_s: Annotated[int, Field(ge=60, le=MAX_WAIT_S)]
    channels: Targets = Field(min_length=1)
    match: Filter = ""
    """Only for alerts that this is true of; empty: all."""
    hours: Hours | None = None
    """Only in these hours; outside the step is left out."""


class Spec(BaseModel):
    """A route. `channels` are names of channels, or `tag:NAME` for all with that tag; empty: every channel."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)
    match: Filter = ""
    go_on: bool = Field(default=False, alias="continue")
    """Ask the routes after this one too."""
    channels: Targets = []
    group_by: list[Annotated[str, Field(min_length=1, max_length=70)]] = Field(default=["about"], max_length=10)
    group_wait_s: Seconds = 30
    group_interval_s: Annotated[int, Field(ge=1, le=MAX_WAIT_S)] = 300
    repeat_interval_s: Annotated[int, Field(ge=60, le=31 * 86_400)] = 4 * 3600
    send_resolved: bool = True
    quiet: list[Hours] = Field(default=[], max_length=20)
    """Hours in which only what is critical is told; the rest is told afterwards, if it still fires."""
    steps: list[Step] = Field(default=[], max_length=10)
    repeat_steps: int = Field(default=0, ge=0, le=MAX_REPEATS)

    @model_validator(mode="after")
    def _makes_sense(self) -> Spec:
        if self.repeat_steps and not self.steps:
            raise ValueError("repeat_steps repeats steps, and there are none")
        if self.repeat_interval_s < self.group_interval_s:
            raise ValueError("repeat_interval_s is shorter than group_interval_s; groups are not looked at that often")
        return self

    def timing(self) -> Timing:
        """Its waits."""
        return Timing(
            self.group_wait_s * SECOND, self.group_interval_s * SECOND, self.repeat_interval_s * SECOND,
            self.send_resolved,
        )  # fmt: skip


DEFAULT_SPEC = Spec.model_validate({"group_wait_s": 0})
"""The first failure is told at once."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route with its place."""

    id: Id
    name: str
    spec: Spec
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A route that an alert takes, and the group there that it belongs to."""

    route: Route
    key: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A filter that failed for an alert. The alert goes on to the next route: it is never lost by one."""

    route: Route
    error: str


def choose(routes: Iterable[Route], variables: Mapping[str, Any]) -> Iterator[Taken | Broken]:
    """The routes that an alert takes, asked in their order. Raises nothing: what fails is a Broken."""
    for route in routes:
        try:
            is_mine = applies(route.spec.match, variables)
        except ExpressionError as error:
            yield Broken(route, error.detail)
            continue
        if is_mine:
            yield taken(route, variables["labels"])
            if not route.spec.go_on:
                return


def applies(text: str, variables: Mapping[str, Any]) -> bool:
    """Whether a filter is true; an empty one is. Raises ExpressionError."""
    return not text or compile_expression(text, NAMES).matches(variables)


def taken(route: Route, labels: Mapping[str, str]) -> Taken:
    """The group of a route by these labels; `*` in `group_by` takes all, so that each alert has its own."""
    names = sorted(labels) if "*" in route.spec.group_by else route.spec.group_by
    own = {name: str(labels.get(name, "")) for name in names}
    text = json.dumps(own, sort_keys=True)
    return Taken(route, hashlib.sha256(text.encode()).hexdigest()[:32], own)


def variables_of(alert: Mapping[str, Any], now: str) -> dict[str, Any]:
    """What filters see of a row of `alerts`."""
    labels = labels_of(alert)
    told = {name: alert[name] for name in ("id", "kind", "severity", "title", "status", "count")}
    context = alert["context"] or {}
    told |= {"text": alert["body"], "error": context.get("error") or {}, "tags": context.get("tags") or []}
    return {"alert": told, "labels": labels, "now": now}


def labels_of(alert: Mapping[str, Any]) -> dict[str, str]:
    """All labels of a row of `alerts`, the well-known ones too."""
    given = {str(name): str(value) for name, value in (alert["labels"] or {}).items()}
    about = given.get("about") or alert["dedup_key"].rpartition("/")[0] or alert["dedup_key"]
    return {**dict.fromkeys(LABELS, ""), **given, "kind": alert["kind"], "severity": alert["severity"], "about": about}
