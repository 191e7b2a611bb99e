"""Waiting for a run, and saying all the while what it waits for.

The reason goes to standard error: one line that changes in place on a terminal, a line a change elsewhere. So an
answer on standard output stays whole, and nobody looks at a command that hangs without a word.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter, validators

from hub.cli.connection import path
from hub.cli.output import ago, error_console
from hub.errors import UnavailableError, UsageError
from hub.types import JsonObject

if TYPE_CHECKING:
    from rich.status import Status

    from hub.client import Client

Timeout: TypeAlias = Annotated[
    float | None,
    Parameter(
        help="Wait at most so many seconds, then exit 75; the run goes on.", validator=validators.Number(gte=0)
    ),
]  # fmt: skip

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
QUIET = 1.0
"""Seconds in which a wait needs no explanation."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


def wait_for(client: Client, run: str, *, timeout: float | None = None) -> JsonObject:
    """Wait until the run has ended and give it. Raises UnavailableError after `timeout` seconds."""
    with Watch(client, run, timeout=timeout).going_on() as watch:
        pause = _FIRST_PAUSE
        while True:
            found: JsonObject = client.get(path("runs", run))
            if found["state_type"] in FINAL:
                return found
            watch.look(found)
            time.sleep(watch.at_most(pause))
            pause = min(pause * 1.3, _LONGEST_PAUSE)


def refuse_lone_timeout(timeout: float | None, waits: bool, flag: str) -> None:
    """A time limit for something that does not wait is a mistake, not a wish to be ignored."""
    if timeout is not None and not waits:
        raise UsageError("--timeout says how long to wait, and this does not wait.", hint=f"Add {flag}.")


class Progress:
    """One line about what is going on, for people, on standard error; `key` tells a change from a mere tick."""

    def __init__(self) -> None:
        self._key: object = None
        self._status: Status | None = None

    def tell(self, line: str, *, key: object = None) -> None:
        """Say it: in place on a terminal; elsewhere only when `key` (the line itself without one) has changed."""
        if sys.stderr.isatty():
            self._show(line)
        elif self._key != (key or line):
            print(line, file=sys.stderr, flush=True)
        self._key = key or line

    def clear(self) -> None:
        """Take the line away, before other output or at the end."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show(self, line: str) -> None:
        from rich.text import Text

        if self._status is None:
            self._status = error_console().status(Text(line))
            self._status.start()
        else:
            self._status.update(Text(line))


class Watch:
    """Looks after one wait: the reason as the hub tells it, the time limit, and what to say when it ends early."""

    def __init__(self, client: Client, run: str, *, timeout: float | None = None) -> None:
        self._client, self._run, self._timeout = client, run, timeout
        self._began = time.monotonic()
        self._asked = self._began + QUIET - _LONGEST_PAUSE
        self.progress = Progress()

    @contextmanager
    def going_on(self) -> Iterator[Watch]:
        """The wait itself: however it ends, the line goes, and who leaves hears how to come back."""
        try:
            yield self
        except KeyboardInterrupt:
            self.progress.clear()
            print(f"\nRun {self._run} goes on. {self._ways()}", end="", file=sys.stderr)
            raise
        finally:
            self.progress.clear()

    def look(self, run: Mapping[str, Any]) -> None:
        """Tell why the run has not ended, no more than once a second. Raises UnavailableError when time is up."""
        now = time.monotonic()
        if self._timeout is not None and now - self._began >= self._timeout:
            raise self._given_up(run)
        if now - self._asked >= _LONGEST_PAUSE:
            self._asked = now
            reason = self._reason()
            self.progress.tell(f"Run {run['name']} ({self._run}): {describe(reason)}", key=_key(reason))

    def at_most(self, seconds: float) -> float:
        """A pause that does not go beyond the time limit."""
        if self._timeout is None:
            return seconds
        return max(0.0, min(seconds, self._began + self._timeout - time.monotonic()))

    def _reason(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.get(path("runs", self._run, "why"))
        return found

    def _given_up(self, run: Mapping[str, Any]) -> UnavailableError:
        return UnavailableError(
            f"run {run['name']} has not ended within {self._timeout:g} s. {describe(self._reason())}",
            hint=f"It goes on. {self._ways()}",
            code="not-ended",
        )

    def _ways(self) -> str:
        return f"`hub runs logs -f {self._run}` follows it, `hub runs why {self._run}` says what it waits for."


def describe(reason: Mapping[str, Any]) -> str:
    """A reason in one line: the sentence, then the rule, the holder and the expected time, then what helps."""
    facts = [f"rule {reason['rule']}"]
    if reason.get("holder"):
        facts.append(f"holder {reason['holder']}")
    if reason.get("expected_at"):
        facts.append(f"expected {ago(reason['expected_at'])}")
    return f"{reason['sentence']} [{', '.join(facts)}] {reason.get('hint') or ''}".rstrip()


def _key(reason: Mapping[str, Any]) -> object:
    # Seconds that pass and runs that move up change the sentence all the time; the reason stays the same.
    until = reason.get("expected_at") if reason["rule"] == "not_due" else None
    return reason["rule"], reason.get("holder"), until
