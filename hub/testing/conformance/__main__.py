"""`python -m hub.testing.conformance NAME LEVEL`: what the rules say of an installed plugin, as JSON."""

from __future__ import annotations

import importlib
import json
import sys
from importlib.metadata import entry_points

from hub.plugins import GROUP
from hub.testing.conformance import RULES
from hub.testing.conformance.rules import LEVELS, Finding, asked_of, judge
from hub.testing.conformance.subject import Subject


def report(name: str, level: str) -> dict[str, object]:
    """What the rules of a level (empty: the one that the manifest claims) say of the plugin of that name."""
    point = next(iter(entry_points(group=GROUP, name=name)))
    try:
        module = importlib.import_module(point.module)
    except BaseException as error:  # noqa: BLE001 - SystemExit in a plugin is a finding, too
        first = RULES[0]
        why = f"it cannot be imported: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        finding = Finding(first.id, first.level, first.text.split("\n")[0], "failed", why)
        return {"plugin": name, "level": level or "bronze", "claimed": "", "findings": [finding.as_json()]}
    subject = Subject(module)
    asked = next((one for one in LEVELS if one == level), subject.level)
    findings = [judge(rule, subject).as_json() for rule in asked_of(RULES, asked)]
    claimed = subject.read[0].maturity if subject.read[0] is not None else ""
    return {"plugin": name, "level": asked, "claimed": claimed, "findings": findings}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(report(sys.argv[1], sys.argv[2])) + "\n")
