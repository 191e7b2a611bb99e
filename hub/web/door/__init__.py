"""The webhook door, `/in/{token}`: the only part of the hub that is meant to face the world."""

from __future__ import annotations

from hub.web.door.door import Door

__all__ = ["Door"]
