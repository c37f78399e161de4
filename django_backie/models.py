"""The job table: a job's way in (outbox) and its readable copy (mirror), in one row."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .core.ids import new_id


class JobState(models.TextChoices):
    """The states of ``core.states`` with the labels that people read."""

    SCHEDULED = "SCHEDULED", pgettext_lazy("job state", "scheduled")
    BLOCKED = "BLOCKED", pgettext_lazy("job state", "blocked")
    READY = "READY", pgettext_lazy("job state", "ready")
    RUNNING = "RUNNING", pgettext_lazy("job state", "running")
    RETRYABLE = "RETRYABLE", pgettext_lazy("job state", "retrying")
    SUCCESSFUL = "SUCCESSFUL", pgettext_lazy("job state", "succeeded")
    FAILED = "FAILED", pgettext_lazy("job state", "failed")
    CANCELLED = "CANCELLED", pgettext_lazy("job state", "cancelled")


class Outcome(models.TextChoices):
    """What an attempt ended in."""

    SUCCEEDED = "succeeded", pgettext_lazy("attempt outcome", "succeeded")
    FAILED = "failed", pgettext_lazy("attempt outcome", "failed")
    TIMED_OUT = "timed_out", pgettext_lazy("attempt outcome", "timed out")
    CANCELLED = "cancelled", pgettext_lazy("attempt outcome", "cancelled")
    LOST = "lost", pgettext_lazy("attempt outcome", "lost")


# Few jobs are in these states, and people look for them by queue and by task.
TROUBLED = (JobState.BLOCKED, JobState.CANCELLED, JobState.FAILED, JobState.RETRYABLE)


class Job(models.Model):
    """One request to run a task with given arguments.

    ``version`` is 0 until the relay or the mirror knows the job to be in Redis; only a larger one may overwrite the
    row. ``arguments`` is what people may read: secrets are cleansed before they are written. ``body`` is the signed
    original, needed to push the job again; it is never shown, and emptied when a job with secrets succeeds.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=new_id, editable=False)
    task = models.CharField(_("task"), max_length=200)
    backend = models.CharField(_("backend"), max_length=100, default="default")
    queue = models.CharField(_("queue"), max_length=100)
    priority = models.SmallIntegerField(_("priority"), default=0)
    state = models.CharField(_("state"), max_length=10, choices=JobState.choices, default=JobState.READY)
    reason = models.CharField(_("reason"), max_length=200, blank=True, default="")
    arguments = models.JSONField(_("arguments"), default=dict)
    body = models.TextField(_("body"), blank=True, default="", editable=False)
    result = models.TextField(_("result"), blank=True, default="")
    error_class = models.CharField(_("error class"), max_length=200, blank=True, default="")
    error_message = models.CharField(_("error message"), max_length=500, blank=True, default="")
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    max_attempts = models.PositiveIntegerField(_("max attempts"), default=1)
    crashes = models.PositiveSmallIntegerField(_("crashes"), default=0)
    worker = models.CharField(_("worker"), max_length=100, blank=True, default="")
    enqueued_at = models.DateTimeField(_("enqueued at"))
    run_after = models.DateTimeField(_("run after"), null=True, blank=True)
    started_at = models.DateTimeField(_("first started at"), null=True, blank=True)
    last_attempted_at = models.DateTimeField(_("last attempted at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    version = models.BigIntegerField(_("version"), default=0, editable=False)
    # An atomic attempt has committed its effects and the job's end with them.
    settled = models.BooleanField(_("settled"), default=False, db_default=False, editable=False)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-enqueued_at", "-id"]
        default_permissions = ("view",)
        permissions = [
            ("view_payload", _("Can view arguments, results and tracebacks of jobs")),
            ("retry_job", _("Can retry jobs")),
            ("cancel_job", _("Can cancel jobs")),
            ("run_job", _("Can run waiting jobs now")),
        ]
        indexes = [
            # Ascending, though the newest are read first: rows come in the order of time, and a page of an index is
            # fuller where they come at its end.
            models.Index(fields=["enqueued_at", "id"], name="backie_job_enqueued"),
            models.Index(fields=["state", "enqueued_at", "id"], name="backie_job_state"),
            models.Index(fields=["queue", "enqueued_at", "id"], name="backie_job_queue"),
            models.Index(fields=["task", "enqueued_at", "id"], name="backie_job_task"),
            # A job that succeeds at once is never in these two, so they cost it nothing.
            models.Index(
                fields=["queue", "state", "enqueued_at", "id"],
                name="backie_job_queue_troubled",
                condition=models.Q(state__in=TROUBLED),
            ),
            models.Index(
                fields=["task", "state", "enqueued_at", "id"],
                name="backie_job_task_troubled",
                condition=models.Q(state__in=TROUBLED),
            ),
            models.Index(fields=["state", "finished_at"], name="backie_job_finished"),
            # What is pruned with care: the effects of an atomic attempt are known, Redis does not know it yet.
            models.Index(fields=["finished_at"], name="backie_job_settled", condition=models.Q(settled=True)),
            # The sweeper's: rows that have not reached Redis yet. Partial where the database can.
            models.Index(fields=["enqueued_at"], name="backie_job_outbox", condition=models.Q(version=0)),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.pk}"

    @classmethod
    def check(cls, **kwargs: Any) -> list[CheckMessage]:
        """Check as any model; that MariaDB and MySQL have no partial index is known, the sweeper uses another there."""
        return [message for message in super().check(**kwargs) if message.id != "models.W037"]


class Schedule(models.Model):
    """A task that makes jobs by itself, and the last of its times that was taken up.

    Its rule stands in the code, where the name is empty, in the settings under its name, or is the row's own; the
    fields from ``zone`` on are for these.
    """

    id = models.BigAutoField(primary_key=True)
    backend = models.CharField(_("backend"), max_length=100)
    task = models.CharField(_("task"), max_length=200)
    rule = models.CharField(_("rule"), max_length=200)
    last_slot = models.DateTimeField(_("last time"))
    is_paused = models.BooleanField(_("paused"), default=False)
    name = models.CharField(_("name"), max_length=100, blank=True, default="")
    in_settings = models.BooleanField(_("in the settings"), default=False, db_default=False, editable=False)
    # Of code and settings: a worker has another rule in its place.
    is_ended = models.BooleanField(_("ended"), default=False, db_default=False, editable=False)
    zone = models.CharField(_("time zone"), max_length=100, blank=True, default="")
    missed = models.CharField(_("missed times"), max_length=10, default="latest")
    overlap = models.CharField(_("overlap"), max_length=10, default="allow", db_default="allow")
    # In seconds.
    jitter = models.FloatField(_("jitter"), default=0.0, db_default=0.0, validators=[MinValueValidator(0.0)])
    args = models.JSONField(_("arguments"), default=list, blank=True)
    kwargs = models.JSONField(_("arguments by name"), default=dict, blank=True)
    # Empty and null: the task's own.
    queue = models.CharField(_("queue"), max_length=100, blank=True, default="")
    priority = models.SmallIntegerField(_("priority"), null=True, blank=True)

    class Meta:
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        ordering = ["task", "rule"]
        permissions = [("run_schedule", _("Can pause, resume and run schedules"))]
        constraints = [
            models.UniqueConstraint(
                fields=["backend", "task", "rule", "name", "in_settings"], name="backie_schedule_once"
            )
        ]

    def __str__(self) -> str:
        return self.name or f"{self.task} {self.rule}"

    @property
    def is_written(self) -> bool:
        """Tell whether people wrote the row, so that they may change it."""
        return bool(self.name) and not self.in_settings


class Pause(models.Model):
    """A queue, or a task in all queues, that gives out no jobs, until ``until`` or until the row goes."""

    id = models.BigAutoField(primary_key=True)
    backend = models.CharField(_("backend"), max_length=100)
    # One of the two; the other is empty.
    queue = models.CharField(_("queue"), max_length=100, blank=True, default="")
    task = models.CharField(_("task"), max_length=200, blank=True, default="")
    reason = models.CharField(_("reason"), max_length=200, blank=True, default="")
    until = models.DateTimeField(_("until"), null=True, blank=True)
    by = models.CharField(_("by"), max_length=150, blank=True, default="")
    since = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("pause")
        verbose_name_plural = _("pauses")
        ordering = ["queue", "task"]
        default_permissions = ("view",)
        permissions = [("pause_queue", _("Can pause and resume queues and tasks"))]
        constraints = [models.UniqueConstraint(fields=["backend", "queue", "task"], name="backie_pause_once")]

    def __str__(self) -> str:
        return self.queue or self.task


class Attempt(models.Model):
    """One try to run a job; written once it has ended."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey(
        Job, verbose_name=_("job"), on_delete=models.CASCADE, related_name="attempts", db_constraint=False
    )
    number = models.PositiveIntegerField(_("number"))
    worker = models.CharField(_("worker"), max_length=100)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"))
    retry_at = models.DateTimeField(_("retry at"), null=True, blank=True)
    error_class = models.CharField(_("error class"), max_length=200, blank=True, default="")
    error_message = models.CharField(_("error message"), max_length=500, blank=True, default="")
    traceback = models.TextField(_("traceback"), blank=True, default="")
    # What the attempt has reported last; null where it has reported nothing, as nearly all.
    progress = models.JSONField(_("progress"), null=True, default=None, editable=False)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["started_at", "id"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["job", "started_at", "worker"], name="backie_attempt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} #{self.number}"
