"""The one error tree.

HubError                       anything the hub says no to, with a code, a hint and an exit code
├── UsageError                 the caller asked in a wrong way            exit 2, HTTP 422
│   ├── ParameterError         a flow parameter has the wrong type or is missing
│   ├── SettingError           a setting is unknown or has a wrong value
│   ├── ExpressionError        a CEL expression does not parse or evaluate
│   └── TemplateError          a template of a text does not parse or cannot be rendered
├── NotFoundError              no such thing in this workspace            exit 3, HTTP 404
├── RefusedError               the rules or the permissions say no        exit 4, HTTP 403/409
│   ├── AuthenticationError    who is asking is not known                 HTTP 401
│   ├── PermissionError_       known, but not allowed                     HTTP 403
│   └── ConflictError          the thing is not in a state for this       HTTP 409
├── UnavailableError           try again later (broker, database, disk)   exit 75, HTTP 503
│   ├── ContentionError        another process was faster three times
│   ├── RateLimitedError       too many tries in a short time             HTTP 429
│   ├── LimitTimeout           no slot of a limit came free in time (a TimeoutError, too)
│   └── PauseTimeout           nobody resumed the run in time (a TimeoutError, too)
├── FlowLoadError              a flow file does not import                exit 1, HTTP 422
└── RunError                   how a run ended, as its caller sees it     exit 1
    ├── RunFailed              user code raised
    │   ├── ProgramFailed      a program ended badly (returncode, stderr)
    │   └── RequestFailed      an HTTP request did (status_code, body)
    ├── RunTimedOut            over its timeout
    ├── RunCancelled           cancelled while it ran
    └── RunCrashed             what ran it was lost

TransientError, PermanentError   raised by transports: may a retry help?
"""

from __future__ import annotations


class HubError(Exception):
    """Base of every error the hub raises on purpose; never shown with a traceback."""

    code = "error"
    status = 500
    exit_code = 1

    def __init__(self, detail: str, *, hint: str = "", code: str | None = None, **fields: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.fields = fields
        if code is not None:
            self.code = code


class UsageError(HubError):
    """The request is not one the hub understands; nothing was done."""

    code = "invalid"
    status = 422
    exit_code = 2


class ParameterError(UsageError):
    """A flow parameter is missing, unknown or of the wrong type."""

    code = "invalid-parameters"


class SettingError(UsageError):
    """A setting is unknown or its value is not allowed."""

    code = "invalid-setting"


class ExpressionError(UsageError):
    """A filter or mapping expression does not parse, or failed on its input."""

    code = "invalid-expression"


class TemplateError(UsageError):
    """A template of a text for people does not parse, or could not be rendered."""

    code = "invalid-template"


class NotFoundError(HubError):
    """No such thing in this workspace."""

    code = "not-found"
    status = 404
    exit_code = 3


class RefusedError(HubError):
    """The rules say no."""

    code = "refused"
    status = 403
    exit_code = 4


class AuthenticationError(RefusedError):
    """Who is asking is not known."""

    code = "unauthenticated"
    status = 401


class PermissionError_(RefusedError):
    """The asker is known but lacks the scope."""

    code = "forbidden"


class ConflictError(RefusedError):
    """The thing is not in a state that allows this."""

    code = "conflict"
    status = 409


class UnavailableError(HubError):
    """Something the hub needs is away; the same request may work later."""

    code = "unavailable"
    status = 503
    exit_code = 75

    @property
    def passes(self) -> bool:
        """Whether it is the hub's own database that is away or locked, which ends by itself."""
        return self.code in ("database-away", "database-locked")


class ContentionError(UnavailableError):
    """Other processes changed the same row faster than this one, three times in a row."""

    code = "contention"


class RateLimitedError(UnavailableError):
    """Too many tries in a short time; `retry_after` in seconds."""

    code = "too-many-tries"
    status = 429


class LimitTimeout(UnavailableError, TimeoutError):
    """What was asked of a limit was not to be had within the `timeout` that its asker gave."""

    code = "limit-timeout"


class WaitTimeout(UnavailableError, TimeoutError):
    """What a flow waited for (an input, an event, a message) did not come within its `timeout`."""

    code = "wait-timeout"


class PauseTimeout(WaitTimeout):
    """Nobody resumed a run within the `timeout` that its `pause` or `suspend` gave."""

    code = "pause-timeout"


class FlowLoadError(HubError):
    """A flow file could not be imported or holds no such flow."""

    code = "flow-load"
    status = 422


class RunError(HubError):
    """How a run ended, as the caller of its result sees it."""

    code = "run-failed"


class RunFailed(RunError):
    """User code raised and no retry was left."""


class ProgramFailed(RunFailed):
    """A program could not be run, or ended badly: `returncode` (minus a signal's number), `stderr` (its last lines).

    `error_class` says what kind of failure it was.
    """

    code = "program-failed"

    def __init__(
        self, detail: str, *, hint: str = "", returncode: int | None = None, stderr: str = "",
        error_class: str = "user_error",
    ) -> None:  # fmt: skip
        super().__init__(detail, hint=hint)
        self.returncode = returncode
        self.stderr = stderr
        self.error_class = error_class


class RequestFailed(RunFailed):
    """An HTTP request got no answer, or not the one expected: `status_code`, `body` (how it begins), `retry_after`.

    `error_class` says what kind of failure it was.
    """

    code = "request-failed"

    def __init__(
        self, detail: str, *, hint: str = "", status_code: int | None = None, body: str = "",
        retry_after: float | None = None, error_class: str = "user_error",
    ) -> None:  # fmt: skip
        super().__init__(detail, hint=hint)
        if retry_after is not None:
            self.fields["retry_after"] = retry_after
        self.status_code = status_code
        self.body = body
        self.retry_after = retry_after
        self.error_class = error_class


class RollbackPending(RunError):
    """What an earlier attempt staged is not undone yet, so the run cannot be tried again."""

    code = "rollback-pending"


class RunTimedOut(RunError):
    """The run or task was over its timeout and was ended."""

    code = "run-timed-out"


class RunCancelled(RunError):
    """The run was cancelled."""

    code = "run-cancelled"


class RunCrashed(RunError):
    """The process that ran it was lost and no attempt was left."""

    code = "run-crashed"


class TransientError(Exception):
    """A transport failed in a way that a later try may not; `retry_after` in seconds if the peer said so.

    `status` is what the peer answered (of HTTP or SMTP), where it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status

    @property
    def error_class(self) -> str:
        """Of a task that fails with it: what `retry_on` and filters know it by."""
        return "rate_limited" if self.retry_after is not None or self.status == 429 else "infrastructure"


class PermanentError(Exception):
    """A transport failed in a way that no retry mends (bad address, 401, 404, 410); `status` as above."""

    def __init__(self, message: str = "", *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class DeclinedError(PermanentError):
    """The peer refused this one thing (400, 413, 422); it may take another."""
