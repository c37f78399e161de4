"""Tasks that something follows."""

from __future__ import annotations

from typing import Any

from django_backie import BaseTask, Cancel, Snooze, task

told: list[tuple[Any, ...]] = []


@task
def after_success(job_id: str) -> None:
    """Note it."""
    told.append(("success", job_id))


@task
def after_failure(job_id: str) -> None:
    """Note it."""
    told.append(("failure", job_id))


@task
def after_all(job_id: str) -> None:
    """Note it."""
    told.append(("exhausted", job_id))


@task
def two_arguments(job_id: str, more: int) -> None:
    """Cannot be a hook."""


async def async_function(task_result: Any) -> None:
    """Cannot be a hook."""


@task
def plain() -> None:
    """Do nothing."""


@task(on_success=after_success)
def succeeds() -> None:
    """Do nothing."""


@task(max_attempts=2, on_success=after_success, on_failure=after_failure, on_exhausted=after_all)
def fails() -> None:
    """Raise."""
    raise ValueError


def note(event: str) -> Any:
    """Return a function that notes what it sees."""

    def see(task_result: Any) -> None:
        told.append((event, task_result.id, task_result.state))

    return see


@task(on_success=note("on_success"), on_failure=note("on_failure"), on_exhausted=note("on_exhausted"))
def calls(fail: bool) -> None:
    """Raise, or not."""
    if fail:
        raise ValueError


@task(on_success=note("on_success"))
async def acalls() -> None:
    """Do nothing."""


def _break(task_result: Any) -> None:
    raise RuntimeError


@task(on_success=_break)
def broken_hook() -> None:
    """Do nothing."""


@task(on_success=after_success, on_failure=after_failure, on_exhausted=after_all)
def gives_up(how: str) -> None:
    """Cancel or snooze."""
    raise Cancel if how == "cancel" else Snooze(300)


class Followed(BaseTask):
    """Has its hook as a method."""

    task_name = "followed"

    def on_success(self, task_result: Any) -> None:
        """Note it."""
        told.append(("method", task_result.id))

    def run(self) -> None:
        """Do nothing."""


@task(atomic=True)
def atomic_follower(job_id: str) -> None:
    """Note it."""
    told.append(("atomic", job_id))


@task(max_attempts=1)
def fails_too(job_id: str) -> None:
    """Note it, and raise."""
    told.append(("failed follower", job_id))
    raise ValueError


async def async_method(self: Any, task_result: Any) -> None:
    """Cannot be a hook."""
