"""Limits from the task's options to the worker: slots, rates, holds, and who is no job."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from django_backie import Adaptive, BaseTask, Rate, Shared, compat, control, limits, task
from django_backie.core import head
from django_backie.core.states import State
from django_backie.exceptions import InvalidOption, UnserializableValue
from django_backie.models import Job
from django_backie.worker.context import TaskContext
from django_backie.worker.hold import Unlimited
from tests.app.limits import charge, crawl, newsletter, refund, render, sync, text
from tests.app.tasks import add
from tests.helpers import drain, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def limits_of(backend: Any, made: Any) -> str:
    return head.limits_of(backend.broker.inspect([made.id])[made.id].body)


def keys_of(backend: Any, *made: Any) -> list[str]:
    """Return the limits of jobs without their numbers."""
    return [" ".join(part.partition("|")[0] for part in limits_of(backend, one).split()) for one in made]


def running(backend: Any) -> list[list[Any]]:
    """Take all jobs that may start, and return their arguments."""
    backend.broker.join("w")
    leases = backend.broker.turn("w", limit=100).leases
    return [backend.unpack(lease.id, lease.body).args for lease in leases]


def refill(backend: Any) -> None:
    """Let so much time go by that all buckets are full and nothing is held."""
    client, keys = backend.broker.client, backend.broker.keys
    client.delete(keys["lr"], keys["lh"])
    for key in client.zrange(keys["la"], 0, -1):
        client.zadd(keys["la"], {key: 1})


# What a job's limits are.


def test_a_task_may_run_so_often_at_once(backend: Any) -> None:
    render.delay_many([(page,) for page in range(5)])

    assert running(backend) == [[0], [1]]


def test_each_key_has_its_own_slot_however_the_argument_is_given(backend: Any) -> None:
    sync.delay(1)
    sync.delay(customer_id=1, reason="again")
    sync.delay(2)

    assert len(running(backend)) == 2


def test_tasks_share_a_limit_by_its_name(backend: Any) -> None:
    charge.delay_many([("acme", 1), ("acme", 2)])
    refund.delay("acme")
    charge.delay("acme", 3)
    charge.delay("other", 1)

    assert running(backend) == [["acme", 1], ["acme", 2], ["acme"], ["other", 1]]


def test_a_rate_holds_for_all_jobs_of_a_task(backend: Any) -> None:
    newsletter.delay_many([(number,) for number in range(4)])

    assert running(backend) == [[0], [1]]
    refill(backend)
    assert running(backend) == [[2], [3]]


def test_a_rate_may_hold_for_each_key(backend: Any) -> None:
    crawl.delay_many([("a.example",), ("a.example", "/b"), ("b.example",)])

    assert running(backend) == [["a.example"], ["b.example"]]


def test_a_limit_may_be_set_for_one_call(backend: Any) -> None:
    made = [
        add.using(concurrency=3).delay(1, 2),
        add.using(concurrency_key="a").delay(1, 2),
        add.using(rate_limit="5/s", rate_key=["a", "b"]).delay(1, 2),
        render.using(concurrency=7).delay(1),
    ]

    assert [limits_of(backend, one).partition("|")[2] for one in made] == ["3", "1", "200.000000|5", "7"]
    assert [limits_of(backend, one)[0] for one in made] == list("ccrc")
    assert limits_of(backend, add.delay(1, 2)) == ""


class Export(BaseTask):
    task_name = "limited export"
    queue_name = "default"
    concurrency_key = "user"
    concurrency = 2

    def run(self, user: int, year: int = 2026) -> None:
        """Do nothing."""


def test_the_classes_of_a_project_have_limits_too(backend: Any) -> None:
    made = [Export().delay(1), Export().delay(1, 2025), Export().delay(2)]

    keys = keys_of(backend, *made)
    assert keys[0] == keys[1] != keys[2]
    assert limits_of(backend, made[0]).endswith("|2")


def test_a_key_function_gets_the_arguments(backend: Any) -> None:
    first, second, third = (by_country.delay(phone) for phone in ("+49 1", "+49 2", "+33 1"))

    assert keys_of(backend, first) == keys_of(backend, second) != keys_of(backend, third)


@task(rate_limit="1/s", rate_key=lambda phone: phone.partition(" ")[0])
def by_country(phone: str) -> None:
    """A rate for each country."""


@task(concurrency_key=Shared("country", by=lambda phone: phone.partition(" ")[0]))
def one_by_one(phone: str) -> None:
    """One at a time for each country."""


def test_a_shared_key_may_be_a_function_too(backend: Any) -> None:
    first, second, third = (one_by_one.delay(phone) for phone in ("+49 1", "+49 2", "+33 1"))

    assert keys_of(backend, first) == keys_of(backend, second) != keys_of(backend, third)


def test_a_key_function_that_fails_refuses_the_call(backend: Any) -> None:
    with pytest.raises(AttributeError):
        by_country.delay(7)  # type: ignore[arg-type]
    with pytest.raises(UnserializableValue):
        by_object.delay(1)

    assert Job.objects.count() == 0


@task(concurrency_key=lambda number: object())
def by_object(number: int) -> None:
    """Has a key that is no JSON."""


def test_retries_and_rows_keep_the_limits(backend: Any) -> None:
    made = sync.delay(1)
    backend.broker.erase([made.id])
    backend.broker.client.delete(backend.broker.keys["e"])
    with transaction.atomic():
        other = sync.delay(1)
    row = Job.objects.get(pk=made.id)

    assert head.limits_of(row.body) == limits_of(backend, other)


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"concurrency": 0}, "concurrency is 0, it must be a whole number from 1"),
        ({"concurrency": True}, "concurrency is True, it must be a whole number from 1"),
        ({"concurrency": 100_001}, "it must be a whole number from 1 to 100000"),
        ({"concurrency_key": "c"}, "concurrency_key names 'c', which is no argument of it"),
        ({"concurrency_key": Shared("x", by="c")}, "concurrency_key names 'c', which is no argument of it"),
        ({"concurrency_key": 7}, "concurrency_key: its key is 7"),
        ({"rate_limit": "often"}, "rate_limit: 'often' is no rate; write a number and a time"),
        ({"rate_limit": "5/s", "rate_key": "c"}, "rate_key names 'c', which is no argument of it"),
        ({"rate_key": "a"}, "rate_key says of what there is a limit, rate_limit which; set both"),
        ({"rate_limits": "5/s"}, "unknown option 'rate_limits', did you mean 'rate_limit'"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_at_import(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        task(**options)(add.func)
    with pytest.raises(InvalidOption, match=message):
        add.using(**options)


@pytest.mark.parametrize("name", ["concurrency_key", "rate_key"])
@pytest.mark.parametrize("key", [lambda a, b: a, Shared("x", by=lambda a, b: a)])
def test_a_function_does_not_travel_with_a_call(name: str, key: Any) -> None:
    with pytest.raises(InvalidOption, match=f"set {name} on the task, not by using"):
        add.using(**{name: key, "rate_limit": "5/s"})


def test_a_task_with_limits_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(by_country)).rate_key is by_country.rate_key  # noqa: S301
    assert pickle.loads(pickle.dumps(crawl)).rate_limit == Rate("100/m", burst=1)  # noqa: S301


# In a worker.


def test_a_worker_runs_them_all_one_after_the_other(backend: Any) -> None:
    made = sync.delay(1), sync.delay(1), sync.delay(2), sync.delay(1)

    drain(backend)
    mirror(backend)

    assert {State(row.state) for row in Job.objects.all()} == {State.SUCCESSFUL}
    assert Job.objects.count() == len(made)
    assert backend.broker.client.hlen(backend.broker.keys["lj"]) == 0


def test_what_waits_for_a_slot_is_ready_in_its_handle_and_its_row(backend: Any) -> None:
    first, second = sync.delay(1), sync.delay(1)
    assert len(lease(backend)) == 1
    mirror(backend)

    assert (first.id, second.id) == tuple(str(pk) for pk in Job.objects.order_by("pk").values_list("pk", flat=True))
    second.refresh()
    assert second.state is State.READY
    assert Job.objects.get(pk=second.id).state == State.READY


def test_what_waits_for_a_slot_can_be_cancelled(backend: Any) -> None:
    sync.delay(1)
    second = sync.delay(1)
    lease(backend)

    assert control.cancel([second.id]).done == (second.id,)
    assert backend.broker.client.hlen(backend.broker.keys["lw"]) == 0


def test_a_job_holds_its_limit_for_all_others(backend: Any) -> None:
    first, second = text.delay("1", 3600.0), text.delay("2")
    backend.broker.join("other")

    drain(backend)
    first.refresh()
    second.refresh()
    assert (first.state, second.state) == (State.READY, State.READY)
    assert backend.broker.client.hlen(backend.broker.keys["lw"]) == 2

    refill(backend)
    drain(backend)
    second.refresh()
    assert second.state is State.SUCCESSFUL


def context(held: Any = None, own: str = "") -> TaskContext:
    return TaskContext(task_result=add.using().__class__, held=held or Unlimited(), limits=own)


class Noted(Unlimited):
    def __init__(self) -> None:
        super().__init__()
        self.holds: list[tuple[list[str], float]] = []

    def hold(self, limits: Any, seconds: float) -> None:
        self.holds.append((list(limits), seconds))


def test_a_job_without_limits_has_nothing_to_hold() -> None:
    class Handle:
        id = "x"

    with pytest.raises(InvalidOption, match="job x has no limit to hold; set rate_limit or concurrency on its task"):
        TaskContext(task_result=Handle(), held=Unlimited()).hold(seconds=5)


def test_a_job_holds_all_its_limits_or_the_one_that_is_named() -> None:
    noted = Noted()
    seen = context(noted, "cab|1 rcd|600.000000|1")
    seen.hold(seconds=5)
    seen.hold("stripe", 7, account="acme")
    async_to_sync(seen.ahold)(seconds=1)

    assert noted.holds[0] == (["ab", "cd"], 5.0)
    assert noted.holds[2] == (["ab", "cd"], 1.0)
    assert noted.holds[1][1] == 7.0
    with pytest.raises(InvalidOption, match="not for -1"):
        seen.hold(seconds=-1)


# Who is no job.


def test_a_hold_from_anywhere_stops_the_jobs_of_a_shared_limit(backend: Any) -> None:
    limits.hold("stripe", 60, account="acme")
    charge.delay("acme")
    charge.delay("other")

    assert running(backend) == [["other"]]


def test_tokens_are_shared_with_jobs(backend: Any) -> None:
    assert [limits.acquire("sms", "2/h") for _ in range(2)] == [0.0, 0.0]
    assert 1700 < limits.acquire("sms", "2/h") <= 1800

    text.delay("1")
    assert running(backend) == []


def test_each_value_has_its_own_tokens(backend: Any) -> None:
    assert limits.acquire("login", "1/h", ip="::1") == 0.0
    assert limits.acquire("login", "1/h", ip="::2") == 0.0
    assert limits.acquire("login", "1/h", ip="::1") > 0.0


def test_the_async_twins_do_the_same(backend: Any) -> None:
    async_to_sync(limits.ahold)("sms", 60)

    assert 50 < async_to_sync(limits.aacquire)("sms", "2/h") <= 60


@pytest.mark.parametrize("rate", ["often", 5])
def test_what_is_no_rate_is_refused(backend: Any, rate: Any) -> None:
    with pytest.raises(InvalidOption, match="is no rate"):
        limits.acquire("sms", rate)


def test_a_backend_without_redis_has_no_limits(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_backie.testing.ImmediateBackend"}}
    with pytest.raises(InvalidOption, match="default is ImmediateBackend, not a RedisBackend: it has no queues and no"):
        limits.hold("sms", 60)
    assert compat.get_backend("default") is not None


def test_an_immediate_backend_runs_jobs_in_spite_of_their_limits(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_backie.testing.ImmediateBackend"}}

    assert [text.delay(str(number)).return_value for number in range(3)] == ["0", "1", "2"]


# Limits that find their own measure.


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"most": 0}, "must be whole numbers from 1"),
        ({"most": True}, "must be whole numbers from 1"),
        ({"most": 5, "least": 6}, "is not in order; least is at most start, and start at most most"),
        ({"most": 5, "start": 6}, "is not in order"),
        ({"most": 5, "least": 3, "start": 2}, "is not in order"),
        ({"most": 100_001}, "must be whole numbers from 1 to 100000"),
    ],
)
def test_bounds_that_cannot_be_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Adaptive(**values)


def test_bounds_travel_with_the_job(backend: Any) -> None:
    result = add.using(concurrency=Adaptive(9, least=2, start=4)).delay(1, 2)

    assert limits_of(backend, result).endswith("|4|2|9")


def test_the_slots_of_a_fixed_limit_are_its_own(backend: Any) -> None:
    assert limits.slots(task(concurrency=7)(add.func), 1, 2) == 7
    assert limits.slots(task(concurrency_key="a")(add.func), 1, 2) == 1


def test_who_asks_for_the_slots_of_a_task_without_a_limit_is_told(backend: Any) -> None:
    with pytest.raises(InvalidOption, match=r"add has no concurrency limit; set concurrency or concurrency_key on it"):
        limits.slots(add, 1, 2)


def test_a_limit_that_nobody_has_used_has_the_slots_of_its_start(backend: Any) -> None:
    assert limits.slots(task(concurrency=Adaptive(9, start=4))(add.func), 1, 2) == 4


def test_async_code_asks_for_slots_too(backend: Any) -> None:
    assert async_to_sync(limits.aslots)(task(concurrency=Adaptive(9))(add.func), 1, 2) == 1
