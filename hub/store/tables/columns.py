"""Column kinds used by every table.

Times are integer UTC microseconds, ids are 36 characters. JSON is kept as text, not `jsonb`: PostgreSQL's `jsonb`
refuses the NUL that a webhook body may hold, and text gives back exactly what was stored.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from sqlalchemy import BigInteger, LargeBinary, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Row(SQLModel):
    """What every table derives from. SQLAlchemy gives each its `__table__`, which hot paths speak to."""

    __table__: ClassVar[Any]


class JsonText(TypeDecorator[Any]):
    """A JSON value as text. NaN and infinities are refused when written."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 - the base class's signature
        return None if value is None else json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002 - the base class's signature
        return None if value is None else json.loads(value)


def id_key(**more: Any) -> Any:
    """A primary key that is an id."""
    return Field(primary_key=True, sa_type=String(36), **more)


def ref(*, index: bool = False) -> Any:
    """The id of another row, not null."""
    return Field(sa_type=String(36), nullable=False, index=index)


def maybe_ref(*, index: bool = False) -> Any:
    """The id of another row, or null."""
    return Field(default=None, sa_type=String(36), nullable=True, index=index)


def moment() -> Any:
    """A time in microseconds, not null."""
    return Field(sa_type=BigInteger, nullable=False)


def maybe_moment() -> Any:
    """A time in microseconds, or null."""
    return Field(default=None, sa_type=BigInteger, nullable=True)


def text(default: str | None = "") -> Any:
    """A text, not null."""
    return Field(default=default, sa_type=Text, nullable=False)


def maybe_text() -> Any:
    """A text, or null."""
    return Field(default=None, sa_type=Text, nullable=True)


def document(default: Any = None) -> Any:
    """A JSON value; null by default."""
    if default is None:
        return Field(default=None, sa_type=JsonText, nullable=True)
    return Field(default_factory=lambda: default.copy(), sa_type=JsonText, nullable=False)


def blob() -> Any:
    """Bytes, or null."""
    return Field(default=None, sa_type=LargeBinary, nullable=True)


def integer(default: int = 0) -> Any:
    """A 64-bit integer, not null."""
    return Field(default=default, sa_type=BigInteger, nullable=False)
