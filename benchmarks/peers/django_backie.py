"""django-backie, as users run it: ``runworker``, a line of log for each job."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.db import transaction

from benchmarks import bodies, databases, load, steps
from django_backie import task
from django_backie.duties.mirror import Mirror
from django_backie.duties.reconcile import Reconcile

LOAD = load.current()
CHUNK = 1000
NEVER = 86400.0

tasks = {
    name: task(body, durability=LOAD.durability)
    for name, body in (bodies.ASYNC if LOAD.style == "async" else bodies.SYNC).items()
}
turn, noop_of = (task(function, durability=LOAD.durability) for function in (bodies.turn, bodies.noop_of))
if LOAD.mirror == "paused":
    # There is no such setting. Everything else of the worker is as it is.
    Mirror.tick = lambda self: NEVER


def settings(load: load.Load) -> str:
    """Say how the worker is set."""
    words = {
        "noop": f"default settings, durability {load.durability}, mirror {load.mirror}",
        "waits": f"{'--async-concurrency' if load.style == 'async' else '--threads'} {load.width}, "
        f"durability {load.durability}, mirror {load.mirror}",
        "default": f"default settings (8 threads, 100 async), durability {load.durability}",
    }
    return words[load.kind]


def workers(load: load.Load) -> list[list[str]]:
    """Return the command line of the worker."""
    command = [sys.executable, "-m", "django", "runworker"]
    if load.processes:
        command += ["--processes", str(load.processes)]
    if load.kind == "waits":
        command += ["--async-concurrency" if load.style == "async" else "--threads", str(load.width)]
    return [command]


def prepare() -> dict[str, str]:
    """Give it an empty database and a server that it knows: the first worker on a new server compares all it finds."""
    versions = databases.prepare()
    Reconcile(_backend()).tick()
    return versions


def enqueue(body: str, *arguments: Any) -> None:
    """Make a job."""
    tasks[body].delay(*arguments)


def enqueue_many(body: str, calls: Sequence[tuple[Any, ...]]) -> None:
    """Make many, a thousand at a time."""
    for start in range(0, len(calls), CHUNK):
        tasks[body].delay_many(calls[start : start + CHUNK])


def fill_for_tenants(big: int, others: int, each: int, is_fair: bool) -> None:
    """Make many jobs of tenant 0, then some of each other one."""
    calls = [(0,)] * big + [(tenant,) for tenant in range(1, others + 1) for _ in range(each)]
    made = turn.using(fair_by="tenant") if is_fair else turn
    for start in range(0, len(calls), CHUNK):
        made.delay_many(calls[start : start + CHUNK])


def fill_groups(jobs: int, groups: int) -> None:
    """Make no-ops of so many groups, one after the other; of none where it is 0."""
    made = noop_of.using(fair_by="tenant") if groups else noop_of
    for start in range(0, jobs, CHUNK):
        made.delay_many([(number % max(groups, 1),) for number in range(start, min(start + CHUNK, jobs))])


def in_transactions(count: int, size: int, what: str) -> dict[str, float]:
    """Open ``count`` transactions, in each make ``size`` jobs, or rows like theirs; return seconds.

    ``inside`` are those before the commits, ``wall`` and ``cpu`` are all.
    """
    pattern = _pattern() if what == "rows" else {}
    inside, began, cpu = 0.0, time.perf_counter(), time.process_time()
    for _ in range(count):
        entered = time.perf_counter()
        with transaction.atomic():
            for _ in range(size):
                if what == "rows":
                    _insert(pattern)
                else:
                    enqueue("noop")
            inside += time.perf_counter() - entered
    return {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu, "inside": inside}


def _pattern() -> dict[str, Any]:
    """Return the values of a job's row, but its key."""
    result = tasks["noop"].delay()
    row = apps.get_model("django_backie", "Job").objects.get(pk=result.id)
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key}


def _insert(values: dict[str, Any]) -> None:
    apps.get_model("django_backie", "Job")(**values).save(force_insert=True)


def offer(rate: int, seconds: float, pause: float) -> dict[str, float]:
    """Make ``rate`` jobs a second, some at each pause; return how many, and the CPU seconds of it."""
    began, cpu, made = time.perf_counter(), time.process_time(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        due = int(min(elapsed, seconds) * rate) - made
        tasks["noop"].delay_many([()] * due)
        made += due
        time.sleep(max(0.0, pause - (time.perf_counter() - began - elapsed)))
    return {"jobs": made, "wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}


def unmirrored_age() -> float:
    """Return how many seconds ago the oldest change was made that the database does not know yet; 0 if it knows all."""
    oldest = _broker().take(1)
    return max(0.0, time.time() - oldest[0].version / 1000) if oldest else 0.0


def rows() -> int:
    """Return the number of jobs that have succeeded by the database."""
    return int(apps.get_model("django_backie", "Job").objects.filter(state="SUCCESSFUL").count())


def forget_unmirrored() -> None:
    """Make Redis believe that everything has been mirrored."""
    broker = _broker()
    broker.client.delete(broker.keys["d"])


def _broker() -> Any:
    return _backend().broker


def _backend() -> Any:
    return tasks["noop"].get_backend()


def steps_of_python(has_policies: bool) -> dict[str, float]:
    """Return the cost of each step in Python."""
    return steps.of_python(_measured(has_policies), takes_number=has_policies)


def steps_of_scripts(has_policies: bool) -> dict[str, float]:
    """Return the cost of each script."""

    def server_cpu() -> float:
        cpu = _broker().client.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"])

    return steps.of_scripts(_measured(has_policies), server_cpu, takes_number=has_policies)


def _measured(has_policies: bool) -> Any:
    """Return a no-op: as it comes, or with all that can be decided for it, each job with keys of its own."""
    if not has_policies:
        return tasks["noop"]
    return noop_of.using(
        unique=True,
        concurrency_key="tenant",
        rate_limit="100000/s",
        rate_key="tenant",
        fair_by="tenant",
        fair_weight=2,
        expires=3600,
        retry_for=[ValueError],
        backoff=[1, 2],
        timeout=5,
        hard_timeout=10,
    )


OWN = (
    fill_for_tenants,
    fill_groups,
    steps_of_python,
    steps_of_scripts,
    prepare,
    in_transactions,
    offer,
    unmirrored_age,
    rows,
    forget_unmirrored,
)
VERBS = databases.VERBS | {verb.__name__: verb for verb in OWN}
