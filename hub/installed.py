"""Which plugins are installed, and by which distribution."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint

from hub.selecting import OWN_DISTRIBUTION

log = logging.getLogger("hub.plugins")


@dataclass(frozen=True, slots=True)
class Installed:
    """An entry point, and whose it is."""

    point: EntryPoint
    distribution: str
    version: str

    @property
    def own(self) -> bool:
        return self.distribution == OWN_DISTRIBUTION


def installed(points: Iterable[EntryPoint]) -> list[Installed]:
    """The hub's own first: a stranger's plugin of the same name does not take their place."""
    found = [Installed(point, *_distribution(point)) for point in points]
    return sorted(found, key=lambda one: (not one.own, one.point.name))


def _distribution(point: EntryPoint) -> tuple[str, str]:
    try:
        # Read once: `name` and `version` of a distribution parse its metadata each time they are asked for.
        read = point.dist.metadata if point.dist is not None else None
        return (str(read["Name"] or ""), str(read["Version"] or "")) if read is not None else ("", "")
    except Exception as error:  # noqa: BLE001 - a half-removed distribution has no readable metadata
        log.debug("the plugin %s counts as a stranger's: its metadata cannot be read: %s", point.name, error)
        return ("", "")
