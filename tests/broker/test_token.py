"""token: who is no job may take from a rate limit as well."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker

from .support import HOUR, claim, ids_of, job


def test_tokens_are_taken_until_there_are_none(broker: RedisBroker) -> None:
    assert [broker.token("r1", HOUR, 2) for _ in range(2)] == [0.0, 0.0]

    assert HOUR - 10 < broker.token("r1", HOUR, 2) <= HOUR


def test_no_token_is_given_while_the_limit_is_held(broker: RedisBroker) -> None:
    broker.hold(["1"], 60.0)

    assert 50.0 < broker.token("r1", 1.0, 100) <= 60.0


def test_jobs_and_others_take_from_one_bucket(broker: RedisBroker) -> None:
    assert broker.token("r1", HOUR, 2) == 0.0
    broker.enqueue([job(job_id, limits="r1|3600000.000000|2") for job_id in "ab"])

    assert ids_of(claim(broker, 2)) == ["a"]
    assert broker.token("r1", HOUR, 2) > 0.0
