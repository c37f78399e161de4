"""What users write, and what their type checker must say about it. Read by mypy, never run.

Every line that is wrong carries the error that mypy has to find there: an ignore that is not needed is an error too.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, assert_type

from django_backie import BaseTask, Task, task
from django_backie.core.states import State
from django_backie.result import TaskResult


@task
def send(order_id: int, *, urgent: bool = False) -> str:
    return f"{order_id} {urgent}"


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@task(
    queue_name="mail", priority=5, max_attempts=3, backoff=[1.0, 5.0], timeout=30, hard_timeout=60, durability="commit"
)
def configured(name: str) -> int:
    return len(name)


@task(takes_context=True)
def with_context(context: Any, number: int) -> float:
    return float(number / context.attempt)


class Greet(BaseTask[[str, int], list[str]]):
    task_name = "greet"

    def run(self, name: str, times: int) -> list[str]:
        return [name] * times


def arguments() -> None:
    send.delay(7)
    send.delay(order_id=7, urgent=True)
    send.enqueue(7)
    send.delay("7")  # type: ignore[arg-type]
    send.delay()  # type: ignore[call-arg]
    send.delay(7, True)  # type: ignore[call-arg]
    send.delay(7, hurry=True)  # type: ignore[call-arg]
    send.enqueue("7")  # type: ignore[arg-type]
    send("7")  # type: ignore[arg-type]
    send.call("7")  # type: ignore[arg-type]
    fetch.delay(7)  # type: ignore[arg-type]
    configured.delay(7)  # type: ignore[arg-type]
    with_context.delay(7)
    with_context.delay("7")  # type: ignore[arg-type]
    with_context.delay(7, 8)  # type: ignore[call-arg]
    send.using(priority=3).delay("7")  # type: ignore[arg-type]
    Greet().delay("you", 2)
    Greet().delay("you")  # type: ignore[call-arg]
    Greet().delay("you", "2")  # type: ignore[arg-type]
    send.delay_many([(1,), {"order_id": 2}])
    send.delay_many(7)  # type: ignore[arg-type]


def results() -> None:
    mine: Task[..., str] = send
    assert_type(mine.delay(1, 2, 3), TaskResult[str])
    assert_type(send.delay(7), TaskResult[str])
    assert_type(send.delay(7).return_value, str)
    assert_type(send.enqueue(7), TaskResult[str])
    assert_type(send.get_result("id"), TaskResult[str])
    assert_type(send.delay_many([(1,)]), list[TaskResult[str]])
    assert_type(send(7), str)
    assert_type(send.call(7), str)
    assert_type(fetch.delay("x"), TaskResult[bytes])
    assert_type(configured.delay("x"), TaskResult[int])
    assert_type(with_context.delay(7), TaskResult[float])
    assert_type(Greet().delay("you", 2), TaskResult[list[str]])
    assert_type(send.delay(7).state, State)
    assert_type(send.delay(7).id, str)
    number: int = send.delay(7).return_value  # type: ignore[assignment]
    del number


async def awaiting() -> None:
    assert_type(await send.adelay(7), TaskResult[str])
    assert_type(await send.aenqueue(7), TaskResult[str])
    assert_type(await fetch.adelay("x"), TaskResult[bytes])
    assert_type(await send.aget_result("id"), TaskResult[str])
    assert_type(await send.adelay_many([(1,)]), list[TaskResult[str]])
    assert_type(await send.acall(7), str)
    await send.adelay("7")  # type: ignore[arg-type]
    await Greet().adelay(1, 2)  # type: ignore[arg-type]


def options() -> None:
    send.using(run_after=timedelta(minutes=1), database="default", max_attempts=2, sensitive=["order_id"])
    send.using(prority=3)  # type: ignore[call-arg]
    send.using(priority="high")  # type: ignore[arg-type]
    send.using(durability="later")  # type: ignore[arg-type]
    task(max_attempt=3)  # type: ignore[call-overload]
    task(durability="later")  # type: ignore[call-overload]
    task(backoff="x")  # type: ignore[arg-type]
