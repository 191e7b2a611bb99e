"""Statements on their way to the driver: at once to SQLite, where a statement costs next to nothing, and to PostgreSQL
together with others, where it costs a round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.store.base import Tx


class Answer:
    """What a statement comes to that is sent with others: as the driver's cursor, which it asks for when it is looked
    at. Until then nothing is known about it, not even whether it can be carried out."""

    __slots__ = ("_cursor", "_tx")

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._cursor: Any = None

    def fetchall(self) -> list[Any]:
        """All rows."""
        found: list[Any] = self._known().fetchall()
        return found

    def fetchone(self) -> Any:
        """The first row; None when there is none."""
        return self._known().fetchone()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._known())

    @property
    def rowcount(self) -> int:
        """How many rows it found or changed."""
        return int(self._known().rowcount)

    def _known(self) -> Any:
        if self._cursor is None:
            flush(self._tx)
        return self._cursor


def execute(tx: Tx, text: str, values: Sequence[Any] = ()) -> Any:
    """Run one statement with the driver's own parameters; gives its cursor (rows, `rowcount`).

    On PostgreSQL it is sent when somebody looks at its answer, when SQLAlchemy says something, or at the commit; all
    that waits by then takes one round trip. So statements whose answers nobody needs yet come together.
    """
    if tx.batch is not None:
        tx.batch.append((text, values))
        return _LATER
    if tx.later is None:
        return tx.driver.execute(text, values) if tx.dialect == "sqlite" else ask(tx.driver, text, values)
    answer = Answer(tx)
    tx.later.append((text, values, answer))
    return answer


def flush(tx: Tx, *last: tuple[str, Sequence[Any]]) -> None:
    """Send what waits to be sent, and then `last`."""
    waiting = [*(tx.later or ()), *((text, values, None) for text, values in last)]
    if not waiting:
        return
    if tx.later:
        tx.later = []
    driver = tx.driver
    if len(waiting) == 1:
        _ask(driver, *waiting[0])
        return
    with driver.pipeline():
        for each in waiting:
            _ask(driver, *each)


def _ask(driver: Any, text: str, values: Sequence[Any], answer: Answer | None) -> None:
    cursor = ask(driver, text, values)
    if answer is not None:
        answer._cursor = cursor


def ask(driver: Any, text: str, values: Sequence[Any]) -> Any:
    """Say one statement to PostgreSQL over psycopg's connection; gives its cursor.

    psycopg looks for the parameters of each statement, and of one with more than 50 each time: 5 µs for each of them.
    """
    from psycopg import RawCursor  # noqa: PLC0415 - psycopg is an extra

    return RawCursor(driver).execute(numbered(text), values)


@lru_cache(maxsize=1024)
def numbered(text: str) -> str:
    """A statement with psycopg's parameter marks, with those of PostgreSQL itself."""
    first, *others = text.replace("%%", "\0").split("%s")
    return (first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))).replace("\0", "%")


@contextmanager
def together(tx: Tx) -> Iterator[None]:
    """Changes of this module whose answers nobody looks at, made at the end of the block: on PostgreSQL as one
    statement, for which no two of them may concern the same row. Nothing of it happens when the block raises."""
    if tx.dialect == "sqlite" or tx.batch is not None:
        yield
        return
    tx.batch = []
    try:
        yield
        batch = tx.batch
    finally:
        tx.batch = None
    if batch:
        execute(tx, _joined(tuple(text for text, _ in batch)), [value for _, values in batch for value in values])


@dataclass(frozen=True, slots=True)
class _Later:
    """Stands for the answer of a statement that is made at the end of the block."""

    rowcount: int = 1


_LATER = _Later()


@lru_cache(maxsize=64)
def _joined(texts: tuple[str, ...]) -> str:
    *first, last = texts
    parts = ", ".join(f"part{number} AS ({text})" for number, text in enumerate(first))
    return f"WITH {parts} {last}" if first else last
