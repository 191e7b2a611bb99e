"""`hub plugins doctor`: everything that can be wrong with an installed plugin, seen on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hub.cli import output
from hub.cli.output import AsJson, Column
from hub.plugins import OWN_DISTRIBUTION, LoadedPlugin, import_all
from hub.settings import load_settings

SLOW_MS = 300
"""An import that takes longer is felt by whoever waits for a command."""
COLUMNS = (
    Column("PLUGIN", "plugin"),
    Column("CHECK", "check"),
    Column("", lambda item: "ok" if item["ok"] else "failed", "state"),
    Column("DETAIL", "detail"),
)


def doctor(*, as_json: AsJson = False) -> int:
    """Import every installed plugin here, look at what it needs and says of itself. Exit code 1 when one is wrong."""
    found = [row for plugin in import_all(load_settings()) for row in _checks(plugin)]
    shown = found if as_json else [row for row in found if not row["ok"] or row["check"] == "loads"]
    output.table(shown, COLUMNS, as_json=as_json, empty="No plugins are installed.")
    return 0 if all(row["ok"] for row in found) else 1


def _checks(plugin: LoadedPlugin) -> Iterator[dict[str, Any]]:
    def row(check: str, wrong: str, fine: str = "") -> dict[str, Any]:
        return {"plugin": plugin.name, "check": check, "ok": not wrong, "detail": wrong or fine}

    if plugin.state == "disabled":
        yield row("loads", "", plugin.problem)
        return
    yield row("loads", plugin.problem, f"{plugin.import_ms:.0f} ms, {len(plugin.hooks)} hooks")
    if plugin.distribution == OWN_DISTRIBUTION:
        return
    slow = plugin.import_ms > SLOW_MS
    yield row("imports quickly", f"its import takes {plugin.import_ms:.0f} ms, over {SLOW_MS}" if slow else "")
    needs = list(_requirements(plugin.distribution))
    yield row("has what it requires", "; ".join(filter(None, map(_lacks, needs))))
    yield row("leaves versions to others", "; ".join(_pins(needs)))


def _requirements(name: str) -> Iterator[Requirement]:
    for text in (distribution(name).requires or []) if name else []:
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue  # its installer has understood it, or has not
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            yield needed


def _lacks(needed: Requirement) -> str:
    try:
        version = distribution(needed.name).version
    except PackageNotFoundError:
        return f"{needed.name} is not installed"
    if needed.specifier.contains(version, prereleases=True):
        return ""
    return f"it wants {needed.name} {needed.specifier}, and {version} is installed"


def _pins(needs: list[Requirement]) -> Iterator[str]:
    """Pins of packages that the hub or another plugin needs, too: whoever installs both finds no version."""
    shared = {canonicalize_name(one.name) for one in _requirements(OWN_DISTRIBUTION)} | {OWN_DISTRIBUTION}
    for needed in needs:
        pinned = any(one.operator in ("==", "===") and not one.version.endswith("*") for one in needed.specifier)
        if pinned and canonicalize_name(needed.name) in shared:
            yield f"it pins {needed.name}{needed.specifier}, which the hub needs too: give a range"
