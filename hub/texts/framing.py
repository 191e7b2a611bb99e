"""How the renderer and its owner tell where a message ends."""

from __future__ import annotations

import struct

LENGTH = struct.Struct(">I")
"""In front of each message: how many bytes of JSON follow."""
