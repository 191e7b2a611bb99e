"""Values of key expressions as texts: one text for each value, of bounded length."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

LONGEST = 200


def joined(values: Sequence[Any]) -> str:
    """The text of one value or more. A long one is cut, with the hash of all of it at its end."""
    text = values[0] if len(values) == 1 and isinstance(values[0], str) else json.dumps(values, separators=(",", ":"))
    # What a database cannot keep must not be in it: NUL, and halves of characters.
    text = str(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 70]}...{hashlib.sha256(text.encode()).hexdigest()}"
