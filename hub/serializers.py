"""What a serializer is, for results that are no JSON; plugins bring some by the hook `hub_serializers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Serializer:
    """Named in `@task(result_serializer="...")`.

    `dump` gives a value as bytes, `load` the value again; what either raises is told with the type of the value.
    `runs_code`: reading may run code that is in the bytes (as pickle does), so it is read only for a task whose own
    options name this serializer.
    """

    name: str
    dump: Callable[[Any], bytes]
    load: Callable[[bytes], Any]
    runs_code: bool = False
