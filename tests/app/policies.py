"""Tasks that say what becomes of their jobs."""

from __future__ import annotations

import builtins
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group

from django_backie import BaseTask, task
from django_backie.exceptions import Cancel, Discard, Retry, Snooze


@task(max_attempts=3)
def again(after: float | None = None) -> None:
    """Ask for another attempt."""
    try:
        raise ConnectionError("no answer")
    except ConnectionError as error:
        raise Retry("the bank is busy", after=after) from error


@task
def snooze() -> None:
    """Ask to be woken later."""
    raise Snooze(timedelta(minutes=5))


@task
def stop(which: str) -> None:
    """End the job."""
    raise Cancel("the order was withdrawn") if which == "cancel" else Discard("the order is gone")


@task(sensitive=["card"])
def tell(how: str, card: str) -> None:
    """Say more than it should."""
    if how == "retry":
        try:
            raise ValueError(f"card {card} refused")
        except ValueError as error:
            raise Retry(after=300) from error
    raise {"cancel": Cancel, "discard": Discard}[how](f"card {card} refused")


@task
def odd() -> None:
    """Give a reason that neither Redis nor every database would take."""
    raise Discard("caf\udce9.txt\x00 is gone")


@task
async def astop(which: str) -> None:
    """End the job, or put it off."""
    raise {"cancel": Cancel("x"), "snooze": Snooze(300), "retry": Retry(after=300)}[which]


@task(atomic=True)
def write_and_cancel() -> None:
    """Write, and give up."""
    Group.objects.create(name="written")
    raise Cancel("on second thoughts")


def written() -> int:
    """Count what was written."""
    return Group.objects.filter(name="written").count()


@task(retry_for=(ConnectionError, TimeoutError), discard_for=[LookupError])
def choosy(error: str) -> None:
    """Raise."""
    raise getattr(builtins, error)("boom")


class Busy(Exception):
    """A service that says how long it is busy."""

    def __init__(self, seconds: Any) -> None:
        super().__init__(str(seconds))
        self.seconds = seconds


seen: list[tuple[BaseException, str, int]] = []


def as_told(error: BaseException, task_result: Any) -> Any:
    """Return what the service has said."""
    seen.append((error, task_result.id, task_result.attempts))
    seconds = getattr(error, "seconds", None)
    return float("nan") if seconds == "nan" else seconds


@task(backoff=as_told)
def backs_off(seconds: Any) -> None:
    """Meet a busy service."""
    raise Busy(seconds)


class BacksOff(BaseTask):
    """Waits as its own method says."""

    task_name = "backs_off"

    def backoff(self, error: BaseException, task_result: Any) -> float:
        """Return the seconds to wait."""
        return 123

    def run(self) -> None:
        """Raise."""
        raise ValueError


@task(expires=3600)
def perishable() -> str:
    """Return."""
    return "fresh"
