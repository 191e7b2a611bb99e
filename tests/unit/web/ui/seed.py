"""Writes rows for tests and remembers their ids by what they show."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from hub.store import Store, Tx
from hub.store.tables import Log, StateRow
from hub.types import DEFAULT_WORKSPACE, SECOND, now_us


class Seed:
    """Writes rows and remembers their ids by what they show."""

    def __init__(self, store: Store, *, seed: int = 7) -> None:
        self.store = store
        self.now = now_us()
        self.ids: dict[str, str] = {}
        self.tx: Tx | None = None
        self._count = 0
        self._random = random.Random(seed)

    def add(self, model: type[Any], **values: Any) -> str:
        """One row; columns that are not given have the table's defaults."""
        if "id" in model.model_fields and "id" not in values and model not in (StateRow, Log):
            values["id"] = self.id(values.pop("at_", self.now))
        values.pop("at_", None)
        filled = {"workspace_id": DEFAULT_WORKSPACE, **values}
        for name in ("created_at", "updated_at", "due_at"):
            if name in model.model_fields and name not in filled:
                filled[name] = self.now
        row = {name: value for name, value in model(**filled).model_dump().items() if name in model.model_fields}
        if model in (StateRow, Log):
            row.pop("id", None)
        if row.get("number", 0) is None:
            row.pop("number")  # given by the database
        with contextlib.nullcontext(self.tx) if self.tx else self.store.write() as tx:
            tx.insert(model.__table__, row)
        return str(row.get("id", ""))

    def id(self, at: int) -> str:
        """A UUIDv7 of that time."""
        self._count += 1
        value = (at // 1000) << 80 | 0x7 << 76 | (self._count & 0xFFF) << 64 | 0b10 << 62 | self._random.getrandbits(62)
        text = f"{value:032x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def ago(self, seconds: float) -> int:
        """That long before now."""
        return self.now - int(seconds * SECOND)
