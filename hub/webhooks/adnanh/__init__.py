"""Taking over the hooks of adnanh/webhook (`hooks.json`, `hooks.yaml`): sources, filters and parameters.

What cannot be taken over is named with its line. A rule that guards a hook and is not understood keeps the whole hook
out: a hook that is let in by less than before would be a hole.
"""

from hub.webhooks.adnanh.planning import Planned, plan
from hub.webhooks.adnanh.reading import Node, read

__all__ = ["Node", "Planned", "plan", "read"]
