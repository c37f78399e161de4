"""What others see, and do, when an attempt has ended: receivers of signals, and hooks."""

from __future__ import annotations

import logging
from typing import Any

from .. import compat, hooks
from ..core.outcome import Transition
from ..core.states import State
from ..moments import moment
from ..progress import shown
from ..result import TaskResult, cancellation, set_return_value
from .attempt import Attempt, Finished


def followed(attempt: Attempt, finished: Finished, transition: Transition) -> Finished:
    """Do what is to follow an attempt, before its end is told: an end that Redis knows has its followers."""

    def show() -> TaskResult[Any]:
        if attempt.result.state is State.RUNNING:
            show_end(attempt, transition)
        return attempt.result

    key = hooks.attempt_key(attempt.lease.attempt, attempt.lease.attempts())
    hooks.follow(attempt.task, attempt.job, hooks.events_of(transition), key, show)
    return finished._replace(has_followers=True)


def is_heard_end(transition: Transition) -> bool:
    """Tell whether the job has ended and somebody wants to know: Django's own receiver logs failures as errors."""
    level = logging.INFO if transition.state is State.SUCCESSFUL else logging.ERROR
    return transition.state.is_final and compat.is_heard(compat.task_signals.task_finished, level)


def show_end(attempt: Attempt, transition: Transition) -> None:
    """Give the handle that receivers of task_finished and hooks see the state that an attempt has led to."""
    result = attempt.result
    object.__setattr__(result, "finished_at", moment(attempt.ended) if transition.state.is_final else None)
    object.__setattr__(result, "status", compat.TaskResultStatus[transition.state.status])
    object.__setattr__(result, "state", transition.state)
    if (gauge := attempt.hold.shown) is not None:
        object.__setattr__(result, "progress", shown(gauge.close()))
    if transition.failure is not None:
        failure = transition.failure
        result.errors.append(compat.TaskError(exception_class_path=failure.class_path, traceback=failure.traceback))
    if transition.state is State.CANCELLED:
        result.errors.append(cancellation(transition.reason))
    elif transition.failure is None:
        set_return_value(result, transition.result)
