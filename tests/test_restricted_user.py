"""The package under an ACL user with the rights that the documentation names, and no other.

The server writes down what it refuses: that log must stay empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.urls import reverse

from django_backie import Broker, compat, control, queues
from django_backie.broker import epoch
from django_backie.core.states import State
from django_backie.duties.reconcile import Reconcile
from django_backie.duties.rota import duties_of
from django_backie.exceptions import BrokerError
from django_backie.models import Job

from . import restricted, servers
from . import settings as base_settings
from .app.tasks import aadd, add, fail
from .helpers import drain, mirror
from .lifecycle.conftest import Project, migrated, project  # noqa: F401 - fixtures
from .servers import Server

NAMESPACE = "shop"
# What the client library and Python code send, beside the scripts' own commands.
FROM_PYTHON = {"ping", "select", "info", "eval", "evalsha", "bzpopmin", "smembers", "get", "set", "zcard", "zrange"}
FROM_PYTHON |= {"hlen", "zrevrangebyscore"}
# The client library tells its name, and goes on where it may not.
TOLERATED = {"client|setinfo", "client"}

uses_databases = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def script_commands() -> set[str]:
    """Return every command that stands in a script."""
    lua = files("django_backie.broker") / "lua"
    scripts = [path for room in (lua, lua / "include") for path in room.iterdir() if path.name.endswith(".lua")]
    texts = [path.read_text() for path in scripts]
    found = (re.findall(r"""(?:redis\.p?call|call_in_chunks|call_for_each)\(["'](\w+)""", text) for text in texts)
    return {command.lower() for commands in found for command in commands}


def test_the_documented_commands_are_those_that_the_package_sends() -> None:
    assert restricted.commands() == script_commands() | FROM_PYTHON


def test_no_command_is_dangerous() -> None:
    with servers.server() as server, server.client() as client:
        dangerous = {word.decode() for word in client.execute_command("ACL", "CAT", "dangerous")}

    # INFO is among them: it tells of the whole server.
    assert restricted.commands() & dangerous == {"info"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server of our own."""
    with servers.server() as running:
        yield running


@pytest.fixture(params=["with INFO", "without INFO"])
def user(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """Return a user with the documented rights; nothing else must have been refused to it in the end."""
    name = request.param.replace(" ", "-")
    less = [] if request.param == "with INFO" else ["-info"]
    with server.client() as admin:
        admin.flushall()
        restricted.make_user(server, name, *less)
        admin.execute_command("ACL", "LOG", "RESET")
        yield name
        refused = {entry["object"] for entry in admin.acl_log()} - TOLERATED
        assert refused <= {word[1:] for word in less}
        assert [key for key in admin.scan_iter(count=1000) if not key.startswith(b"shop:")] == []


@pytest.fixture
def url(server: Server, user: str) -> str:
    """Return the URL of that user."""
    return server.url_as(user, restricted.PASSWORD)


@pytest.fixture
def backend(settings: Any, url: str) -> Any:
    """Return the default backend as that user."""
    settings.TASKS = {
        alias: {**params, "OPTIONS": {**params["OPTIONS"], "URL": url, "NAMESPACE": f"{NAMESPACE}:{alias}"}}
        for alias, params in base_settings.TASKS.items()
    }
    return compat.get_backend("default")


@uses_databases
def test_jobs_are_taken_run_mirrored_and_found(backend: Any) -> None:
    results = [*add.delay_many([(1, 2)] * 5), aadd.delay(3, 4), add.using(durability="now").delay(5, 6)]
    add.using(run_after=timedelta(hours=1)).delay(7, 8)
    fail.delay()
    drain(backend)
    for result in results:
        result.refresh()
    assert [result.return_value for result in results] == [3] * 5 + [7, 11]
    mirror(backend)
    assert Job.objects.filter(state="SUCCESSFUL").count() == 7


@uses_databases
def test_what_people_do_is_allowed(backend: Any, capsys: pytest.CaptureFixture[str]) -> None:
    hastened, cancelled, erased = (add.using(run_after=timedelta(hours=1)).delay(1, 2) for _ in range(3))
    mirror(backend)
    assert control.run_now([hastened.id]).done == (hastened.id,)
    assert control.cancel([cancelled.id]).done == (cancelled.id,)
    mirror(backend)
    assert control.retry([cancelled.id]).done == (cancelled.id,)
    assert control.erase([erased.id]) == 1
    call_command("backie", "stats")
    assert "2 ready" in capsys.readouterr().out
    queues.pause("default")
    assert (queues.move("default", "bulk").moved, queues.resume("default")) == (2, True)
    assert queues.purge("bulk") == 2


@uses_databases
def test_every_duty_is_allowed(backend: Any) -> None:
    add.delay(1, 2)
    for duty in duties_of(backend):
        duty.tick()
    backend.broker.join("w")
    backend.broker.turn("w", limit=1)
    backend.broker.renew({"w": []})
    backend.broker.stopping(["w"])
    assert backend.broker.bury("w") == 1


@uses_databases
def test_jobs_that_the_server_has_lost_come_back(backend: Any, server: Server, request: pytest.FixtureRequest) -> None:
    result = add.delay(1, 2)
    mirror(backend)
    duty = Reconcile(backend)
    duty.tick()
    with server.client() as admin:
        admin.flushall()
    if "without INFO" in request.node.name:
        assert epoch.look(backend.broker).identity is None
        Job.objects.update(enqueued_at="2026-01-01T00:00:00Z")
        duty = Reconcile(backend)
    duty.tick()
    assert backend.broker.missing([result.id]) == []


@uses_databases
def test_the_admin_shows_and_acts(backend: Any, admin_client: Any) -> None:
    job = Job.objects.get(pk=fail.delay().id)
    jobs, page = reverse("admin:django_backie_job_changelist"), reverse("admin:django_backie_job_change", args=[job.pk])
    assert [admin_client.get(address).status_code for address in (jobs, page)] == [200, 200]
    data = {"action": "cancel_jobs", "_selected_action": [str(job.pk)], "confirmed": "yes", "reason": "enough"}
    admin_client.post(jobs, data, follow=True)
    assert backend.broker.inspect([str(job.pk)])[str(job.pk)].record.state is State.CANCELLED


def test_the_plain_broker_needs_two_commands_more(backend: Any, user: str, server: Server) -> None:
    with pytest.raises(BrokerError, match="no permissions to run the 'lpush' command"):
        Broker().enqueue("item", "line")
    with server.client() as admin:
        admin.execute_command("ACL", "LOG", "RESET")
        admin.execute_command("ACL", "SETUSER", user, "+lpush", "+brpop")
    Broker().enqueue("item", "line")
    assert Broker().dequeue("line") == "item"


@pytest.mark.parametrize(
    "words", [["SET", "other", "1"], ["GET", "other"], ["EVAL", "redis.call('GET', 'other')", "0"]]
)
def test_the_user_may_not_leave_its_namespace(backend: Any, server: Server, words: list[str]) -> None:
    with pytest.raises(redis.exceptions.ResponseError, match=r"access .*key"):
        backend.broker.client.execute_command(*words)
    with server.client() as admin:
        admin.execute_command("ACL", "LOG", "RESET")


@pytest.mark.lifecycle
def test_runworker_runs_jobs(url: str, project: Project) -> None:  # noqa: F811
    project.environment["BACKIE_LIFECYCLE_REDIS"] = url
    project.environment["BACKIE_LIFECYCLE_OPTIONS"] = f'{{"NAMESPACE": "{NAMESPACE}"}}'
    project.run("add.delay_many([(1, 2)] * 20)")
    project.manage("runworker", "--no-reload", "--burst", "--processes", "2")
    assert project.states() == {"SUCCESSFUL": 20}
