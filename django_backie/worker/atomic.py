"""Run an attempt in one transaction with the end of its job: effects in that database happen exactly once.

The last statement marks the job's row as settled, and refuses where another attempt has done so. Whatever happens to
the worker afterwards, every later attempt finds the mark, and undoes or spares its own effects.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import InterfaceError, OperationalError, connections, transaction
from django.utils import timezone

from ..core.outcome import Outcome, Postponed, Succeeded
from ..core.states import FINAL, State
from ..exceptions import Shutdown, WorkerLost
from .attempt import Attempt

logger = logging.getLogger("django_backie.worker")

AGAIN_SOON, AGAIN_LATER = 1.0, 5.0

Call = Callable[[], Outcome]


class _Undo(Exception):
    """Rolls the transaction back; the outcome is already known."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def run(attempt: Attempt, call: Call) -> Outcome:
    """Run ``call`` in a transaction of its own; it is committed if the outcome is a success."""
    return _run(attempt, call, lambda outcome: None)


def run_settling(attempt: Attempt, call: Call) -> Outcome:
    """Run ``call`` in one transaction with the end of the job.

    1. Where an earlier attempt has settled the job, return what that has returned.
    2. Run; undo everything unless it is a success and the lease still stands.
    3. Settle the job's row, and commit.
    4. Where it is not known whether the commit took effect, look; where nobody answers, look later.
    """
    try:
        earlier = _earlier_outcome(attempt)
    except (OperationalError, InterfaceError) as error:
        # Nothing was tried, so nothing is charged.
        return Postponed(f"its database is not available: {error}", AGAIN_LATER)
    return earlier or _run(
        attempt, functools.partial(_locked_early, attempt, call), functools.partial(_settle, attempt)
    )


def _run(attempt: Attempt, call: Call, settle: Callable[[Succeeded], None]) -> Outcome:
    progress: set[str] = set()
    database = attempt.job.database
    try:
        with transaction.atomic(using=database):
            # The first callback of all: one of the task's own may raise, and those behind it are not called.
            transaction.on_commit(lambda: progress.add("committed"), using=database)
            outcome = call()
            if not isinstance(outcome, Succeeded):
                raise _Undo(outcome)
            settle(outcome)
            progress.add("settled")
    except _Undo as undo:
        return undo.outcome
    except Exception:
        if "committed" in progress:
            logger.exception("%s was committed; a callback of on_commit() failed", attempt.job.id)
            return outcome
        if "settled" in progress and (known := _after_failed_commit(attempt)):
            return known
        raise
    return outcome


def _settle(attempt: Attempt, outcome: Succeeded) -> None:
    """Write the end of the job into its row, unless another attempt has, or is about to."""
    if not attempt.hold.is_sure():
        raise Shutdown
    open_row = _row(attempt).filter(settled=False, attempt__lte=attempt.lease.attempt).exclude(state__in=FINAL)
    now = timezone.now()
    if open_row.update(settled=True, state=State.SUCCESSFUL, result=outcome.result, finished_at=now):
        return
    raise _Undo(_earlier_outcome(attempt) or _superseded(attempt))


def _earlier_outcome(attempt: Attempt) -> Outcome | None:
    """Return the outcome of an attempt that has settled the job, if there was one."""
    row = _row(attempt).filter(state=State.SUCCESSFUL).values_list("result").first()
    return None if row is None else Succeeded(row[0] or "null")


def _superseded(attempt: Attempt) -> Outcome:
    """Return what becomes of an attempt that may not settle its job. The broker refuses it too, if it knows more."""
    state = _row(attempt).values_list("state").first()
    if state is None:
        msg = f"an atomic task cannot end without its row, {attempt.job.id} is gone from {attempt.job.database!r}"
        raise WorkerLost(msg)
    return Postponed(f"its row says {state[0].lower()}: another attempt was faster", AGAIN_SOON)


def _after_failed_commit(attempt: Attempt) -> Outcome | None:
    """Find out whether a commit that raised has taken effect: the connection may have broken on the way back."""
    try:
        connections[attempt.job.database].close()
        return _earlier_outcome(attempt)
    except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known then
        logger.warning("%s: whether its commit took effect is not known yet: %s", attempt.job.id, error)
        return Postponed("whether its commit took effect is not known yet", AGAIN_LATER)


def _locked_early(attempt: Attempt, call: Call) -> Outcome:
    """Begin with a write where there are no row locks.

    SQLite cannot turn a transaction that has read into one that writes when somebody else has written meanwhile.
    """
    if not connections[attempt.job.database].features.has_select_for_update:
        _row(attempt).filter(settled=True).update(settled=True)
    return call()


def _row(attempt: Attempt) -> Any:
    rows = apps.get_model("django_backie", "Job")._default_manager.using(attempt.job.database)
    return rows.filter(pk=attempt.job.id)
