"""The Redis backend with what Django's tests ask of its dummy backend: ``results`` and ``clear()``, and no options."""

from __future__ import annotations

import functools
import os
from typing import Any

from django_backie import backend, conf
from django_backie.broker.connection import command_client
from django_backie.result import TaskResult

NAMESPACE = f"django-suite-{os.getpid()}"


class RedisBackend(backend.RedisBackend):
    """Django's tests allow no database, so jobs are pushed at once and not mirrored."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._ids: list[str] = []

    @functools.cached_property
    def config(self) -> conf.Config:
        """Return options from the environment: Django's tests assert that there are none in the settings."""
        url = os.environ.get("BACKIE_TEST_REDIS_URL") or os.environ.get("REDIS_URL") or "redis://localhost:6379/0"
        options = {"URL": url, "NAMESPACE": NAMESPACE, "DATABASES": [], "DURABILITY": "now"}
        return conf.parse(self.alias, {**options, **self.options})

    @property
    def results(self) -> list[TaskResult[Any]]:
        """Return the handles of all jobs since ``clear()``."""
        return [self.get_result(job_id) for job_id in self._ids]

    def clear(self) -> None:
        """Remove all jobs."""
        self.broker.erase(self._ids)
        self._ids.clear()

    def _take_in(self, *args: Any) -> list[TaskResult[Any]]:
        taken = super()._take_in(*args)
        self._ids += [handle.id for handle in taken]
        return taken


def tidy() -> None:
    """Remove what the tests have left in Redis."""
    client = command_client(RedisBackend("default", {}).config.url)
    for key in client.scan_iter(f"{NAMESPACE}*", count=1000):
        client.delete(key)
