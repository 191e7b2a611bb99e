"""What a rule is, and how a plugin is judged by one.

A check returns when the plugin keeps the rule. It raises Broken with a sentence that says what to do, or NotHere where
the rule has nothing to look at: a plugin without webhooks cannot break what is asked of webhooks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from hub.testing.conformance.subject import Subject

Level: TypeAlias = Literal["bronze", "silver", "gold"]
LEVELS: tuple[Level, ...] = ("bronze", "silver", "gold")
Outcome: TypeAlias = Literal["passed", "not-applicable", "failed", "exempt"]


class Broken(AssertionError):
    """The plugin breaks the rule; the message says how to mend it."""


class NotHere(Exception):
    """The rule has nothing to look at in this plugin; the message says what that would be."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its number, the level that asks for it, and the function that looks, by its module here and its name.

    The function is imported when it is needed: bronze has no use for the web.
    """

    id: str
    level: Level
    module: str
    name: str

    @property
    def check(self) -> Callable[[Subject], None]:
        """What looks."""
        found: Callable[[Subject], None] = getattr(import_module(f"{__package__}.{self.module}"), self.name)
        return found

    @property
    def text(self) -> str:
        """What it says, in full."""
        return inspect.getdoc(self.check) or ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one rule. `passed` and `not-applicable` are in order, `exempt` is excused with a reason."""

    rule: str
    level: Level
    summary: str
    outcome: Outcome
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done."""
        return self.outcome != "failed"

    def as_json(self) -> dict[str, Any]:
        """For reports."""
        return asdict(self)


def asked_of(rules: Iterable[Rule], level: Level) -> list[Rule]:
    """The rules of a level: its own, and those of the levels below it."""
    wanted = LEVELS[: LEVELS.index(level) + 1]
    return [rule for rule in rules if rule.level in wanted]


def judge(rule: Rule, subject: Subject) -> Finding:
    """Judge a plugin by a rule. What the plugin raises by itself counts as a rule that is broken."""

    def found(outcome: Outcome, detail: str = "") -> Finding:
        return Finding(rule.id, rule.level, rule.text.split("\n")[0], outcome, detail)

    excuse = subject.exemptions.get(rule.id)
    if excuse:
        return found("exempt", excuse)
    try:
        rule.check(subject)
    except NotHere as nothing:
        return found("not-applicable", str(nothing))
    except Broken as broken:
        return found("failed", str(broken))
    except Exception as error:  # noqa: BLE001 - whatever a plugin does under a rule is a finding, never a traceback
        return found("failed", f"it raised {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    return found("passed")
