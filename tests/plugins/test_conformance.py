"""Must show 3 of the plugins' issue: every plugin that comes with the hub keeps the rules of the level it claims."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

import pytest
from hub.manifest import read_manifest
from hub.plugins import GROUP, OWN_DISTRIBUTION
from hub.testing.conformance import RULES
from hub.testing.conformance.rules import asked_of, judge
from hub.testing.conformance.subject import Subject

EXAMPLES = {"github", "slack", "openapi", "sql", "storage", "secrets"}
OWN = sorted(
    point.name for point in entry_points(group=GROUP) if point.dist is not None and point.dist.name == OWN_DISTRIBUTION
)


@pytest.mark.parametrize("name", OWN)
def test_our_own_plugins_keep_the_rules_of_their_level(name: str) -> None:
    (point,) = entry_points(group=GROUP, name=name)
    subject = Subject(importlib.import_module(point.module))
    assert subject.read[0] is not None
    assert subject.read[0].maturity != "draft"
    found = [judge(rule, subject) for rule in asked_of(RULES, subject.level)]
    assert [f"{one.rule}: {one.detail}" for one in found if not one.ok] == []


def test_the_integrations_that_others_learn_from_are_gold() -> None:
    found = {name: read_manifest(next(iter(entry_points(group=GROUP, name=name))).module) for name in EXAMPLES}
    assert {name: (one.maturity, one.exemptions) for name, one in found.items()} == dict.fromkeys(
        EXAMPLES, ("gold", {})
    )
    assert set(OWN) >= EXAMPLES
