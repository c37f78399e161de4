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
from django.db.models import DateTimeField, Q, Value
from django.db.models.functions import Coalesce
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from .. import locks
from ..core.outcome import Dropped, Outcome, Postponed, Succeeded
from ..core.states import FINAL, State
from ..exceptions import Shutdown, WorkerLost
from ..moments import moment
from .attempt import Attempt

logger = logging.getLogger("django_backie.worker")

AGAIN_SOON, AGAIN_LATER = 1.0, 5.0
# For another that holds the row: it commits, or is frozen.
LONGEST_WAIT = 10.0

Call = Callable[[], Outcome]


class _Undo(Exception):
    """Rolls the transaction back; the outcome is already known."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def run(attempt: Attempt, call: Call) -> Outcome:
    """Run ``call`` in a transaction of its own; it is committed if the outcome is a success."""
    return _run(attempt, lambda progress: call(), lambda outcome: None)


def run_settling(attempt: Attempt, call: Call) -> Outcome:
    """Run ``call`` in one transaction with the end of the job.

    1. Where an earlier attempt has settled the job, return what that has returned; else note in the row that this one
       runs. The mirror need not then, and a transaction with a snapshot of its own can still write the row.
    2. Run; undo everything unless it is a success and the lease still stands.
    3. Settle the job's row, and commit.
    4. Where it is not known whether the commit took effect, look; where nobody answers, look later.
    """
    try:
        earlier = _earlier_outcome(attempt)
        if earlier is None and attempt.job.expires is not None and attempt.job.expires <= attempt.started:
            return Dropped("expired", began=False)
        if earlier is None:
            _note_start(attempt)
    except (OperationalError, InterfaceError) as error:
        # Nothing was tried, so nothing is charged.
        return Postponed(f"its database is not available: {error}", AGAIN_LATER)
    return earlier or _run(
        attempt, functools.partial(_locked_early, attempt, call), functools.partial(_settle, attempt)
    )


def _run(attempt: Attempt, call: Callable[[set[str]], Outcome], settle: Callable[[Succeeded], None]) -> Outcome:
    progress: set[str] = set()
    database = attempt.job.database
    is_outermost = not connections[database].in_atomic_block
    try:
        with transaction.atomic(using=database):
            # The first callback of all: one of the task's own may raise, and those behind it are not called.
            transaction.on_commit(lambda: progress.add("committed"), using=database)
            outcome = call(progress)
            if not isinstance(outcome, Succeeded):
                raise _Undo(outcome)
            settle(outcome)
            progress.add("settled")
    except _Undo as undo:
        return undo.outcome
    except Exception as error:
        if "committed" in progress:
            logger.exception("%s was committed; a callback of on_commit() failed", attempt.job.id)
            return outcome
        if "settled" in progress and (known := _after_failed_commit(attempt)):
            return known
        if "called" not in progress and isinstance(error, OperationalError | InterfaceError):
            return Postponed(f"its database is not available: {error}", AGAIN_SOON)
        raise
    if is_outermost and "committed" not in progress:
        # A timeout in the middle of a block of the task's own leaves Django's count of blocks wrong.
        msg = f"{attempt.job.task}: its transaction was not committed"
        raise TransactionManagementError(msg)
    return outcome


def _settle(attempt: Attempt, outcome: Succeeded) -> None:
    """Write the end of the job into its row, unless another attempt has, or is about to."""
    if not attempt.hold.is_sure():
        raise Shutdown
    open_row = _row(attempt).filter(settled=False, attempt__lte=attempt.lease.attempt).exclude(state__in=FINAL)
    locks.limit_wait(attempt.job.database, LONGEST_WAIT)
    try:
        if open_row.update(**_settled(outcome)):
            return
    except OperationalError as error:
        if locks.is_timeout(error):
            raise _Undo(Postponed("its row is locked by another", AGAIN_SOON)) from error
        raise
    raise _Undo(_earlier_outcome(attempt) or _superseded(attempt))


def _settled(outcome: Succeeded) -> dict[str, Any]:
    # The reason may be one for which the job was asked to cancel.
    return {
        "settled": True,
        "state": State.SUCCESSFUL,
        "reason": "",
        "result": outcome.result,
        "finished_at": timezone.now(),
    }


def _earlier_outcome(attempt: Attempt) -> Outcome | None:
    """Return the outcome of an attempt that has settled the job, if there was one."""
    row = _row(attempt).filter(Q(settled=True) | Q(state=State.SUCCESSFUL)).values_list("result").first()
    return None if row is None else Succeeded(row[0] or "null")


def _note_start(attempt: Attempt) -> None:
    """Write into the row what the mirror would write of this claim, under the version that the claim has."""
    lease = attempt.lease
    older = _row(attempt).filter(version__lt=lease.token, settled=False).exclude(state__in=FINAL)
    older.update(
        state=State.RUNNING,
        reason="",
        version=lease.token,
        attempt=lease.attempt,
        worker=attempt.worker[:100],
        started_at=Coalesce("started_at", Value(moment(lease.first_started), output_field=DateTimeField())),
        last_attempted_at=moment(attempt.started),
    )


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


def _locked_early(attempt: Attempt, call: Call, progress: set[str]) -> Outcome:
    """Begin with a write where there are no row locks.

    SQLite cannot turn a transaction that has read into one that writes when somebody else has written meanwhile.
    """
    if not connections[attempt.job.database].features.has_select_for_update:
        _row(attempt).filter(settled=True).update(settled=True)
    progress.add("called")
    return call()


def _row(attempt: Attempt) -> Any:
    rows = apps.get_model("django_backie", "Job")._default_manager.using(attempt.job.database)
    return rows.filter(pk=attempt.job.id)
