"""Jobs of a paused task wait aside, at their own places, whatever queue they are in; all others go on."""

from __future__ import annotations

import json

import pytest

from django_backie.broker import inspect
from django_backie.broker.keys import pause_of_task
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Pause, Record
from django_backie.core.states import State

from .support import HOUR, claim, end, ids_of, job, jobs, lapse, make_due, marked, now_ms, order, record, woken

MAIL = pause_of_task("shop.mail")
ALWAYS = Pause(1.0, reason="provider is down", by="ann")


def mails(ids: str, **values: object) -> list:  # type: ignore[type-arg]
    return jobs(ids, **{"task": "shop.mail", **values})


def parked(broker: RedisBroker) -> set[str]:
    return set(broker.client.hkeys(broker.keys["lw"]))


@pytest.mark.parametrize("options", [{}, {"queues": ["default", "mail"], "mode": "only"}, {"queues": ["x"]}])
def test_other_tasks_go_on_in_all_queues(broker: RedisBroker, options: dict) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.enqueue([*mails("ab"), *jobs("c", task="shop.mailing"), *mails("d", queue="mail"), job("e", queue="mail")])

    assert ids_of(claim(broker, 2, **options)) == ["c", "e"]
    assert parked(broker) <= {"a", "b", "d"}
    assert claim(broker, 5, **options) == []
    assert parked(broker) == {"a", "b", "d"}


@pytest.mark.parametrize(
    "values",
    [
        {"unique": "e1"},
        {"limits": "c1|1"},
        {"unique": "e1|4000", "limits": "r1|4000.000000|2"},
        {"unique": "", "limits": ""},
    ],
)
def test_the_task_is_found_behind_what_opens_the_envelope(broker: RedisBroker, values: dict) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.enqueue(mails("a", **values))

    assert claim(broker) == []
    assert parked(broker) == {"a"}


def test_a_name_beyond_ascii_is_found(broker: RedisBroker) -> None:
    name = "shop.grüße"
    broker.pause(pause_of_task(name), ALWAYS)
    broker.enqueue([*jobs("a", task=json.dumps(name)[1:-1]), *jobs("b", task="shop.gr\\u00")])

    assert ids_of(claim(broker, 2)) == ["b"]
    assert inspect.parked_of_task(broker, name) == 1


def test_what_waits_is_ready_and_nothing_else_is_changed(broker: RedisBroker) -> None:
    broker.enqueue(mails("a"))
    before = marked(broker)["a"]
    broker.pause(MAIL, ALWAYS)

    assert claim(broker) == []
    assert record(broker, "a") == Record(State.READY)
    assert marked(broker)["a"] == before


def test_a_paused_job_is_looked_at_once(broker: RedisBroker) -> None:
    broker.enqueue(mails("abc"))
    broker.pause(MAIL, ALWAYS)
    claim(broker, 3)

    assert inspect.ready_counts(broker) == {"default": 0}


def test_after_the_pause_jobs_come_in_their_order(broker: RedisBroker) -> None:
    broker.enqueue([*mails("a"), job("b"), *mails("c", priority=5), *mails("d")])
    broker.pause(MAIL, ALWAYS)
    broker.enqueue([job("e")])
    assert ids_of(claim(broker, 1)) == ["b"]
    # Those that nobody has come across yet, and those aside.
    assert broker.resume(MAIL) is True

    assert order(broker) == ["c", "a", "d", "e"]
    assert parked(broker) == set()
    assert broker.resume(MAIL) is False


def test_a_resume_wakes_who_waits(broker: RedisBroker) -> None:
    broker.enqueue(mails("a"))
    broker.pause(MAIL, ALWAYS)
    listener = Listener(broker, ["default"], "only", longest=1.0)
    while woken(listener):
        claim(broker)
    broker.resume(MAIL)

    assert woken(listener)


def test_what_runs_ends_and_its_retry_waits(broker: RedisBroker) -> None:
    broker.enqueue(mails("ab"))
    first, second = claim(broker, 2)
    broker.pause(MAIL, ALWAYS)

    assert end(broker, first) == "OK"
    assert end(broker, second, State.RETRYABLE, delay=HOUR) == "OK"
    make_due(broker, "b")
    assert claim(broker) == []

    broker.resume(MAIL)
    assert order(broker) == ["b"]


def test_a_tick_ends_what_is_over(broker: RedisBroker) -> None:
    broker.enqueue(mails("a"))
    broker.pause(MAIL, ALWAYS)
    assert claim(broker) == []
    broker.pause(MAIL, Pause(1.0, until=2.0))
    broker.tick()

    assert broker.client.exists(broker.keys["p"]) == 0
    assert parked(broker) == set()
    assert order(broker) == ["a"]


def test_a_pause_is_over_when_its_time_has_come(broker: RedisBroker) -> None:
    """No tick is needed: it is looked for jobs that wait aside when the pause ends."""
    until = now_ms(broker) / 1000 + 5.0
    broker.pause(MAIL, Pause(1.0, until))
    broker.enqueue(mails("a"))
    assert claim(broker) == []
    assert broker.client.zscore(broker.keys["la"], "tshop.mail") == round(until * 1000)
    broker.pause(MAIL, Pause(1.0, until=now_ms(broker) / 1000))
    broker.client.zadd(broker.keys["la"], {"tshop.mail": 1})

    assert inspect.paused_tasks(broker) == {}
    assert order(broker) == ["a"]


def test_a_look_while_it_lasts_lets_nobody_in(broker: RedisBroker) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.enqueue(mails("a"))
    claim(broker)
    (before,) = broker.client.zrange(broker.keys["la"], 0, -1, withscores=True)
    broker.client.zadd(broker.keys["la"], {before[0]: 1})

    assert claim(broker) == []
    (after,) = broker.client.zrange(broker.keys["la"], 0, -1, withscores=True)
    assert after[0] == "tshop.mail"
    assert before[1] <= after[1] <= now_ms(broker) + 10_000


def test_a_resume_of_which_half_was_lost_is_made_good_by_a_look(broker: RedisBroker) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.enqueue(mails("a"))
    claim(broker)
    broker.client.hdel(broker.keys["p"], MAIL)
    broker.client.zadd(broker.keys["la"], {"tshop.mail": 1})

    assert order(broker) == ["a"]


def test_a_resume_lets_many_in_part_by_part(broker: RedisBroker) -> None:
    broker.enqueue([job(f"j{number:04}", task="shop.mail") for number in range(1100)])
    broker.pause(MAIL, ALWAYS)
    while inspect.ready_counts(broker)["default"]:
        assert claim(broker, 200) == []
    broker.resume(MAIL)
    assert inspect.ready_counts(broker) == {"default": 500}

    broker.tick()
    broker.client.delete(broker.keys["clk"])
    broker.tick()
    assert inspect.ready_counts(broker) == {"default": 1100}
    assert order(broker, 2000) == [f"j{number:04}" for number in range(1100)]


def test_cancelled_and_erased_jobs_do_not_come_back(broker: RedisBroker) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.enqueue(mails("abcd"))
    claim(broker, 4)

    assert broker.cancel(["a"]) == ["OK"]
    assert broker.erase(["b"]) == 1
    assert inspect.parked_of_task(broker, "shop.mail") == 2
    broker.resume(MAIL)
    assert order(broker) == ["c", "d"]


def test_jobs_of_a_lost_worker_wait_too(broker: RedisBroker) -> None:
    broker.enqueue(mails("a"))
    claim(broker)
    broker.pause(MAIL, ALWAYS)
    lapse(broker)
    broker.tick()

    assert claim(broker, worker="w2") == []
    assert parked(broker) == {"a"}


def test_a_paused_task_takes_no_room_from_others_of_a_limit(broker: RedisBroker) -> None:
    broker.enqueue(jobs("a", limits="c1|1", task="other"))
    (lease,) = claim(broker)
    broker.enqueue([*mails("bcd", limits="c1|1"), *jobs("e", limits="c1|1", task="other")])
    assert claim(broker, 5) == []
    broker.pause(MAIL, ALWAYS)
    assert end(broker, lease) == "OK"

    assert ids_of(claim(broker, 5)) == ["e"]
    assert inspect.parked_of_task(broker, "shop.mail") == 3


def test_everything_about_it_can_be_read_apart_from_queues(broker: RedisBroker) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.pause("shop.mail", Pause(2.0))

    assert inspect.pauses(broker) == {"shop.mail": Pause(2.0)}
    assert inspect.paused_tasks(broker) == {"shop.mail": ALWAYS}
    assert broker.resume("shop.mail") is True
    assert inspect.paused_tasks(broker) == {"shop.mail": ALWAYS}


def test_a_job_says_that_it_waits_for_its_task(broker: RedisBroker) -> None:
    broker.pause(MAIL, ALWAYS)
    broker.enqueue(mails("a"))
    claim(broker)

    assert inspect.waits_for(broker, "a") == inspect.Waiting("task")
