"""Tasks whose jobs take turns."""

from __future__ import annotations

from django_backie import task


@task(fair_by="tenant")
def export(tenant: str, number: int = 0) -> int:
    """One of each tenant in a turn."""
    return number


@task(fair_by=["tenant"], fair_weight=2)
def weigh(tenant: str, number: int = 0) -> None:
    """Two of each tenant in a turn."""


@task(fair_by=lambda address: address.partition("@")[2], fair_weight=lambda address: len(address.partition("@")[0]))
def send(address: str) -> None:
    """As many of each domain in a turn as the name before it is long."""
