"""When a group of alerts is told, and what of it is news: Alertmanager's rules, with occurrences counted. Pure.

A group is looked at when it is due: `group_wait` after its first alert, then every `group_interval` as long as it has
alerts. An alert that is over before it was told is never told. Times are in microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from hub.types import Id, Micros

Reason: TypeAlias = Literal["firing", "more", "resolved", "repeat"]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a route waits."""

    group_wait: Micros
    group_interval: Micros
    repeat_interval: Micros
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class Member:
    """An alert of a group as it is now, and how it was told last."""

    alert_id: Id
    is_firing: bool
    count: int
    """Occurrences so far."""
    is_told: bool = False
    told_count: int = 0
    is_quiet: bool = False
    """Somebody has acknowledged it: only its end is news."""

    @property
    def untold(self) -> int:
        """Occurrences that nobody was told of."""
        return self.count - self.told_count


@dataclass(frozen=True, slots=True)
class Group:
    """The alerts that are told together."""

    due_at: Micros
    told_at: Micros | None
    members: Mapping[Id, Member]


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to be sent: what it is for, and its alerts, news first."""

    reason: Reason
    members: tuple[Member, ...]


def begin(now: Micros, timing: Timing) -> Group:
    """The group of a first alert, which `join` puts in."""
    return Group(now + timing.group_wait, None, {})


def join(group: Group, member: Member) -> Group:
    """The group with one alert more; when it is due does not change."""
    if member.alert_id in group.members:
        return group
    return replace(group, members={**group.members, member.alert_id: member})


def look(
    group: Group, now: Micros, timing: Timing, *, muted: frozenset[Id] = frozenset()
) -> tuple[Group | None, Notice | None]:
    """Look at a group that is due: the group as it goes on (None: it is over) and the message, if there is one.

    `muted`: alerts that nobody is to hear of now. They stay as they are until nothing mutes them any more.
    """
    seen = [member for member in group.members.values() if member.alert_id not in muted]
    firing = [member for member in seen if member.is_firing]
    new = [member for member in firing if not member.is_told]
    more = [member for member in firing if member.is_told and member.untold and not member.is_quiet]
    over = [member for member in seen if not member.is_firing and member.is_told] if timing.send_resolved else []
    reason = _reason(group, now, timing, firing, new, more, over)
    kept = {
        member.alert_id: member
        for member in group.members.values()
        # An end that is muted is told when it is no longer, so that what opened at the receiver is closed there.
        if member.is_firing or (member.is_told and member.alert_id in muted and timing.send_resolved)
    }
    told_at = group.told_at
    notice = None
    if reason is not None:
        news = [*new, *more, *over]
        rest = [member for member in firing if member not in news]
        notice = Notice(reason, (*news, *rest))
        told_at = now
        for member in firing:
            kept[member.alert_id] = replace(member, is_told=True, told_count=member.count)
    if not kept:
        return None, notice
    return Group(now + timing.group_interval, told_at, kept), notice


def _reason(
    group: Group,
    now: Micros,
    timing: Timing,
    firing: list[Member],
    new: list[Member],
    more: list[Member],
    over: list[Member],
) -> Reason | None:
    if new:
        return "firing"
    if more:
        return "more"
    if over:
        return "resolved"
    is_open = any(not member.is_quiet for member in firing)
    if is_open and group.told_at is not None and now - group.told_at >= timing.repeat_interval:
        return "repeat"
    return None
