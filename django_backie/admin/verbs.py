"""What may be done to a job: who may, from which states, and in which words it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, pgettext_lazy

from .. import control
from ..core.states import RETRYABLE_BY_HAND, WAITING, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing that may be done to jobs.

    ``name`` is its function in ``control`` and its place in addresses. ``states`` decide where a button is
    shown; the last word on each job has ``control``, which sees Redis. ``asked`` and ``asked_logged`` are the words for
    jobs that run, and end when they notice.
    """

    name: str
    action: str
    permission: str
    states: frozenset[State]
    button: Any
    done: Any
    logged: Any
    takes_reason: bool = False
    asked: Any = ""
    asked_logged: Any = ""

    def applies_to(self, state: str) -> bool:
        """Tell whether a job in this state can be asked to do so."""
        return state in self.states

    def carry_out(self, ids: Sequence[str], *, using: str, reason: str) -> control.Report:
        """Do it to these jobs of a database and report which ones refused."""
        options = {"reason": reason} if self.takes_reason else {}
        report: control.Report = getattr(control, self.name)(ids, using=using, **options)
        return report

    def log_message(self, reason: str, *, is_asked: bool = False) -> str:
        """Return what the job's history says."""
        return f"{self.asked_logged if is_asked else self.logged} {reason}".strip()


RETRY = Verb(
    name="retry",
    action="retry_jobs",
    permission="retry_job",
    states=RETRYABLE_BY_HAND,
    button=pgettext_lazy("button", "Retry"),
    done=ngettext_lazy("%(count)s job will run again.", "%(count)s jobs will run again.", "count"),
    logged=_("Retried."),
)
CANCEL = Verb(
    name="cancel",
    action="cancel_jobs",
    permission="cancel_job",
    states=WAITING | {State.RUNNING},
    button=pgettext_lazy("button", "Cancel job"),
    done=ngettext_lazy("%(count)s job was cancelled.", "%(count)s jobs were cancelled.", "count"),
    logged=_("Cancelled."),
    asked=ngettext_lazy(
        "%(count)s running job was asked to end; it is cancelled as soon as it notices.",
        "%(count)s running jobs were asked to end; they are cancelled as soon as they notice.",
        "count",
    ),
    asked_logged=_("Asked to end."),
    takes_reason=True,
)
RUN_NOW = Verb(
    name="run_now",
    action="run_jobs_now",
    permission="run_job",
    states=frozenset({State.SCHEDULED, State.RETRYABLE}),
    button=pgettext_lazy("button", "Run now"),
    done=ngettext_lazy("%(count)s job is due now.", "%(count)s jobs are due now.", "count"),
    logged=_("Made due at once."),
)

VERBS = {verb.name: verb for verb in (RETRY, RUN_NOW, CANCEL)}
