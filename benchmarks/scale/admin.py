"""Every page of the admin over a table of two million rows: how many queries, how long in the database.

    python -m benchmarks.scale.admin [--rows 2000000] [--keep] [--partitioned]

PostgreSQL is that of the tests (BACKIE_TEST_PG_HOST, _PORT, _USER, _PASSWORD); a database of our own is made there,
filled, and dropped in the end. The table is warm: it has just been written, and each page is asked for several times.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.scale.settings")
    django.setup()

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.urls import reverse

from django_backie.admin.filters import WINDOWS
from django_backie.models import Job, JobState

from . import table, tasks

ROWS = 2_000_000
LIST = "/admin/django_backie/job/"
REPEATS = 5
# Of the combinations of three filters, one in so many.
TRIPLES = 7
LIMIT_MS, LIMIT_QUERIES = 100.0, 12

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Page:
    """An address of the admin, and the kind of page it stands for."""

    kind: str
    url: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""

    def __str__(self) -> str:
        return self.words or " ".join(f"{name}={value}" for name, value in self.parameters.items())


@dataclass(frozen=True)
class Row:
    """What the slowest page of a kind costs."""

    kind: str
    pages: int
    queries: int
    ms: float
    slowest: str
    slowest_query_ms: float


def run(rows: int = ROWS, *, keep: bool = False, partitioned: bool = False, progress: Progress = print) -> list[Row]:
    """Make the table, ask for every page of every kind, and return one row a kind, the slowest page of each.

    ``keep`` uses a table of that size that is there, and leaves it for the next time.
    """
    if not keep:
        with table.filled(rows, progress, partitioned=partitioned):
            return measure(progress)
    if table.rows() != rows:
        table.make()
        table.fill(rows, progress)
    return measure(progress)


def measure(progress: Progress = print) -> list[Row]:
    """Ask for the pages over the table as it is."""
    client = _client()
    found = []
    for kind, group in itertools.groupby(pages(), key=lambda page: page.kind):
        found.append(_row(kind, [(page, _cost(client, page)) for page in group]))
        progress(text_of(found[-1]))
    return found


def pages() -> Iterator[Page]:
    """Yield the pages: the list, each filter alone, each pair and triple of values, searches, deep pages, a job."""
    yield Page("list", LIST)
    values = _filters()
    for count, step in ((1, 1), (2, 1), (3, TRIPLES)):
        for names in itertools.combinations(values, count):
            every = itertools.product(*(values[name] for name in names))
            for chosen in itertools.islice(every, 0, None, step):
                yield Page(" + ".join(names), LIST, dict(zip(names, chosen, strict=True)))
    yield from _searches()
    yield from _deep_pages()
    yield from _job_pages()


def _filters() -> dict[str, list[str]]:
    queues = sorted({queue for queue, _share in tasks.SHARES.values()} | {tasks.DETOUR, "nowhere"})
    names = [*map(tasks.full_name, tasks.SHARES), "nothing.known"]
    return {"state": list(JobState.values), "queue": queues, "task": names, "within": list(WINDOWS)}


def _searches() -> Iterator[Page]:
    # A part that one task has, several, all; a whole name that nobody knows.
    terms = [
        "refund",
        "send_",
        "tasks",
        f"task:{tasks.full_name('charge')}",
        "queue:mail",
        "queue:bulk",
        "shop.unknown",
    ]
    for term in terms:
        yield Page("search", LIST, {"q": term})
    for term, state in itertools.product(terms, JobState.values):
        yield Page("search + state", LIST, {"q": term, "state": state})
    for term, queue in itertools.product(terms, _filters()["queue"]):
        yield Page("search + queue", LIST, {"q": term, "queue": queue})


def _deep_pages() -> Iterator[Page]:
    yield Page("page 200 of a window", LIST, {"p": 200})
    for skipped in (10_000, 1_000_000, Job.objects.count() - 10_100):
        job = Job.objects.order_by("-enqueued_at", "-pk")[skipped]
        key = f"{job.enqueued_at.isoformat()}~{job.pk.hex}"
        for parameters in ({}, {"p": 200}, {"state": "FAILED"}, {"queue": "pay"}, {"task": tasks.full_name("refund")}):
            words = " ".join([f"behind {skipped:,} jobs", *map(str, itertools.chain(*parameters.items()))])
            yield Page("older window", LIST, {"before": key, **parameters}, words)


def _job_pages() -> Iterator[Page]:
    found = [Job.objects.filter(state=state).first() for state in JobState.values]
    jobs = [job for job in found if job is not None]
    for kind, view in (("a job's page", "change"), ("a job's history", "history")):
        for job in jobs:
            yield Page(kind, reverse(f"admin:django_backie_job_{view}", args=[job.pk]), words=job.state)
    for job in jobs:
        yield Page("search by id", LIST, {"q": str(job.pk)}, words=job.state)


def _cost(client: Client, page: Page) -> list[float]:
    """Return the milliseconds of each query, of the fastest of several requests."""
    runs = []
    for _ in range(REPEATS):
        watch = Stopwatch()
        with connection.execute_wrapper(watch):
            response = client.get(page.url, page.parameters)
        if response.status_code not in {200, 302}:
            raise RuntimeError(f"{page.url} {page.parameters}: {response.status_code}")
        runs.append(watch.ms)
        if sum(watch.ms) < LIMIT_MS / 4:
            break
    return min(runs, key=sum)


@dataclass
class Stopwatch:
    """Notes how long each query takes, from the sending to the last row of the answer's first part."""

    ms: list[float] = field(default_factory=list)

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.ms.append((time.perf_counter() - begun) * 1000)


def _row(kind: str, costs: list[tuple[Page, list[float]]]) -> Row:
    page, slowest = max(costs, key=lambda cost: sum(cost[1]))
    queries = max(len(ms) for _page, ms in costs)
    return Row(kind, len(costs), queries, sum(slowest), str(page), max(slowest))


def _client() -> Client:
    client = Client()
    users = get_user_model().objects
    client.force_login(users.filter(username="root").first() or users.create_superuser("root"))
    return client


def text_of(row: Row) -> str:
    """Return a row as one line of a table."""
    mark = " " if row.ms <= LIMIT_MS and row.queries <= LIMIT_QUERIES else "!"
    figures = f"{row.pages:>5} {row.queries:>7} {row.ms:>7.1f} {row.slowest_query_ms:>7.1f}"
    return f"{mark} {row.kind:<24} {figures}  {row.slowest}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--keep", action="store_true", help="use a table of that size that is there, and leave it")
    parser.add_argument("--partitioned", action="store_true", help="a table divided by days")
    options = parser.parse_args()
    print(f"  {'kind of page':<24} {'pages':>5} {'queries':>7} {'ms':>7} {'slowest':>7}  the slowest page")
    run(options.rows, keep=options.keep, partitioned=options.partitioned)


if __name__ == "__main__":
    main()
