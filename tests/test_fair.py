"""Fairness from the task's options to the worker: groups, weights, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from django_backie import BaseTask, compat, control, queues, task
from django_backie.core import codec, head
from django_backie.core.job import Job
from django_backie.core.signer import Signer
from django_backie.core.states import State
from django_backie.exceptions import InvalidOption, UnserializableValue
from tests.app.fair import export, send, weigh
from tests.app.tasks import add
from tests.helpers import drain, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def group_of(backend: Any, made: Any) -> str:
    return head.group_of(backend.broker.inspect([made.id])[made.id].body)


def order(backend: Any) -> list[list[Any]]:
    """Take all ready jobs, and return their arguments."""
    return [backend.unpack(one.id, one.body).args for one in lease(backend)]


def test_one_tenant_with_many_jobs_does_not_delay_the_one_of_another(backend: Any) -> None:
    export.delay_many([("big", number) for number in range(50)])
    export.delay("small")

    assert order(backend)[:3] == [["big", 0], ["small"], ["big", 1]]


def test_jobs_of_one_transaction_take_turns(backend: Any) -> None:
    with transaction.atomic():
        for number in range(3):
            export.delay("big", number)
        export.enqueue("small")

    assert order(backend) == [["big", 0], ["small"], ["big", 1], ["big", 2]]


def test_a_group_is_the_same_however_the_argument_is_given(backend: Any) -> None:
    groups = {group_of(backend, made) for made in (export.delay("a"), export.delay(tenant="a", number=3))}

    assert len(groups) == 1
    assert group_of(backend, export.delay("b")) not in groups


def test_tasks_that_name_the_same_argument_share_their_groups(backend: Any) -> None:
    first, second = group_of(backend, export.delay("a")), group_of(backend, weigh.delay("a"))

    assert first.partition("|")[0] == second.partition("|")[0]
    assert (first.partition("|")[2], second.partition("|")[2]) == ("1", "2")


def test_functions_get_the_arguments(backend: Any) -> None:
    first, second, other = (send.delay(address) for address in ("ann@a.example", "bo@a.example", "cy@b.example"))

    assert group_of(backend, first).partition("|")[0] == group_of(backend, second).partition("|")[0]
    assert group_of(backend, first).partition("|")[0] != group_of(backend, other).partition("|")[0]
    assert [group_of(backend, one)[-1] for one in (first, second)] == ["3", "2"]


def test_a_call_may_have_a_group_and_a_weight_of_its_own(backend: Any) -> None:
    made = add.using(fair_by=["a"], fair_weight=7).delay(1, 2)

    assert group_of(backend, made).endswith("|7")
    assert group_of(backend, export.using(fair_by="number").delay("a")) != group_of(backend, export.delay("a"))
    assert group_of(backend, add.delay(1, 2)) == ""


class Report(BaseTask):
    task_name = "fair report"
    queue_name = "default"
    fair_by = "tenant"
    fair_weight = 3

    def run(self, tenant: int) -> None:
        """Do nothing."""


def test_the_classes_of_a_project_are_fair_too(backend: Any) -> None:
    assert group_of(backend, Report().delay(1)).endswith("|3")


def test_fair_jobs_run_to_their_end(backend: Any) -> None:
    made = export.delay_many([(tenant, number) for tenant in "abc" for number in range(40)])
    drain(backend, threads=4)
    mirror(backend)

    for one in made:
        one.refresh()
    assert [one.return_value for one in made] == [number for _ in "abc" for number in range(40)]
    assert not list(backend.broker.client.scan_iter(f"{backend.broker.keys['gl:']}*"))


def test_a_scheduled_job_takes_its_turn_when_it_is_due(backend: Any) -> None:
    export.delay_many([("big", number) for number in range(3)])
    late = export.using(run_after=timedelta(hours=1)).delay("big", 9)
    control.run_now([late.id])
    export.delay("small")

    assert order(backend)[-1] == ["big", 9]


def test_a_queue_with_groups_is_purged_to_the_last_job(backend: Any) -> None:
    export.delay_many([(tenant, number) for tenant in "ab" for number in range(150)])

    assert queues.purge("default") == 300
    assert order(backend) == []


def test_a_queue_with_groups_is_moved_with_their_turns(backend: Any) -> None:
    export.delay_many([("big", number) for number in range(120)])
    export.delay("small")

    assert queues.move("default", "mail").moved == 121
    assert order(backend)[:3] == [["big", 0], ["small"], ["big", 1]]


def test_a_group_with_limits_of_its_own_may_have_both(backend: Any) -> None:
    limited = export.using(concurrency_key="tenant")
    limited.delay_many([("big", 1), ("big", 2), ("small", 3)])

    assert order(backend) == [["big", 1], ["small", 3]]


def test_a_body_with_group_limits_and_key_is_read_back_as_it_was() -> None:
    signer = Signer.of(["secret"])
    job = Job("i", "t", "default", unique="e1", limits="c1|1", group="a1|2", args=['"i":"b2|9"'])
    packed = codec.pack(job, signer, 1000)

    assert codec.unpack("i", packed.body, signer) == job
    assert head.group_of(packed.body) == "a1|2"
    assert head.limits_of(packed.body) == "c1|1"
    assert packed.body.startswith("1fl\n")
    plain = codec.pack(job._replace(group="", limits=""), signer, 1000)
    assert head.group_of(plain.body) == ""


# What is refused, and where.


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fair_by": "tennant"}, "fair_by names 'tennant', which is no argument of it, did you mean 'tenant'"),
        ({"fair_by": 3}, "fair_by: its key is 3"),
        ({"fair_by": "tenant", "fair_weight": 0}, "fair_weight is 0, it must be a whole number from 1 to 100"),
        ({"fair_by": "tenant", "fair_weight": 101}, "fair_weight is 101"),
        ({"fair_by": "tenant", "fair_weight": True}, "fair_weight is True"),
        ({"fair_weight": 2}, "set both"),
    ],
)
def test_what_cannot_work_is_refused_at_import(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidOption, match=said.replace("(", r"\(")):
        task(**options)(_of_a_tenant)


def _of_a_tenant(tenant: str) -> None:
    """Do nothing."""


async def _later(tenant: str) -> int:
    return 1


@pytest.mark.parametrize("option", ["fair_by", "fair_weight"])
def test_async_functions_are_refused(option: str) -> None:
    with pytest.raises(InvalidOption, match="async"):
        task(**{"fair_by": "tenant", option: _later})(_of_a_tenant)  # type: ignore[arg-type]


def test_a_function_that_returns_no_weight_refuses_the_call(backend: Any) -> None:
    with pytest.raises(InvalidOption, match="fair_weight is 0"):
        send.delay("@a.example")
    assert order(backend) == []


def test_a_key_that_raises_refuses_the_call_in_the_caller(backend: Any) -> None:
    with pytest.raises(AttributeError):
        send.delay(3)  # type: ignore[arg-type]
    with pytest.raises(UnserializableValue):
        add.using(fair_by="a").delay(object(), 2)
    assert order(backend) == []


def test_functions_do_not_travel(backend: Any) -> None:
    with pytest.raises(InvalidOption, match="set fair_by on the task"):
        export.using(fair_by=lambda tenant: tenant)


def test_the_settings_of_a_group_survive_redis(backend: Any) -> None:
    """What is lost comes back from its row with its group."""
    made = export.delay_many([("big", 1), ("big", 2), ("small", 3)])
    body = compat.get_backend("default").unpack(made[0].id, backend.broker.inspect([made[0].id])[made[0].id].body)
    backend.broker.erase([])
    assert body.group
    assert backend.broker.inspect([made[0].id])[made[0].id].record.state is State.READY
