"""Whether what was raised may be tried again, as its author wrote it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import NamedTuple

from hub.errorclasses import ErrorClass, class_of, retry_after
from hub.sdk.retries import RetryOptions
from hub.settings import Settings
from hub.types import SECOND, now_us

_log = logging.getLogger("hub.run")


class RetryDefault(NamedTuple):
    """How often, and after how many seconds, is tried again what says nothing about it."""

    retries: int = 0
    delay: float = 0.0


NO_RETRIES = RetryDefault()


def default_of_tasks(settings: Settings) -> RetryDefault:
    """What the settings say for tasks."""
    return RetryDefault(settings.sdk_task_retries, settings.sdk_task_retry_delay)


def default_of_flows(settings: Settings) -> RetryDefault:
    """What the settings say for flows."""
    return RetryDefault(settings.sdk_flow_retries, settings.sdk_flow_retry_delay)


def with_default(options: RetryOptions, default: RetryDefault) -> RetryOptions:
    """An author's options; what they leave open is as the settings say."""
    if default == NO_RETRIES or len(options.stated) == 2:
        return options
    retries = options.retries if "retries" in options.stated else default.retries
    delays = options.delays if "retry_delay_seconds" in options.stated else (default.delay,)
    return replace(options, retries=retries, delays=delays)


def wanted(options: RetryOptions, error: BaseException, *, timed_out: bool = False) -> bool:
    """Ask `give_up_on`, `retry_on` and `retry_condition`. A condition that raises means no, and is logged."""
    if options.give_up_on and _listed(options.give_up_on, error, timed_out):
        return False
    if options.retry_on and not _listed(options.retry_on, error, timed_out):
        return False
    if options.condition is None:
        return True
    try:
        return bool(options.condition(error))
    except Exception as trouble:  # noqa: BLE001 - the author's code must not hide the error it was asked about
        _log.warning("retry_condition raised %s: not retried", type(trouble).__name__)
        return False


def asked(error: BaseException) -> float:
    """Seconds that the other side asked to wait (Retry-After); 0 when it did not."""
    return retry_after(error, now=now_us() / SECOND) or 0.0


def _listed(listed: tuple[type[BaseException] | ErrorClass, ...], error: BaseException, timed_out: bool) -> bool:
    found = ErrorClass.TIMEOUT if timed_out else class_of(error)
    for one in listed:
        if isinstance(one, ErrorClass):
            if one is found:
                return True
        # A timeout of the hub's own counts as Python's TimeoutError as well.
        elif isinstance(error, one) or (timed_out and issubclass(TimeoutError, one)):
            return True
    return False
