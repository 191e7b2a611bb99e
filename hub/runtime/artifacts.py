"""Reading what an artifact holds, wherever it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hub.errors import NotFoundError
from hub.runtime.executor.places import Places
from hub.runtime.executor.results import Stored, Unreadable
from hub.store.base import Store
from hub.types import Scope


def inline(row: Mapping[str, Any]) -> Any:
    """The content of an artifact that stands in its row; None when it is in a result store."""
    kept = ":" in (row["content_format"] or "")
    return None if kept or row["content"] is None else json.loads(bytes(row["content"]))


def content(store: Store, scope: Scope, folder: Path, row: Mapping[str, Any]) -> Any:
    """The content. `folder` holds the store of this machine. Raises NotFoundError when it is gone."""
    if ":" not in (row["content_format"] or ""):
        return inline(row)
    places = Places(folder, store, scope)
    try:
        found = places.get(Stored(bytes(row["content"]), row["content_format"]))
    except Unreadable as reason:
        raise NotFoundError(f"the content of the artifact is gone: {reason}") from None
    finally:
        places.close()
    return json.loads(found.data or b"null")
