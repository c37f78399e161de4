"""What the filters offer. Never asked of the job table: DISTINCT over millions of rows takes seconds."""

from __future__ import annotations

import functools
import logging

from .. import compat, registry

logger = logging.getLogger("django_backie.admin")


def known_tasks() -> list[str]:
    """Return the names of the project's tasks, sorted."""
    _discover()
    return registry.names()


def known_queues() -> list[str]:
    """Return the queues that the project's tasks name, sorted."""
    _discover()
    return registry.queues()


def known_databases() -> list[str]:
    """Return the database aliases that hold job tables, in the order of the settings."""
    configs = [compat.get_backend(alias).config for alias in compat.own_aliases()]
    return list(dict.fromkeys(alias for config in configs for alias in config.databases))


@functools.cache
def _discover() -> None:
    # A web process has imported only those tasks that its views use, while the list shows the jobs of all.
    modules = [module for alias in compat.own_aliases() for module in compat.get_backend(alias).config.task_modules]
    try:
        registry.discover(modules)
    except Exception:
        # The worker is loud about it; here it would only take away the page that shows what went wrong.
        logger.exception("Not all tasks could be imported, so the admin's filters do not offer all of them.")
