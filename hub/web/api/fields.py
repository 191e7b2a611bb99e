"""The kinds of value that API models are made of, all bounded, and the bases of those models.

Input models refuse unknown fields; output models say RFC 3339 where the tables hold microseconds. Validators are
built when a model is first used, not when it is imported: a process needs few of them.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from hub.store import pages
from hub.types import ID_PATTERN, SECOND, rfc3339

T = TypeVar("T")

NO_NUL = r"^[^\x00]*$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
MAX_NAME = 100

Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=NAME_PATTERN)]
"""What people call a thing: letters, digits, dot, dash and underscore."""
IdText = Annotated[str, StringConstraints(pattern=ID_PATTERN), WithJsonSchema({"type": "string", "format": "uuid"})]
"""An id as the hub writes it."""
Text = Annotated[str, StringConstraints(max_length=2000, pattern=NO_NUL)]
"""A sentence or two; no NUL, which PostgreSQL cannot keep."""
LongText = Annotated[str, StringConstraints(max_length=65_536, pattern=NO_NUL)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=NO_NUL)]
Tags = Annotated[list[Tag], Field(max_length=50)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=NO_NUL)]
"""A CEL expression."""
Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]


_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d")


def _micros(moment: datetime) -> int:
    try:
        return int(moment.timestamp() * SECOND)
    except (OverflowError, ValueError) as error:
        raise ValueError("the time is outside the years 1 to 9999") from error


def _read(given: Any) -> Any:
    """Pydantic would also take a number for seconds since 1970."""
    if not isinstance(given, str):
        return given
    if not _DATE_AND_TIME.match(given):
        raise ValueError("write the time as 2026-01-31T12:00:00Z")
    return datetime.fromisoformat(given.upper())


def _written(at: Any) -> Any:
    return rfc3339(at) if isinstance(at, int) else at


MomentIn = Annotated[
    AwareDatetime,
    BeforeValidator(_read),
    Field(description="RFC 3339 with an offset"),
    AfterValidator(_micros),
]
"""A time as people and peers write it; the handler gets microseconds."""
Moment = Annotated[
    str,
    BeforeValidator(_written),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time of the tables (microseconds), answered as RFC 3339 with a Z."""


class In(BaseModel):
    """Base of what a person sends: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Out(BaseModel):
    """Base of what the API answers: built from a row, further columns of which are left out."""

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class NoBody(In):
    """The operation takes no body."""


class NoQuery(In):
    """The operation takes no query parameters."""


class PageQuery(In):
    """How much of a list, and from where. `cursor` is the last answer's `next_cursor`."""

    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=400, pattern=NO_NUL)


class Page(Out, Generic[T]):
    """One page of a list, newest first unless the operation says otherwise; `next_cursor` null at the end."""

    items: list[T]
    next_cursor: str | None = None

    @classmethod
    def of(cls, found: pages.Page[dict[str, Any]]) -> Self:
        """Build it from a page of rows."""
        return cls.model_validate({"items": found.items, "next_cursor": found.next_cursor})
