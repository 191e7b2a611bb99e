"""Which sections `hub.yaml` has: the hub's own, and those of plugins (hook `hub_sections`).

A new section of the hub itself is a module of this package and a line here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hub.runtime.definitions.automations import AUTOMATIONS
from hub.runtime.definitions.connections import CONNECTIONS
from hub.runtime.definitions.deployments import DEPLOYMENTS
from hub.runtime.definitions.endpoints import ENDPOINTS
from hub.runtime.definitions.plugins import PLUGINS
from hub.runtime.definitions.section import Section
from hub.runtime.definitions.sources import SOURCES
from hub.runtime.definitions.values import LIMITS, QUEUES, SECRETS, VARIABLES

if TYPE_CHECKING:
    from hub.hooks import Hooks

log = logging.getLogger("hub.plugins")
OWN = (SECRETS, PLUGINS, CONNECTIONS, VARIABLES, LIMITS, QUEUES, DEPLOYMENTS, ENDPOINTS, SOURCES, AUTOMATIONS)
RESERVED = frozenset({"project"})


def sections(hooks: Hooks | None) -> dict[str, Section]:
    """Every section by name, in the order in which they are applied."""
    found: dict[str, Section] = {}
    for section in (*OWN, *_given(hooks.sections() if hooks is not None else ())):
        if section.name in found or section.name in RESERVED:
            log.warning("a plugin's section %s is left out: the name is taken", section.name)
        else:
            found[section.name] = section
    return dict(sorted(found.items(), key=lambda item: item[1].rank))


def _given(items: Iterable[object]) -> Iterable[Section]:
    for item in items:
        if isinstance(item, Section):
            yield item
        else:
            log.warning("a plugin gave %.100r, which is no section: left out", item)
