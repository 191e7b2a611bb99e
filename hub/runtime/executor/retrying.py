"""Whether what was raised may be tried again, as its author wrote it."""

from __future__ import annotations

import logging

from hub.sdk.retries import RetryOptions

_log = logging.getLogger("hub.run")


def wanted(options: RetryOptions, error: BaseException, *, timed_out: bool = False) -> bool:
    """Ask `retry_on` and `retry_condition`. A condition that raises means no, and is logged."""
    if options.retry_on and not _listed(options.retry_on, error, timed_out):
        return False
    if options.condition is None:
        return True
    try:
        return bool(options.condition(error))
    except Exception as trouble:  # noqa: BLE001 - the author's code must not hide the error it was asked about
        _log.warning("retry_condition raised %s: not retried", type(trouble).__name__)
        return False


def _listed(types: tuple[type[BaseException], ...], error: BaseException, timed_out: bool) -> bool:
    # A timeout of the hub's own counts as Python's TimeoutError as well.
    return isinstance(error, types) or (timed_out and issubclass(TimeoutError, types))
