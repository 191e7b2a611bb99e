"""What is expected of a flow, and whether it is kept: an SLA and the runs of its flow in, a verdict out. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from hub.runtime import calendar
from hub.runtime.definitions.section import Definition
from hub.types import SECOND, Micros, rfc3339
from pydantic import AfterValidator, Field, model_validator

from hub_notifications.conditions import Condition, percentile
from hub_notifications.routes import Targets, Zone, at_its_field
from hub_notifications.spans import span

Row: TypeAlias = Mapping[str, Any]
YEAR_S = 366 * 86_400
FEWEST = 5
"""Runs that an average, a percentile or a rate is made of, at least."""
TITLES = {
    "sla-failure-rate": "fails too often", "sla-duration": "takes too long", "sla-deadline": "is not done in time",
    "sla-not-run": "has not run",
}  # fmt: skip
KINDS = tuple(TITLES)
_Seconds = Annotated[int, Field(ge=1, le=YEAR_S)]
_Offset = Annotated[int, Field(ge=-YEAR_S, le=YEAR_S, description="seconds; a negative one warns before")]
_Last = Annotated[int, Field(ge=2, le=200)]
_Name = Annotated[str, Field(max_length=200, pattern=r"^[^\x00\n]*$")]


def _cron(text: str) -> str:
    if text:
        with at_its_field():
            calendar.check("cron", text, "UTC")
    return text


class FailureRate(Definition):
    """Of the `last` runs that ended, or those that ended in `window_s`, at most this part (0.2) may have failed."""

    at_most: float = Field(ge=0, lt=1, allow_inf_nan=False)
    last: _Last = 20
    window_s: _Seconds | None = None


class Duration(Definition):
    """No run takes longer than `limit_s`; or than `factor` times the average, or a percentile, of the `last` before."""

    limit_s: _Seconds | None = None
    average: bool = False
    percentile: float | None = Field(None, gt=0, le=100, allow_inf_nan=False)
    last: _Last = 20
    factor: float = Field(1.0, gt=0, le=1000, allow_inf_nan=False)
    offset_s: _Offset = 0

    @model_validator(mode="after")
    def _is_one(self) -> Duration:
        if sum((self.limit_s is not None, self.average, self.percentile is not None)) != 1:
            raise ValueError("a duration is measured by one of `limit_s`, `average: true` and `percentile`")
        return self


class Deadline(Definition):
    """By each time of `cron` a run must have completed in the `since_s` before it; or each run `within_s`.

    `within_s` counts from the `start` of the run, or from its `plan`: when it was due.
    """

    cron: Annotated[str, Field(max_length=200), AfterValidator(_cron)] = ""
    timezone: Zone = "UTC"
    since_s: _Seconds = 86_400
    within_s: _Seconds | None = None
    counted_from: Literal["start", "plan"] = "plan"
    offset_s: _Offset = 0

    @model_validator(mode="after")
    def _is_one(self) -> Deadline:
        if bool(self.cron) == (self.within_s is not None):
            raise ValueError("a deadline is either the times of a `cron` expression or `within_s`")
        return self


class NotRun(Definition):
    """A run completes (or starts: `counts`) at least every `for_s`."""

    for_s: _Seconds
    counts: Literal["completed", "started"] = "completed"


class Sla(Definition):
    """What is expected of a flow or a deployment. `to`: channels or `tag:NAME`; none: the routes decide."""

    flow: _Name = ""
    deployment: _Name = ""
    failure_rate: FailureRate | None = None
    duration: Duration | None = None
    deadline: Deadline | None = None
    not_run: NotRun | None = None
    severity: Literal["info", "warning", "error", "critical"] = "error"
    to: Targets = Field(default_factory=list)
    enabled: bool = True

    @model_validator(mode="after")
    def _is_one(self) -> Sla:
        if bool(self.flow) == bool(self.deployment):
            raise ValueError("an SLA is about a `flow` or a `deployment`, one of both")
        if sum(one is not None for one in (self.failure_rate, self.duration, self.deadline, self.not_run)) != 1:
            raise ValueError("an SLA says one of `failure_rate`, `duration`, `deadline` and `not_run`")
        return self

    @property
    def kind(self) -> str:
        """The kind of its alerts."""
        names = ("failure_rate", "duration", "deadline", "not_run")
        return next(f"sla-{name.replace('_', '-')}" for name in names if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an SLA is broken, in a sentence. `occurrence`: which time; the same one is told once."""

    is_broken: bool
    text: str
    occurrence: str = ""
    run: Row | None = None


def judge(sla: Sla, rows: Sequence[Row], now: Micros, *, since: Micros, more: bool = False) -> Verdict:
    """The verdict. `rows`: its runs, the newest first; `more`: there are older ones. `since`: it holds from then on.

    A row: id, name, state_type, created_at, due_at, started_at, ended_at, retries_used, crashes.
    """
    if sla.failure_rate is not None:
        return _rate(sla.failure_rate, rows, now)
    if sla.duration is not None:
        return _duration(sla.duration, rows, now)
    if sla.not_run is not None:
        return _not_run(sla.not_run, rows, now, since, more=more)
    assert sla.deadline is not None
    if sla.deadline.cron:
        return _by(sla.deadline, rows, now, since)
    return _within(sla.deadline, rows, now)


def condition(workspace_id: str, name: str, sla: Sla, verdict: Verdict) -> Condition:
    """What is wrong as long as it is broken."""
    about = sla.deployment or sla.flow
    labels = {"flow": sla.flow, "deployment": sla.deployment, "sla": name}
    run = verdict.run
    told = None if run is None else {
        "id": run["id"], "name": run["name"], "state": run["state_name"], "attempt": run["attempt"]
    }  # fmt: skip
    return Condition(
        workspace_id, f"sla:{name}", sla.kind, f"{about} {TITLES[sla.kind]}", verdict.text, sla.severity, labels, told,
        tuple(sla.to), verdict.occurrence,
    )  # fmt: skip


def _rate(rate: FailureRate, rows: Sequence[Row], now: Micros) -> Verdict:
    ended = [row for row in rows if row["state_type"] in ("COMPLETED", "FAILED", "CRASHED")]
    if rate.window_s is not None:
        ended = [row for row in ended if row["ended_at"] > now - rate.window_s * SECOND]
    else:
        ended = ended[: rate.last]
    if len(ended) < FEWEST:
        return Verdict(False, f"only {len(ended)} runs have ended; {FEWEST} are needed to tell")
    failed = sum(row["state_type"] != "COMPLETED" for row in ended)
    text = f"{failed} of {len(ended)} runs failed, {failed / len(ended):.0%}; at most {rate.at_most:.0%} may."
    return Verdict(failed > rate.at_most * len(ended), text, ended[0]["id"], ended[0])


def _duration(duration: Duration, rows: Sequence[Row], now: Micros) -> Verdict:
    text = "no run has completed yet"
    for row in _newest(rows, ("RUNNING",)):
        if row["started_at"] is None:
            continue
        limit = _limit(duration, [one for one in rows if one["id"] < row["id"]])
        if limit is None:
            return Verdict(False, f"fewer than {FEWEST} runs to compare with")
        took = (row["ended_at"] or now) - row["started_at"]
        what = f"{row['name']} {'took' if row['ended_at'] else 'has taken'} {span(took)}"
        text = f"{what}; {span(limit)} are expected."
        if took > limit + duration.offset_s * SECOND:
            return Verdict(True, text, row["id"], row)
    return Verdict(False, text)


def _limit(duration: Duration, earlier: Sequence[Row]) -> Micros | None:
    if duration.limit_s is not None:
        return duration.limit_s * SECOND
    took = [one["ended_at"] - one["started_at"] for one in earlier if _completed(one)][: duration.last]
    if len(took) < min(FEWEST, duration.last):
        return None
    base = sum(took) / len(took) if duration.percentile is None else percentile(took, duration.percentile)
    return math.ceil(base * duration.factor)


def _within(deadline: Deadline, rows: Sequence[Row], now: Micros) -> Verdict:
    assert deadline.within_s is not None
    text = "no run has completed yet"
    states = ("RUNNING",) if deadline.counted_from == "start" else ("RUNNING", "SCHEDULED", "PENDING", "PAUSED")
    for row in _newest(rows, states):
        begin = row["started_at"] if deadline.counted_from == "start" else _planned(row)
        if begin is None:
            continue
        took = (row["ended_at"] or now) - begin
        done = "was done" if row["ended_at"] else "is not done"
        text = (
            f"{row['name']} {done} {span(took)} after its {deadline.counted_from}; {span(deadline.within_s * SECOND)}"
        )
        text += " are allowed."
        if took > (deadline.within_s + deadline.offset_s) * SECOND:
            return Verdict(True, text, row["id"], row)
    return Verdict(False, text)


def _by(deadline: Deadline, rows: Sequence[Row], now: Micros, since: Micros) -> Verdict:
    schedule = {"kind": "cron", "spec": deadline.cron, "timezone": deadline.timezone}
    until = now - deadline.offset_s * SECOND
    first = calendar.next_time(schedule, after=since)
    if first is None or first > until:
        return Verdict(False, f"the first deadline is {'never' if first is None else rfc3339(first)[:19] + 'Z'}")
    at = calendar.last_time(schedule, first=first, until=until)
    done = next((row for row in rows if _completed(row) and row["ended_at"] >= at - deadline.since_s * SECOND), None)
    when = rfc3339(at)[:19] + "Z"
    if done is not None:
        return Verdict(False, f"{done['name']} completed at {rfc3339(done['ended_at'])[:19]}Z; the deadline is {when}")
    text = f"No run has completed in the {span(deadline.since_s * SECOND)} before {when}"
    return Verdict(True, text + (f", which is in {span(at - now)}." if at > now else "."), str(at))


def _not_run(wanted: NotRun, rows: Sequence[Row], now: Micros, since: Micros, *, more: bool) -> Verdict:
    column = "ended_at" if wanted.counts == "completed" else "started_at"
    times = [row[column] for row in rows if row[column] and (wanted.counts == "started" or _completed(row))]
    # What is older than all that was looked at may have been one.
    known = max(times, default=rows[-1]["created_at"] if more else None)
    last = max(since, known or 0)
    text = f"No run has {wanted.counts} for {span(now - last)}; one is expected every {span(wanted.for_s * SECOND)}."
    if now - last > wanted.for_s * SECOND:
        return Verdict(True, text, str(last))
    return Verdict(False, f"the last run {wanted.counts} {span(now - known)} ago" if known else "it was made since")


def _newest(rows: Sequence[Row], states: tuple[str, ...]) -> Iterator[Row]:
    """Those that go on, and the one that completed last: an SLA is broken until the next one is well."""
    yield from (row for row in rows if row["state_type"] in states)
    done = [row for row in rows if _completed(row)]
    if done:
        yield max(done, key=lambda row: (row["ended_at"], row["id"]))


def _completed(row: Row) -> bool:
    return bool(row["state_type"] == "COMPLETED" and row["started_at"] is not None)


def _planned(row: Row) -> Micros:
    """When it was due first: a retry moves that."""
    moved = row["retries_used"] or row["crashes"]
    return int(
        row["created_at"] if moved else max(row["created_at"], min(row["due_at"], row["started_at"] or row["due_at"]))
    )
