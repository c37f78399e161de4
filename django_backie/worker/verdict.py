"""What it means that a task has raised."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Any

from ..conf import Config
from ..core.options import LONGEST, OF_THE_TASK, is_number
from ..core.outcome import Dropped, Failed, Interrupted, Outcome, Postponed, TimedOut, may_retry
from ..exceptions import Cancel, Discard, Retry, Shutdown, Snooze, TaskTimeout
from .attempt import Attempt
from .failures import failure_of, mark_secret, may_tell_secrets, reason_of

logger = logging.getLogger("django_backie.worker")


def outcome_of(
    attempt: Attempt, error: BaseException, config: Config, kind: type[BaseException] | None = None
) -> Outcome:
    """Return the outcome of an attempt whose task has raised; ``kind`` replaces the class of the exception."""
    kind = kind or type(error)
    if issubclass(kind, Shutdown):
        return Interrupted()
    if isinstance(error, Snooze):
        return Postponed(reason_of(attempt.task, attempt.job, config, error), error.seconds)
    if isinstance(error, Cancel | Discard):
        return Dropped(reason_of(attempt.task, attempt.job, config, error))
    if isinstance(error, Retry):
        # People want to see what went wrong: ``raise Retry(after=5) from error``.
        shown = error.__cause__ or error
        failure = failure_of(attempt.task, attempt.job, config, shown)
        if may_tell_secrets(shown):
            mark_secret(error)
        return Failed(failure, insists=True, after=error.after)
    failure = failure_of(attempt.task, attempt.job, config, error, kind)
    failed = TimedOut(failure) if issubclass(kind, TaskTimeout) else Failed(failure)
    return _as_the_task_says(attempt, failed, error)


def _as_the_task_says(attempt: Attempt, failed: Failed | TimedOut, error: BaseException) -> Outcome:
    """Ask the task's own backoff function, if it has one and the answer matters."""
    function = attempt.task.backoff
    if attempt.job.options.backoff != OF_THE_TASK or not callable(function):
        return failed
    if not may_retry(attempt.job, attempt.lease.attempt, failed):
        return failed
    try:
        seconds = _asked(function, error, attempt)
    except Exception:
        logger.exception("the backoff function of %s failed; its job waits as usual", attempt.job.task)
        return failed
    return replace(failed, final=True) if seconds is None else replace(failed, after=seconds)


def _asked(function: Callable[[BaseException, Any], float | None], error: BaseException, attempt: Attempt) -> Any:
    seconds = function(error, attempt.result)
    if seconds is not None and not (is_number(seconds) and isfinite(seconds) and 0 <= seconds <= LONGEST):
        msg = f"it returned {seconds!r}: neither None nor a number of seconds from 0, ten years at most"
        raise ValueError(msg)
    return seconds
