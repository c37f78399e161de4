"""Tasks of the contract's tests, and what they have seen."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from django.db import transaction

from django_backie import BaseTask, task

SEEN: list[Any] = []


@task
def note(value: Any = None) -> Any:
    """Remember the value and return it."""
    SEEN.append(value)
    return value


@task
async def anote(value: Any = None) -> Any:
    """Do the same in the event loop."""
    SEEN.append(value)
    return value


@task
def spread(*args: Any, **kwargs: Any) -> list[Any]:
    """Remember all arguments."""
    SEEN.append((args, kwargs))
    return [list(args), kwargs]


@task(max_attempts=1)
def leave(code: int = 1) -> None:
    """Exit."""
    sys.exit(code)


@task(max_attempts=1)
def interrupt() -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


@task(max_attempts=1)
async def aleave() -> None:
    """Exit, in the event loop."""
    raise SystemExit(1)


@task(max_attempts=1)
async def await_cancelled() -> None:
    """Wait for something that somebody has cancelled."""
    inner = asyncio.ensure_future(asyncio.sleep(60))
    inner.cancel()
    await inner


@task(max_attempts=3)
def unkeepable() -> Any:
    """Return what is not JSON."""
    return object()


@task
def lists() -> Any:
    """Return what JSON changes."""
    return {"tuple": (1, 2), "bytes": b"text"}


@task(max_attempts=1)
def explode(message: str = "boom") -> None:
    """Fail for good."""
    raise ValueError(message)


@task(max_attempts=3, backoff=3600)
def stumble() -> None:
    """Fail, and be tried again much later."""
    msg = "again later"
    raise ConnectionError(msg)


@task(max_attempts=3, backoff=[0.001], takes_context=True)
def third_time_lucky(context: Any) -> int:
    """Fail twice."""
    if context.attempt < 3:
        msg = f"attempt {context.attempt}"
        raise ConnectionError(msg)
    return int(context.attempt)


@task(takes_context=True)
def about(context: Any, extra: int = 0) -> dict[str, Any]:
    """Return what the context shows."""
    result = context.task_result
    return {
        "id": result.id,
        "attempt": context.attempt,
        "status": str(result.status),
        "started": result.started_at is not None,
        "workers": len(result.worker_ids),
        "args": result.args,
        "extra": extra,
    }


@task
def parent(count: int) -> None:
    """Enqueue further jobs in a transaction."""
    with transaction.atomic():
        note.delay_many([(number,) for number in range(count)])


@task
def forever() -> None:
    """Enqueue itself."""
    forever.delay()


class Greet(BaseTask[[str], str]):
    """The class form."""

    task_name = "greet"

    def run(self, name: str) -> str:
        """Greet."""
        SEEN.append(name)
        return f"hello {name}"


class AsyncGreet(BaseTask[[str], str]):
    """The class form with a coroutine."""

    task_name = "agreet"
    queue_name = "greetings"
    priority = 7
    max_attempts = 2

    async def run(self, name: str) -> str:  # type: ignore[override]
        """Greet."""
        return f"hello {name}"


def plain(value: int = 0) -> int:
    """Return the value; not a task itself."""
    return value


class Holder:
    """Has a function that looks like a module's."""

    def method(self) -> None:
        """Do nothing."""


nameless = lambda: None  # noqa: E731
