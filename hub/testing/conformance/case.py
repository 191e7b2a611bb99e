"""The rules as tests: a class to derive from, for plain pytest."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from hub.testing.conformance import RULES
from hub.testing.conformance.rules import LEVELS, Level, Rule, judge
from hub.testing.conformance.subject import Subject

_subjects: dict[ModuleType, Subject] = {}


class PluginConformance:
    """Every rule of the level that the plugin's manifest claims, as a test.

    from hub_acme import plugin

    class TestConformance(PluginConformance):
        plugin = plugin

    A rule that the manifest exempts the plugin from is skipped, with the reason; so is one of a higher level. `level`
    asks for another level than the manifest's.
    """

    plugin: ModuleType
    level: Level | None = None

    @classmethod
    def subject(cls) -> Subject:
        """The plugin with all that is known of it; found out once."""
        if not isinstance(getattr(cls, "plugin", None), ModuleType):
            pytest.fail(f"{cls.__name__} needs a line `plugin = MODULE`: the module that the entry point names")
        return _subjects.setdefault(cls.plugin, Subject(cls.plugin))


def _test(rule: Rule) -> Callable[[Any], None]:
    def test(self: PluginConformance) -> None:
        subject = self.subject()
        asked = self.level or subject.level
        if LEVELS.index(rule.level) > LEVELS.index(asked):
            pytest.skip(f"a rule of the level {rule.level}; {asked} is asked for")
        found = judge(rule, subject)
        if found.outcome == "exempt":
            pytest.skip(f"exempt: {found.detail}")
        if not found.ok:
            pytest.fail(f"{rule.id}: {found.detail}", pytrace=False)

    test.__name__ = test.__qualname__ = f"test_{rule.id.lower()}_{rule.name}"
    test.__doc__ = rule.text
    return test


for _rule in RULES:
    _made = _test(_rule)
    setattr(PluginConformance, _made.__name__, _made)
