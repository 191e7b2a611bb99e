"""Results in stores: who else reads them, and what may go."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import BigInteger
from sqlmodel import Field

from hub.store.tables.columns import Row, integer, moment, ref, text


class ResultUse(Row, table=True):
    """A run that refers to a result which another run's task wrote: by the cache, or by a restart."""

    __tablename__: ClassVar[str] = "result_uses"
    key: str = Field(primary_key=True)
    run_id: str = Field(primary_key=True, index=True)
    workspace_id: str = ref()
    store: str = text()
    at: int = moment()


class ResultGarbage(Row, table=True):
    """A result in a store that somebody stopped referring to. It is looked at, and goes when nobody else does."""

    __tablename__: ClassVar[str] = "result_garbage"
    key: str = Field(primary_key=True)
    workspace_id: str = ref()
    store: str = text()
    size: int = integer()
    due_at: int = Field(sa_type=BigInteger, nullable=False, index=True)
    tries: int = integer()
    error: str = text()
