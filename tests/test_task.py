"""Task and its decorator: definition, options, calls."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_backie import Task, compat, registry, task
from django_backie.exceptions import InvalidArguments, InvalidOption
from django_backie.testing import Capture
from django_backie.testing.plugin import backie
from tests import contract_tasks
from tests.app.tasks import aadd, add, attempt_of
from tests.contract_tasks import Holder, about, nameless, note, plain, spread

__all__ = ["backie"]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: Any) -> None:
    """Forget the tasks that a test defines."""
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    monkeypatch.setattr(registry, "_rivals", {})


class TestDefinition:
    def test_the_bare_decorator_gives_a_task_with_djangos_defaults(self) -> None:
        assert isinstance(note, Task)
        assert isinstance(note, compat.Task)
        assert (note.priority, note.queue_name, note.backend) == (0, "default", "default")
        assert (note.run_after, note.takes_context) == (None, False)

    def test_the_called_decorator_takes_options(self) -> None:
        mine = task(
            queue_name="mail",
            priority=-5,
            max_attempts=2,
            backoff=[1, 5],
            timeout=3,
            durability="now",
            sensitive=["value"],
        )(plain)
        assert (mine.queue_name, mine.priority, mine.max_attempts) == ("mail", -5, 2)
        assert (mine.backoff, mine.timeout, mine.durability, mine.sensitive) == ((1, 5), 3, "now", ("value",))

    def test_the_name_of_a_job_is_the_path_of_the_function(self) -> None:
        assert note.job_name == note.module_path == "tests.contract_tasks.note"
        assert note.name == "note"
        assert registry.get("tests.contract_tasks.note") is note

    def test_tasks_are_hashable_and_compare_by_value(self) -> None:
        same = note.using()
        assert same == note
        assert same is not note
        assert len({note, same, note.using(priority=1), note.using(backoff=[1])}) == 3

    def test_the_first_of_our_aliases_is_the_default(self, settings: Any) -> None:
        settings.TASKS = {
            "web": {"BACKEND": "django_backie.testing.DummyBackend"},
            "default": {"BACKEND": "django_backie.testing.ImmediateBackend"},
        }
        assert task(plain).backend == "web"

    def test_without_an_alias_of_ours_there_is_one_anyway(self, settings: Any) -> None:
        settings.TASKS = {}
        mine = task(plain)
        assert mine.backend == "backie"
        assert mine.get_backend().alias == "backie"

    @pytest.mark.parametrize("wrong", [nameless, Holder.method, Holder().method, len, int])
    def test_what_a_worker_could_not_find_is_refused(self, wrong: Any) -> None:
        with pytest.raises(compat.InvalidTask, match=r"must be defined at (a|the) module level"):
            task(wrong)

    def test_a_nested_function_is_refused(self) -> None:
        def nested() -> None: ...

        with pytest.raises(compat.InvalidTask, match=r"must be defined at (a|the) module level"):
            task(nested)

    def test_a_context_must_be_called_context(self) -> None:
        with pytest.raises(compat.InvalidTask, match="first argument of 'context'"):
            task(takes_context=True)(plain)


OPTIONS = [
    ({"priority": 101}, compat.InvalidTask, "whole number between -100 and 100"),
    ({"priority": -101}, compat.InvalidTask, "whole number between -100 and 100"),
    ({"priority": 3.1}, compat.InvalidTask, "whole number between -100 and 100"),
    ({"queue_name": ""}, compat.InvalidTask, "Queue name must be 1 to 100 printable characters, not ''"),
    ({"queue_name": "a\nb"}, compat.InvalidTask, "printable"),
    ({"queue_name": "x" * 101}, compat.InvalidTask, "1 to 100"),
    ({"queue_name": 7}, compat.InvalidTask, "not 7"),
    ({"backend": "unknown"}, compat.InvalidTaskBackend, "The connection 'unknown' doesn't exist"),
    ({"max_attempts": 0}, InvalidOption, "max_attempts is 0"),
    ({"max_attempts": True}, InvalidOption, "max_attempts is True"),
    ({"max_attempts": "3"}, InvalidOption, "max_attempts is '3'"),
    ({"backoff": -1}, InvalidOption, "backoff is -1"),
    ({"backoff": []}, InvalidOption, r"backoff is \[\]"),
    ({"backoff": ["1"]}, InvalidOption, "'1' is not a number"),
    ({"timeout": 0}, InvalidOption, "timeout is 0"),
    ({"hard_timeout": "1m"}, InvalidOption, "hard_timeout is '1m'"),
    (
        {"timeout": 9, "hard_timeout": 9},
        InvalidOption,
        "hard_timeout is 9 and timeout is 9: the hard one must be larger",
    ),
    ({"timeout": dt.timedelta(minutes=1), "hard_timeout": 30}, InvalidOption, "hard_timeout is 30 and timeout is 60.0"),
    ({"durability": "later"}, InvalidOption, "durability is 'later', it must be one of 'outbox', 'commit', 'now'"),
    ({"sensitive": "card"}, InvalidOption, "sensitive is 'card'"),
]


class TestWrongOptions:
    @pytest.mark.parametrize(("options", "error", "words"), OPTIONS)
    def test_the_decorator_refuses_them(self, options: Any, error: Any, words: str) -> None:
        with pytest.raises(error, match=words):
            task(**options)(plain)

    @pytest.mark.parametrize(("options", "error", "words"), [case for case in OPTIONS if "" not in case[0].values()])
    def test_so_does_using(self, options: Any, error: Any, words: str) -> None:
        with pytest.raises(error, match=words):
            note.using(**options)

    def test_an_unknown_option_is_refused_with_the_nearest_one(self) -> None:
        with pytest.raises(InvalidOption, match="unknown option 'max_attempt', did you mean 'max_attempts'"):
            task(max_attempt=3)(plain)  # type: ignore[call-overload]
        with pytest.raises(InvalidOption, match="unknown option 'que_name', did you mean 'queue_name'"):
            note.using(que_name="x")  # type: ignore[call-arg]

    def test_run_after_belongs_to_the_call(self) -> None:
        with pytest.raises(InvalidOption, match=r"run_after cannot be set on the task; use \.using\(run_after"):
            task(run_after=timezone.now())(plain)  # type: ignore[call-overload]

    def test_wrong_options_are_type_errors(self) -> None:
        assert issubclass(InvalidOption, TypeError)
        assert issubclass(InvalidArguments, TypeError)


class TestUsing:
    def test_a_chain_keeps_every_field(self) -> None:
        due = timezone.now()
        mine = (
            note.using(priority=1)
            .using(queue_name="q")
            .using(run_after=due)
            .using(backend="now")
            .using(database="other")
            .using(max_attempts=9, backoff=2, timeout=4)
            .using(hard_timeout=dt.timedelta(seconds=9))
            .using(durability="now", sensitive=True)
        )
        expected = {
            "priority": 1,
            "queue_name": "q",
            "run_after": due,
            "backend": "now",
            "database": "other",
            "max_attempts": 9,
            "backoff": 2,
            "timeout": 4,
            "hard_timeout": 9.0,
            "durability": "now",
            "sensitive": True,
        }
        assert {name: getattr(mine, name) for name in expected} == expected
        assert mine.func is note.func

    def test_the_task_itself_does_not_change(self) -> None:
        before = dataclasses.asdict(note)
        note.using(priority=9, max_attempts=1)
        assert dataclasses.asdict(note) == before

    def test_a_task_with_a_context_keeps_it(self) -> None:
        assert about.using(priority=1).takes_context

    def test_a_naive_time_is_refused_where_time_zones_are_used(self) -> None:
        with pytest.raises(compat.InvalidTask, match="run_after must be an aware datetime"):
            note.using(run_after=dt.datetime(2030, 1, 1))

    def test_a_number_is_no_time(self) -> None:
        with pytest.raises(compat.InvalidTask, match="a datetime or a timedelta, 3600 is not"):
            note.using(run_after=3600)  # type: ignore[arg-type]

    def test_a_relative_time_counts_from_the_enqueueing(self, backie: Capture, monkeypatch: Any) -> None:
        prepared = note.using(run_after=dt.timedelta(minutes=5))
        assert prepared.run_after == dt.timedelta(minutes=5)
        before = timezone.now() - dt.timedelta(milliseconds=1)
        result = prepared.delay()
        assert before < result.task.get_result(result.id).enqueued_at
        (job,) = backie._captured
        due = dt.datetime.fromtimestamp(job.job.packed.run_after or 0, dt.UTC)
        assert dt.timedelta(minutes=5) <= due - before < dt.timedelta(minutes=5, seconds=5)


class TestCalls:
    def test_calling_the_task_runs_the_function(self) -> None:
        assert add(1, 2) == 3
        assert add.call(1, b=2) == 3
        assert asyncio.run(add.acall(1, 2)) == 3

    def test_calling_an_async_task_gives_a_coroutine(self) -> None:
        assert asyncio.run(aadd(1, 2)) == 3
        assert asyncio.run(aadd.acall(1, 2)) == 3
        assert aadd.call(1, 2) == 3

    def test_the_context_is_no_argument_of_the_caller(self, backie: Capture) -> None:
        assert list(attempt_of.signature.parameters) == []
        with pytest.raises(InvalidArguments, match=r"attempt_of\(\)"):
            attempt_of.delay(1)  # type: ignore[call-arg]

    @pytest.mark.parametrize(
        ("args", "kwargs", "words"),
        [
            ((1,), {}, "missing a required argument: 'b'"),
            ((1, 2, 3), {}, "too many positional arguments"),
            ((1, 2), {"c": 3}, "unexpected keyword argument 'c'"),
            ((1, 2), {"a": 3}, "multiple values for argument 'a'"),
        ],
    )
    def test_arguments_that_do_not_fit_name_task_and_signature(
        self, backie: Capture, args: Any, kwargs: Any, words: str
    ) -> None:
        for call in (add.delay, add.enqueue):
            with pytest.raises(TypeError, match=words) as caught:
                call(*args, **kwargs)
            assert "tests.app.tasks.add(a: " in str(caught.value)
        assert backie.jobs == []

    def test_delay_many_takes_tuples_and_mappings(self, backie: Capture) -> None:
        results = add.delay_many([(1, 2), {"a": 3, "b": 4}, [5, 6]])
        assert [(result.args, result.kwargs) for result in results] == [
            ([1, 2], {}),
            ([], {"a": 3, "b": 4}),
            ([5, 6], {}),
        ]

    @pytest.mark.parametrize("wrong", ["12", b"12", 12, None])
    def test_delay_many_refuses_what_is_no_call(self, backie: Capture, wrong: Any) -> None:
        with pytest.raises(InvalidArguments, match="a tuple of arguments"):
            add.delay_many([(1, 2), wrong])
        assert backie.jobs == []

    def test_delay_many_takes_any_iterable(self, backie: Capture) -> None:
        assert len(add.delay_many((number, 1) for number in range(3))) == 3

    def test_each_job_has_an_id_of_its_own_in_order_of_time(self, backie: Capture) -> None:
        ids = [result.id for result in note.delay_many([()] * 50)]
        assert len(set(ids)) == 50
        assert all(len(job_id) == 36 and job_id[14] == "7" for job_id in ids)

    def test_keyword_arguments_may_have_the_names_of_our_parameters(self, backie: Capture) -> None:
        result = spread.delay(task=1, args=2, kwargs=3, backend=4, calls=5)
        assert result.kwargs == {"task": 1, "args": 2, "kwargs": 3, "backend": 4, "calls": 5}
        spread.enqueue(task=1, args=2, kwargs=3)
        spread.call(task=1, args=2)

    def test_the_result_belongs_to_the_task_as_it_was_called(self, backie: Capture) -> None:
        mine = note.using(priority=3)
        assert mine.delay().task == mine

    def test_a_task_moved_to_a_backend_of_somebody_else_can_be_enqueued(self, settings: Any) -> None:
        home = compat.Task.__module__.removesuffix(".base")
        settings.TASKS = {**settings.TASKS, "theirs": {"BACKEND": f"{home}.backends.dummy.DummyBackend"}}
        theirs = note.using(backend="theirs")
        result = theirs.delay(1)
        assert [kept.id for kept in compat.get_backend("theirs").results] == [result.id]
        assert len(theirs.delay_many([(1,), {"value": 2}])) == 2


def test_the_module_still_defines_what_the_tests_refuse() -> None:
    assert contract_tasks.plain() == 0
