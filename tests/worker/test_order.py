"""In what order a worker asks its queues."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from django_backie.worker.banner import banner
from django_backie.worker.listener import ListenerThread, Wanted
from django_backie.worker.options import WorkerOptions
from django_backie.worker.order import drawn
from tests.app.tasks import add
from tests.helpers import drain

QUEUES = ("mail", "reports", "rest")


def test_without_weights_the_order_is_strict() -> None:
    assert {drawn(QUEUES, ()) for _ in range(50)} == {QUEUES}


def test_each_queue_comes_first_as_often_as_its_weight_says() -> None:
    dice = random.Random(7).random
    orders = [drawn(QUEUES, (6, 3, 1), dice) for _ in range(5000)]
    first = Counter(order[0] for order in orders)

    assert all(sorted(order) == sorted(QUEUES) for order in orders)
    assert first["mail"] == pytest.approx(3000, rel=0.1)
    assert first["reports"] == pytest.approx(1500, rel=0.1)
    assert first["rest"] == pytest.approx(500, rel=0.2)


def test_those_behind_the_first_are_drawn_by_weight_too() -> None:
    dice = random.Random(7).random
    second = Counter(order[1] for _ in range(8000) if (order := drawn(QUEUES, (6, 3, 1), dice))[0] == "mail")

    assert second["reports"] / second["rest"] == pytest.approx(3, rel=0.15)


def test_dice_that_show_nothing_are_no_error() -> None:
    assert sorted(drawn(QUEUES, (1e6, 1, 0.001), lambda: 0.0)) == sorted(QUEUES)


@pytest.mark.parametrize("wanted", [Wanted("w", 1, ()), Wanted("w", 1)], ids=["a turn", "a wait"])
def test_each_turn_draws_anew(broker: Any, monkeypatch: pytest.MonkeyPatch, wanted: Wanted) -> None:
    asked: list[tuple[str, ...]] = []

    def arguments(worker: str, endings: Any, limit: int, queues: Any, mode: str) -> Any:
        asked.append(tuple(queues))
        raise KeyboardInterrupt

    options = WorkerOptions(queues=QUEUES, weights=(1, 1, 1))
    thread = ListenerThread(broker, options, lambda heard: None)
    monkeypatch.setattr(broker, "turn_arguments", arguments)
    monkeypatch.setattr(broker, "turn", arguments)
    for _ in range(40):
        with pytest.raises(KeyboardInterrupt):
            thread._get(wanted) if wanted.is_wait else thread.turn(wanted)

    assert len({*asked}) > 3


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_worker_with_weights_serves_all_its_queues_and_no_other(backend: Any) -> None:
    for queue in (*QUEUES, "other"):
        add.using(queue_name=queue).delay_many([(1, 2)] * 5)

    drain(backend, queues=QUEUES, weights=(3, 2, 1))

    left = {queue: backend.broker.client.zcard(backend.broker.keys.queue(queue)) for queue in (*QUEUES, "other")}
    assert left == {"mail": 0, "reports": 0, "rest": 0, "other": 5}


def test_the_banner_names_the_weights(backend: Any) -> None:
    options = WorkerOptions(queues=("mail", "reports"), weights=(3, 0.5))

    assert "queues mail (3),reports (0.5)   alias" in banner(backend, options, [], verbosity=1)
    assert "queues mail,reports   alias" in banner(backend, WorkerOptions(queues=("mail", "reports")), [], verbosity=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "3,1"], "--weights needs --queues and one number for each of them, not 2 for 0 queues"),
        (["--queues", "a,b", "--weights", "3"], "not 1 for 2 queues"),
        (["--queues", "a,b", "--weights", "3,x"], "'x' is not a weight: a number from 0.001 to 1000000"),
        (["--queues", "a,b", "--weights", "3,0"], "'0' is not a weight"),
        (["--queues", "a,b", "--weights", "3,-1"], "'-1' is not a weight"),
        (["--queues", "a,b", "--weights", "3,nan"], "'nan' is not a weight"),
        (["--queues", "a,b", "--weights", "3,inf"], "'inf' is not a weight"),
        (["--queues", "a,b", "--weights", "3,"], "'' is not a weight"),
    ],
)
def test_weights_that_mean_nothing_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("runworker", *arguments)
