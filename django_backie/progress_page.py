"""How far a job is, for a page of its user: what the page says, and the signed handle with which it asks again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core import signing
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from . import compat
from .core.states import WAITING, State
from .models import JobState
from .progress import Progress
from .result import TaskResult

SALT = "django_backie.progress"
# A page that is open for longer has to be loaded again.
LONGEST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page says of a job; ``value`` is 0 to 100, or None where nobody knows how much is left."""

    state: str
    is_final: bool
    value: int | None
    state_text: str
    amount: str
    message: str


def handle_of(result: TaskResult[Any]) -> str:
    """Return what names a job in an address: nobody can make one, or learn another job's from it."""
    return signing.dumps([result.backend, result.id], salt=SALT)


def opened(handle: str) -> TaskResult[Any] | None:
    """Return the job that a handle names; None where it names none, or did so too long ago.

    Raises:
        BrokerUnavailable: Redis is down, and the job has no row.
    """
    try:
        alias, job_id = signing.loads(handle, salt=SALT, max_age=LONGEST)
        found: TaskResult[Any] = compat.get_backend(alias).get_result(job_id)
    except (signing.BadSignature, compat.InvalidTaskBackend, compat.TaskResultDoesNotExist):
        return None
    return found


def facts(result: TaskResult[Any]) -> Facts:
    """Return what a page says of a job, in the language of its reader."""
    state, progress = result.state, result.progress
    value = None if progress is None else progress.percent
    if state is State.SUCCESSFUL:
        value = 100
    elif state.is_final:
        # Without a value the bar would move for ever.
        value = value or 0
    return Facts(
        state=state.value,
        is_final=state.is_final,
        value=value,
        state_text=_state_text(state),
        amount="" if progress is None or state is State.SUCCESSFUL else amount(progress),
        message="" if progress is None or state is State.SUCCESSFUL else progress.message,
    )


def _state_text(state: State) -> str:
    return pgettext("progress of a job", "waiting") if state in WAITING else str(JobState(state).label)


def amount(progress: Progress) -> str:
    """Return how much is done in a word, in the language of the reader."""
    if progress.percent is None:
        return _("%(count)s done") % {"count": formats.number_format(progress.done, use_l10n=True)}
    return _("%(percent)s%%") % {"percent": progress.percent}
