"""Tasks whose calls are merged."""

from __future__ import annotations

from django_backie import task


@task(coalesce=True)
def reindex(pk: int, deep: bool = False) -> None:
    """Do nothing."""


@task(coalesce=["pk"])
def notify(pk: int, text: str = "") -> None:
    """Do nothing."""


@task(coalesce=lambda path, **_: path.rpartition("/")[0])
def warm(path: str, language: str = "en") -> None:
    """Do nothing."""
