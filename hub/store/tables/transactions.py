"""Transactions of runs: their values, their keys, and the steps that are undone when they do not commit."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Index, Integer, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from hub.store.tables.columns import Row, blob, id_key, integer, maybe_moment, maybe_ref, maybe_text, moment, ref, text

_OPEN = "state in ('staged','rolling_back')"


class Compensation(Row, table=True):
    """A step that was staged in a transaction, and what undoes it.

    `owner_run_id` is the outermost run of the process that the transaction belongs to: when it has ended, nobody else
    commits. `path` names the transaction within that run, as `outer/inner`. `hooks` counts what undoes it: of a step
    with none, it is only known that it was undone with the others; `commits` counts what is called at the commit.
    `call` says what to import: the task, or functions, one a line; empty when no other process can find it.
    """

    __tablename__: ClassVar[str] = "compensations"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("id"),
        Index("ix_compensations_run", "run_id"),
        Index("ix_compensations_owner", "owner_run_id", "state"),
        Index(
            "ix_compensations_open",
            "owner_run_id",
            sqlite_where=sql(_OPEN),
            postgresql_where=sql(_OPEN),
        ),
    )
    ordinal: int | None = Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
    id: str = ref()
    workspace_id: str = ref()
    run_id: str = ref()
    owner_run_id: str = ref()
    task_run_id: str | None = maybe_ref()
    task_attempt: int = integer()
    task_name: str = text()
    name: str = text()
    path: str = text()
    state: str = text("staged")  # staged, committed, rolling_back, done, failed
    hooks: int = integer()
    commits: int = integer()
    call: str = text()
    serializer: str | None = maybe_text()
    inputs_digest: str = text()
    arguments: bytes | None = blob()
    arguments_format: str | None = maybe_text()
    result: bytes | None = blob()
    result_format: str | None = maybe_text()
    tries: int = integer()
    error: str | None = maybe_text()
    created_at: int = moment()
    ended_at: int | None = maybe_moment()


class TransactionRow(Row, table=True):
    """The values of a transaction, for hooks that are called in another process."""

    __tablename__: ClassVar[str] = "transactions"
    __table_args__: ClassVar[Any] = (Index("ix_transactions_run", "run_id"),)
    id: str = id_key()
    workspace_id: str = ref()
    run_id: str = ref()
    path: str = text()
    values: bytes | None = blob()
    values_format: str | None = maybe_text()


class TransactionKey(Row, table=True):
    """The key of a transaction: held by one that is under way alone, or committed for good."""

    __tablename__: ClassVar[str] = "transaction_keys"
    __table_args__: ClassVar[Any] = (
        UniqueConstraint("workspace_id", "key"),
        Index("ix_transaction_keys_run", "run_id"),
    )
    id: str = id_key()
    workspace_id: str = ref()
    key: str = text()
    run_id: str = ref()
    holder: str | None = maybe_text()
    holder_attempt_id: str | None = maybe_ref()
    committed_at: int | None = maybe_moment()
