"""What people do to jobs: retry, cancel, run now, erase. The admin and the commands call these.

Redis decides, because only there a change of state is atomic; the row follows at once, and again through the mirror.
"""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.utils.translation import gettext as _

from . import compat, mirror
from .base_backend import BackieBackend, describe
from .broker.redis import PAGE, RedisBroker
from .broker.replies import Snapshot
from .broker.sent import Restored
from .core.states import FINAL, RETRYABLE_BY_HAND, WAITING, State
from .exceptions import BrokerError
from .outbox import notes_of, restore

if TYPE_CHECKING:
    from .models import Job


logger = logging.getLogger("django_backie")


@dataclass(frozen=True, slots=True)
class Report:
    """Which jobs an action has changed, and which it refused, each with the reason.

    ``asked`` are running jobs that were asked to end.
    """

    done: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    asked: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    done: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def report(self) -> Report:
        return Report(tuple(self.done), tuple(self.refused), tuple(self.asked))


def retry(ids: Iterable[str], *, using: str = "default") -> Report:
    """Make failed and cancelled jobs ready again, with all their attempts.

    Raises:
        BrokerUnavailable: Redis is down; nothing was changed.
    """
    tally = _Tally()
    for broker, rows in _by_broker(ids, using, tally).items():
        refused = _revive(broker, rows, using, tally)
        try:
            _revive_rest(broker, refused, using, tally)
        except BrokerError as error:
            # What the first round has done stays done.
            logger.warning("%d job(s) are not retried: %s", len(refused), error)
            tally.refused += ((str(row.pk), _over()) for row in refused)
    return tally.report()


def _revive_rest(broker: RedisBroker, refused: list[Job], using: str, tally: _Tally) -> None:
    """Ask once more: the mirror may have come between the reading of a row and the asking."""
    if not refused:
        return
    left = _revive(broker, _read([str(row.pk) for row in refused], using), using, tally)
    gone = broker.missing([str(row.pk) for row in left])
    for row in left:
        reason = _over() if str(row.pk) in gone else _("it is waiting or running already")
        tally.refused.append((str(row.pk), reason))


def _revive(broker: RedisBroker, rows: list[Job], using: str, tally: _Tally) -> list[Job]:
    """Bring ended jobs back; return those that the broker has refused: they are newer than their rows."""
    fit = [row for row in rows if _may_retry(row, tally)]
    renewed = [_anew(row) for row in fit]
    versions = broker.restore(renewed, revive=True)
    for row, job, version in zip(fit, renewed, versions, strict=True):
        if version > 0:
            values = {"state": State.READY, "attempt": 0, "crashes": 0, "finished_at": None, "reason": ""}
            _write(row, using, version, body=job.body, **values)
            tally.done.append(str(row.pk))
        elif version < 0:
            tally.refused.append((str(row.pk), _("another job with its unique key is waiting or running")))
    return [row for row, version in zip(fit, versions, strict=True) if not version]


def cancel(ids: Iterable[str], *, using: str = "default", reason: str = "") -> Report:
    """Cancel jobs that wait; ask those that run to end, whoever asks first gives the reason.

    Raises:
        BrokerUnavailable: Redis is down; nothing was changed.
    """
    return _change_waiting(ids, using, lambda broker, keys: broker.cancel(keys, reason), State.CANCELLED, reason)


def run_now(ids: Iterable[str], *, using: str = "default") -> Report:
    """Make scheduled and retrying jobs ready at once.

    Raises:
        BrokerUnavailable: Redis is down; nothing was changed.
    """
    return _change_waiting(ids, using, lambda broker, keys: broker.hasten(keys), State.READY, "")


def erase(ids: Iterable[str], *, using: str = "default") -> int:
    """Remove jobs, their attempts and every trace in Redis; answer how many rows there were.

    Raises:
        BrokerUnavailable: Redis is down; nothing was changed.
    """
    keys = [str(job_id) for job_id in ids]
    grouped = _by_broker(keys, using, _Tally())
    # First Redis: a row without its job would come back through the mirror.
    _erase_from_redis(grouped)
    _attempts().filter(job_id__in=keys).using(using).delete()
    count = _rows(using).filter(pk__in=keys).delete()[1].get("django_backie.Job", 0)
    # And once more, for a push that was on its way meanwhile.
    _erase_from_redis(grouped)
    return int(count)


def _erase_from_redis(grouped: dict[RedisBroker, list[Job]]) -> None:
    for broker, rows in grouped.items():
        broker.erase([str(row.pk) for row in rows])


# Asks a broker to change jobs; answers for each.
_Verb = Callable[[RedisBroker, list[str]], list[str]]


def _over() -> str:
    return _("it has ended or was erased a moment ago; try again in some minutes")


_REASONS: dict[str, Callable[[], str]] = {
    "RUNNING": lambda: _("it is running"),
    "ENDED": lambda: _("it has ended"),
    "READY": lambda: _("it is ready already"),
    "GONE": lambda: _("it is not in Redis and has no body to bring it back from"),
}


def _change_waiting(
    ids: Iterable[str],
    using: str,
    verb: _Verb,
    state: State,
    reason: str,
) -> Report:
    tally = _Tally()
    for broker, found in _by_broker(ids, using, tally).items():
        rows = [row for row in found if not row.settled]
        # Its end is committed, and on its way to Redis.
        tally.refused += ((str(row.pk), _REASONS["ENDED"]()) for row in found if row.settled)
        keys = [str(row.pk) for row in rows]
        answers = dict(zip(keys, verb(broker, keys), strict=True)) if keys else {}
        lost = [row for row in rows if answers[str(row.pk)] == "GONE" and row.state in WAITING and row.body]
        if lost:
            answers |= _brought_back(lost, using, broker, verb)
        is_written = _mirror([row for row in rows if answers[str(row.pk)] in {"OK", "ASKED"}], using, broker)
        for row in rows:
            _settle(row, using, answers[str(row.pk)], state, reason, tally, is_written=is_written)
    return tally.report()


def _mirror(rows: list[Job], using: str, broker: RedisBroker) -> bool:
    """Write what Redis knows of jobs that have just been changed into their rows; tell whether it could be."""
    if not rows:
        return True
    backend = compat.get_backend(rows[0].backend)
    try:
        for at in range(0, len(rows), PAGE):
            found = broker.inspect([str(row.pk) for row in rows[at : at + PAGE]]).values()
            write_rows(backend, found, [using])
    except BrokerError as error:
        # The change is made, and the mirror will tell of it.
        logger.warning("the rows of %d job(s) follow later: %s", len(rows), error)
        return False
    return True


def _brought_back(rows: list[Job], using: str, broker: RedisBroker, verb: _Verb) -> dict[str, str]:
    """Bring jobs back whose push is still to come, or that Redis has lost, and ask again.

    One that was gone because it had ended meanwhile stays so: the rows are read once more, under a lock.
    """
    keys = [str(row.pk) for row in rows]
    restore(keys, using, broker.restore)
    answers = dict(zip(keys, verb(broker, keys), strict=True))
    for row in rows:
        row.refresh_from_db(using=using, fields=["state", "version"])
        if row.state in FINAL and answers[str(row.pk)] == "GONE":
            answers[str(row.pk)] = "ENDED"
    return answers


def _settle(row: Job, using: str, answer: str, state: State, reason: str, tally: _Tally, *, is_written: bool) -> None:
    if answer == "ASKED":
        tally.asked.append(str(row.pk))
        return
    brought_back = answer == "READY" and state is State.READY and row.state != State.READY
    if answer == "OK" or brought_back:
        if brought_back or not is_written:
            _write(row, using, row.version, state=state, reason=reason[:200])
        tally.done.append(str(row.pk))
        return
    if answer == "GONE" and row.state in FINAL:
        answer = "ENDED"
    is_over = answer == "GONE" and bool(row.body)
    tally.refused.append((str(row.pk), _over() if is_over else _REASONS[answer]()))


def _by_broker(ids: Iterable[str], using: str, tally: _Tally) -> dict[RedisBroker, list[Job]]:
    wanted = [str(job_id) for job_id in ids]
    rows = {str(row.pk): row for row in _read(wanted, using)}
    grouped: dict[RedisBroker, list[Job]] = defaultdict(list)
    for job_id in wanted:
        if job_id not in rows:
            tally.refused.append((job_id, _("there is no such job")))
        elif (broker := _broker_of(rows[job_id])) is None:
            tally.refused.append((job_id, _("its backend is not configured any more")))
        else:
            grouped[broker].append(rows[job_id])
    return grouped


def _broker_of(row: Job) -> RedisBroker | None:
    try:
        return getattr(compat.get_backend(row.backend), "broker", None)
    except compat.InvalidTaskBackend:
        return None


def _may_retry(row: Job, tally: _Tally) -> bool:
    if row.state not in RETRYABLE_BY_HAND:
        tally.refused.append((str(row.pk), _("it has neither failed nor been cancelled")))
    elif not row.body:
        tally.refused.append((str(row.pk), _("its arguments are not kept any more")))
    else:
        return True
    return False


def _anew(row: Job) -> Restored:
    """Return an ended job with all its attempts before it, and without the time at which it would expire."""
    body = compat.get_backend(row.backend).without_expiry(str(row.pk), row.body)
    return Restored(str(row.pk), body, attempts=notes_of(row), version=row.version)


def _write(row: Job, using: str, version: int, **values: Any) -> None:
    """Let the row follow at once, unless the mirror has written something newer meanwhile."""
    _rows(using).filter(pk=row.pk, settled=False, version__lte=max(version, row.version)).update(
        version=max(version, row.version), **values
    )


def _rows(using: str) -> Any:
    return apps.get_model("django_backie", "Job")._default_manager.using(using)


def _read(ids: list[str], using: str) -> list[Job]:
    return list(_rows(using).filter(pk__in=ids).prefetch_related("attempts"))


def _attempts() -> Any:
    return apps.get_model("django_backie", "Attempt")._default_manager


def write_rows(backend: BackieBackend, snapshots: Iterable[Snapshot], databases: Sequence[str]) -> None:
    """Let the rows of jobs follow at once, as they are in Redis."""
    current = [snapshot._replace(version=snapshot.record.version) for snapshot in snapshots]
    mirror.write(current, databases, backend.unpack, functools.partial(describe, config=backend.config), backend.alias)
