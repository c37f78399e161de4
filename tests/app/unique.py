"""Tasks of which there is one job at a time."""

from __future__ import annotations

from typing import Any

from django_backie import BaseTask, Unique, task


@task(unique=True)
def sync(pk: int, deep: bool = False) -> str:
    """Do nothing."""
    return f"{pk}"


@task(unique="pk")
def index(pk: int, text: str = "") -> None:
    """Do nothing."""


@task(unique=lambda path, **_: path.rpartition("/")[0])
def warm(path: str, language: str = "en") -> None:
    """Do nothing."""


@task(unique=Unique(by=()))
def rebuild(why: Any = "") -> None:
    """Do nothing."""


@task(unique=Unique(by="pk", conflict="raise"))
def bill(pk: int) -> None:
    """Do nothing."""


@task(unique=Unique(by="pk", until="start"))
def publish(pk: int) -> None:
    """Do nothing."""


@task(unique=Unique(by="pk", conflict="replace"))
def tell(pk: int, text: str = "") -> str:
    """Return what was said."""
    return text


@task(unique=Unique(by="pk", until="start", conflict="replace"))
def draw(pk: int, text: str = "") -> str:
    """Return what was said."""
    return text


@task(unique=Unique(by="pk", conflict="extend"))
def expire(pk: int, text: str = "") -> str:
    """Return what was said."""
    return text


@task(unique=Unique(by="pk", window=60))
def remind(pk: int) -> None:
    """Do nothing."""


@task(unique=True, max_attempts=2, backoff=3600)
def stumble(pk: int) -> None:
    """Fail."""
    raise ZeroDivisionError(pk)


class Export(BaseTask[[int], None]):
    """A unique task in the class form."""

    task_name = "export"
    unique = Unique(by=["pk"])
    queue_name = "default"

    def run(self, pk: int) -> None:
        """Do nothing."""
