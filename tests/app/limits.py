"""Tasks with limits."""

from __future__ import annotations

from typing import Any

from django_backie import Rate, Retry, Shared, task


@task(concurrency=2)
def render(page: int) -> int:
    return page


@task(concurrency_key="customer_id")
def sync(customer_id: int, reason: str = "") -> None:
    """One at a time for each customer."""


@task(concurrency_key=Shared("stripe", by="account"), concurrency=3)
def charge(account: str, amount: int = 0) -> None:
    """Three at a time for each account."""


@task(concurrency_key=Shared("stripe", by="account"), concurrency=3)
def refund(account: str) -> None:
    """Of the same three."""


@task(rate_limit="2/h")
def newsletter(number: int) -> None:
    """Two at once, then one in half an hour."""


@task(rate_limit=Rate("100/m", burst=1), rate_key="host")
def crawl(host: str, path: str = "/") -> None:
    """Evenly, for each host."""


@task(rate_limit="1000/s", rate_key=Shared("sms"), concurrency=1, takes_context=True, max_attempts=3)
def text(context: Any, number: str, wait: float = 0.0) -> str:
    """Hold the limit of all, if told to."""
    if wait and context.attempt == 1:
        context.hold(seconds=wait)
        raise Retry(after=0)
    return number
