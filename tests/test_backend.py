"""The django.tasks backend: any decorator, resolved options, bad input, results."""

from __future__ import annotations

import importlib
import importlib.util
import threading
from datetime import timedelta
from typing import Any

import django
import pytest
from django.core.checks import run_checks
from django.test import override_settings

from django_backie import Task, base_backend, compat, registry, task
from django_backie.backend import RedisBackend
from django_backie.base_backend import MOST_PLANS
from django_backie.broker.redis import broker_for
from django_backie.core.options import Options
from django_backie.core.states import State
from django_backie.exceptions import (
    BrokerUnavailable,
    ConfigurationError,
    PayloadTooLarge,
    UnreadableBody,
    UnserializableValue,
)
from django_backie.models import Job
from tests.contract_tasks import note, plain, spread
from tests.helpers import drain, empty, mirror

pytestmark = pytest.mark.django_db(databases=["default", "other"])


@pytest.fixture(autouse=True)
def _registry(monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    monkeypatch.setattr(registry, "_rivals", dict(registry._rivals))


def decorator() -> Any:
    """Return django.tasks' own decorator, of core or of the backport."""
    return importlib.import_module(compat.Task.__module__.removesuffix(".base")).task


def options_of(backend: Any, mine: Any) -> Options:
    """Return the options that travel with a job of a task."""
    result = mine.using(durability="now").enqueue() if isinstance(mine, Task) else mine.enqueue()
    body = backend.broker.inspect([result.id])[result.id].body
    return backend.unpack(result.id, body).options  # type: ignore[no-any-return]


def task_queue(backend: Any, job_id: str) -> str:
    """Return the queue that a job's body names."""
    return backend.unpack(job_id, backend.broker.inspect([job_id])[job_id].body).queue  # type: ignore[no-any-return]


class Shy:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class TestDjangosDecorator:
    def test_it_gives_our_task(self, backend: Any) -> None:
        mine = decorator()(plain)
        assert type(mine) is Task
        assert not mine.native

    def test_such_jobs_run_once_by_default(self, backend: Any) -> None:
        assert options_of(backend, decorator()(plain)).max_attempts == 1
        assert options_of(backend, task(plain)).max_attempts == 5

    @pytest.mark.skipif((6, 0) <= django.VERSION < (6, 1), reason="Django 6.0's decorator takes no further keywords")
    def test_our_options_can_be_given_to_it(self, backend: Any) -> None:
        mine = decorator()(max_attempts=3, timeout=7, backoff=2)(plain)
        assert options_of(backend, mine) == Options(max_attempts=3, timeout=7, backoff=2)

    def test_using_gives_them_everywhere(self, backend: Any) -> None:
        assert options_of(backend, decorator()(plain).using(max_attempts=4)).max_attempts == 4

    def test_its_jobs_run(self, backend: Any) -> None:
        result = decorator()(priority=3)(plain).using(durability="now").enqueue(value=4)
        drain(backend)
        result.refresh()
        assert result.return_value == 4

    def test_a_task_of_another_backend_can_be_moved_here(self, backend: Any, settings: Any) -> None:
        home = compat.Task.__module__.removesuffix(".base")
        theirs = {"BACKEND": f"{home}.backends.dummy.DummyBackend"}
        settings.TASKS = {**settings.TASKS, "theirs": theirs}
        foreign = decorator()(backend="theirs")(plain)
        assert type(foreign) is compat.Task
        moved = foreign.using(backend="now")
        result = moved.enqueue(5)
        drain(compat.get_backend("now"))
        assert moved.get_result(result.id).return_value == 5


@pytest.mark.skipif(
    not (django.VERSION >= (6, 0) and importlib.util.find_spec("django_tasks")),
    reason="needs Django 6 with the backport installed beside it",
)
class TestBackportBesideCore:
    """An app like Wagtail defines its tasks through the backport also on Django 6."""

    @pytest.fixture
    def old(self, backend: Any, settings: Any) -> Any:
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "django_tasks"]
        module = importlib.import_module("tests.backport_tasks")
        for known in (module.old, module.old_context, module.aold):
            registry.register(known.job_name, known)
        return module

    def test_its_tasks_are_ours(self, old: Any) -> None:
        assert type(old.old) is Task
        assert (old.old_context.priority, old.old_context.queue_name) == (5, "old")

    def test_its_jobs_run(self, backend: Any, old: Any, django_capture_on_commit_callbacks: Any) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            results = [old.old.enqueue(1), old.old_context.enqueue(2), old.aold.enqueue(3)]
        drain(backend)
        for result in results:
            result.refresh()
        assert [result.return_value for result in results] == [1, [1, results[1].id, 2], 3]
        assert all(result.status == "SUCCESSFUL" and result.attempts == 1 for result in results)

    def test_results_are_found_by_both_worlds(self, backend: Any, old: Any) -> None:
        result = old.old.using(durability="now").enqueue(1)
        backport = importlib.import_module("django_tasks")
        assert old.old.get_result(result.id) == backport.task_backends["default"].get_result(result.id)

    def test_checks_have_no_complaints(self, old: Any) -> None:
        assert [message for message in run_checks() if "tasks" in str(message.id)] == []


class TestOptions:
    def test_the_call_beats_the_task_beats_the_settings(self, backend: Any, settings: Any) -> None:
        options = {**settings.TASKS["default"]["OPTIONS"], "MAX_ATTEMPTS": 7, "BACKOFF": [1, 2], "TIMEOUT": 9}
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
        mine = compat.get_backend("default")
        assert options_of(mine, decorator()(plain)) == Options(max_attempts=7, backoff=(1.0, 2.0), timeout=9)
        defined = task(max_attempts=3, timeout=5)(plain)
        assert options_of(mine, defined) == Options(max_attempts=3, backoff=(1.0, 2.0), timeout=5)
        assert options_of(mine, defined.using(max_attempts=2, backoff=4)) == Options(2, 4, 5)

    def test_the_defaults_are_those_of_the_documentation(self, backend: Any) -> None:
        assert options_of(backend, task(plain)) == Options(max_attempts=5, backoff=15.0, timeout=3600.0)

    def test_a_timeout_can_be_switched_off_in_the_settings(self, backend: Any, settings: Any) -> None:
        options = {**settings.TASKS["default"]["OPTIONS"], "TIMEOUT": None}
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
        assert options_of(compat.get_backend("default"), task(plain)).timeout is None

    def test_a_hard_timeout_of_the_call_beats_the_tasks_beats_the_settings(self, backend: Any, settings: Any) -> None:
        options = {**settings.TASKS["default"]["OPTIONS"], "TIMEOUT": 5, "HARD_TIMEOUT": 6}
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
        mine, defined = compat.get_backend("default"), task(hard_timeout=timedelta(minutes=1))(plain)
        assert options_of(mine, task(plain)).hard_timeout == 6
        assert options_of(mine, defined).hard_timeout == 60.0
        assert options_of(mine, defined.using(hard_timeout=90)).hard_timeout == 90

    def test_a_wrong_option_is_an_error_at_the_first_job_and_not_at_import(self, settings: Any) -> None:
        settings.TASKS = {"default": {"BACKEND": compat.BACKEND_PATH, "OPTIONS": {"NAMESPCE": "x"}}}
        mine = task(plain)
        with pytest.raises(ConfigurationError, match="unknown option 'NAMESPCE', did you mean 'NAMESPACE'"):
            mine.delay()

    def test_the_check_tells_the_same_with_an_id_and_a_hint(self, settings: Any) -> None:
        settings.TASKS = {"default": {"BACKEND": compat.BACKEND_PATH, "OPTIONS": {"NAMESPCE": "x", "LEASE": 1}}}
        messages = compat.get_backend("default").check()
        assert [message.id for message in messages] == ["django_backie.E001", "django_backie.E002"]
        assert all(message.hint for message in messages)

    def test_backends_of_one_configuration_share_their_connections(self, backend: Any) -> None:
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.append(compat.get_backend("default")))
        thread.start()
        thread.join()
        assert seen[0] is not backend
        assert seen[0].broker is backend.broker is broker_for(backend.config)

    def test_settings_may_change_under_a_test(self, backend: Any) -> None:
        with override_settings(TASKS={"default": {"BACKEND": "django_backie.testing.DummyBackend"}}):
            assert not isinstance(note.get_backend(), RedisBackend)
        assert isinstance(note.get_backend(), RedisBackend)


class TestWhatIsMadeOnce:
    """Of what a task's jobs have in common, nothing is worked out again for each of them."""

    @pytest.fixture
    def validated(self, backend: Any, monkeypatch: Any) -> list[Any]:
        """Return the tasks that are validated from now on."""
        seen: list[Any] = []
        validate = backend.validate_task
        monkeypatch.setattr(backend, "validate_task", lambda task: (seen.append(task), validate(task)))
        return seen

    def test_a_task_is_validated_once(self, backend: Any, validated: Any) -> None:
        mine = note.using(durability="now")
        validated.clear()
        for number in range(3):
            mine.delay(number)
        mine.delay_many([(number,) for number in range(3)])
        assert validated == [mine]

    def test_tasks_that_come_and_go_are_not_taken_for_each_other(self, backend: Any) -> None:
        """Their ids repeat: where one was freed, Python puts the next."""
        for number in range(2 * MOST_PLANS):
            result = note.using(durability="now", queue_name=f"queue{number}").delay(number)
            assert task_queue(backend, result.id) == f"queue{number}"

    def test_few_of_them_are_remembered(self, backend: Any) -> None:
        for number in range(2 * MOST_PLANS):
            note.using(durability="now").delay(number)
        assert len(backend._plans) <= MOST_PLANS

    def test_a_new_secret_key_counts_at_once(self, backend: Any, settings: Any) -> None:
        body = backend.broker.inspect([(first := note.using(durability="now").delay(1)).id])[first.id].body
        settings.SECRET_KEY = "another"
        with pytest.raises(UnreadableBody):
            backend.unpack(first.id, body)
        settings.SECRET_KEY_FALLBACKS = ["not a secret"]
        assert backend.unpack(first.id, body).args == [1]

    def test_arguments_are_made_readable_only_for_a_row(self, backend: Any, monkeypatch: Any) -> None:
        made: list[Any] = []
        monkeypatch.setattr(base_backend, "readable", lambda task, named, config: made.append(named) or named)
        note.using(durability="now").delay(1)
        note.using(durability="commit").delay(1)
        assert made == []
        note.delay(1)
        assert made == [{"value": 1}]


class TestSignals:
    """task_enqueued is sent where somebody would notice."""

    def test_djangos_own_log_line_is_written_at_its_level(self, backend: Any, caplog: Any) -> None:
        with caplog.at_level("DEBUG", logger=compat.LOGGER.name):
            result = note.using(durability="now").delay(1)
        assert [record.getMessage() for record in caplog.records if record.name == compat.LOGGER.name] == [
            f"Task id={result.id} path=tests.contract_tasks.note enqueued backend=default"
        ]

    def test_a_receiver_gets_the_handle_of_every_job(self, backend: Any) -> None:
        seen: list[Any] = []

        def receive(*, task_result: Any, **_: Any) -> None:
            seen.append(task_result)

        compat.task_signals.task_enqueued.connect(receive)
        results = note.using(durability="now").delay_many([(1,), (2,)])
        assert [id(handle) for handle in seen] == [id(handle) for handle in results]
        assert all(handle.enqueued_at for handle in seen)


class TestBadInput:
    @pytest.mark.parametrize(
        ("args", "kwargs", "where"),
        [
            ((object(),), {}, r"args of tests\.contract_tasks\.spread: <object .*at \[0\]"),
            (({"a": [1, {2}]},), {}, r"at \[0\]\['a'\]\[1\].*pass a list"),
            ((), {"when": float("nan")}, r"kwargs of tests\.contract_tasks\.spread: nan .*at \['when'\].*not JSON"),
            ((b"\xff",), {}, "base64"),
            (({(1, 2): 3},), {}, "must be a string"),
        ],
    )
    def test_an_argument_that_cannot_travel_is_named_with_its_place(
        self, backend: Any, args: Any, kwargs: Any, where: str
    ) -> None:
        with pytest.raises(TypeError, match=where) as caught:
            spread.delay(*args, **kwargs)
        assert isinstance(caught.value, UnserializableValue)
        assert Job.objects.count() == 0

    @pytest.mark.parametrize("value", [Shy(), 10**5000], ids=["no repr", "too many digits"])
    def test_so_is_one_that_cannot_even_be_shown(self, backend: Any, value: Any) -> None:
        with pytest.raises(UnserializableValue, match=r"at \[0\]"):
            note.delay(value)

    def test_a_model_instance_is_refused_with_the_way_out(self, backend: Any, django_user_model: Any) -> None:
        with pytest.raises(TypeError, match="pass its primary key"):
            note.delay(django_user_model(pk=1))

    def test_too_large_a_payload_names_size_and_limit(self, backend: Any) -> None:
        with pytest.raises(
            PayloadTooLarge, match=r"tests\.contract_tasks\.note take 14\d{4} bytes, more than the 131072"
        ):
            note.delay("x" * 140_000)
        assert Job.objects.count() == 0

    def test_with_queues_set_an_unknown_one_is_refused(self, backend: Any, settings: Any) -> None:
        settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default", "mail"]}}
        note.using(queue_name="mail")
        with pytest.raises(compat.InvalidTask, match="Queue 'post' is not valid for backend"):
            note.using(queue_name="post")

    def test_without_queues_any_name_will_do(self, backend: Any) -> None:
        result = note.using(queue_name="whatever: ünïcode", durability="now").delay(1)
        drain(backend)
        result.refresh()
        assert result.return_value == 1

    def test_a_task_is_validated_again_when_it_is_enqueued(self, backend: Any, settings: Any) -> None:
        mine = note.using(queue_name="post")
        settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default"]}}
        with pytest.raises(compat.InvalidTask, match="'post'"):
            mine.delay(1)
        with pytest.raises(compat.InvalidTask, match="'post'"):
            mine.enqueue(1)

    def test_a_missing_alias_is_named(self, backend: Any, settings: Any) -> None:
        settings.TASKS = {}
        with pytest.raises(compat.InvalidTaskBackend, match="'default' doesn't exist"):
            note.delay(1)


class TestResults:
    def test_without_a_mirror_an_unreachable_redis_is_said_so(self, settings: Any) -> None:
        options = {"URL": "redis://127.0.0.1:1/0", "DATABASES": [], "DURABILITY": "now"}
        settings.TASKS = {"default": {"BACKEND": compat.BACKEND_PATH, "OPTIONS": options}}
        with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1"):
            note.get_result("0199aaaa-0000-7000-8000-000000000000")

    def test_a_body_signed_with_another_key_shows_what_people_may_read(self, backend: Any, settings: Any) -> None:
        result = spread.using(durability="now").delay(password="hunter2", number=1)
        mirror(backend)
        settings.SECRET_KEY = "another"
        settings.TASKS = dict(settings.TASKS)
        found = compat.get_backend("default").get_result(result.id)
        assert "hunter2" not in str(found.kwargs)
        assert found.state is State.READY

    def test_a_former_key_is_read(self, backend: Any, settings: Any) -> None:
        result = note.using(durability="now").delay([7])
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        settings.TASKS = dict(settings.TASKS)
        mine = compat.get_backend("default")
        drain(mine)
        assert mine.get_result(result.id).return_value == [7]

    def test_a_task_that_is_gone_has_no_result(self, backend: Any, monkeypatch: Any) -> None:
        result = note.using(durability="now").delay(1)
        monkeypatch.delitem(registry._tasks, "tests.contract_tasks.note")
        with pytest.raises(compat.TaskResultDoesNotExist, match="no task is registered"):
            backend.get_result(result.id)

    def test_a_job_that_redis_forgot_is_found_in_its_row(self, backend: Any) -> None:
        result = note.using(durability="now").delay(1)
        mirror(backend)
        empty(backend)
        found = backend.get_result(result.id)
        assert (found.args, found.status, found.enqueued_at) == (result.args, "READY", result.enqueued_at)
