"""What happens because of an order, after its transaction has been committed."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from django_backie import Shared, TaskContext, Unique, cron, task

from . import provider
from .catalogue import CATALOGUE
from .models import Order, Step

# What the contract with the payment provider allows, to all that calls it.
PROVIDER = Shared("payment provider")
# For so long an order is kept.
KEPT = timedelta(days=90)


class LegacyStockError(Exception):
    """The old stock machine does not answer to this article."""


@task(
    queue_name="payments",
    priority=10,
    max_attempts=8,
    backoff=2.0,
    timeout=30,
    concurrency=4,
    concurrency_key=PROVIDER,
    rate_limit="200/s",
    rate_key=PROVIDER,
)
def store_payment(number: str) -> str:
    """Store the order with the payment provider, and return its reference.

    It is unwell now and then, so a payment has eight attempts; and the contract allows four calls at a time, so there
    are never more, on however many workers.
    """
    order = Order.objects.get(pk=number)
    answer = provider.post("/payments", {"order": number, "amount": str(order.amount)})
    Order.mark(number, "paid_at", payment_reference=answer["reference"])
    return str(answer["reference"])


@task(queue_name="metrics", backoff=2.0, timeout=30, expires=timedelta(hours=1))
async def emit_metric(number: str, amount: str) -> None:
    """Tell the metric sink about the order without occupying a thread of the worker; old news is no news."""
    await asyncio.to_thread(provider.post, "/events", {"order": number, "event": "order", "value": amount})
    order = Order.objects.filter(pk=number, metric_sent_at=None)
    await order.aupdate(metric_sent_at=timezone.now())


@task(queue_name="mail", backoff=2.0, timeout=30, fair_by="email")
def send_confirmation(number: str, email: str) -> None:
    """Send the confirmation; in the transaction that notes it, plan the request for a review.

    Customers take turns: a hotel that orders a thousand towels does not delay the mail for one teapot.
    """
    order = Order.objects.get(pk=number)
    _mail(
        order,
        email,
        Step.MAIL,
        _("Thank you for your order %(number)s"),
        _("%(product)s for %(amount)s is on its way."),
    )
    with transaction.atomic():
        if Order.mark(number, "mailed_at"):
            later = ask_for_review.using(run_after=timedelta(seconds=settings.SHOP_REVIEW_AFTER))
            order.follow({Step.REVIEW: later.delay(number)})


@task(queue_name="mail", priority=-10, backoff=2.0, timeout=30, discard_for=Order.DoesNotExist)
def ask_for_review(number: str) -> None:
    """Ask the customer how they like what they bought, unless the order has been forgotten meanwhile."""
    order = Order.objects.get(pk=number)
    _mail(
        order,
        order.email,
        Step.REVIEW,
        _("How is your order %(number)s?"),
        _("Please tell us how you like it: %(product)s."),
    )
    Order.mark(number, "review_asked_at")


@task(queue_name="stock", max_attempts=2, backoff=2.0, timeout=30)
def sync_legacy_stock(sku: str) -> None:
    """Tell the stock machine of 1974 about a sale, in vain: this job shows what a failed job looks like."""
    if CATALOGUE[sku].is_legacy:
        raise LegacyStockError(f"the stock machine does not know {sku!r}; it answered '?REDO FROM START'")


@task(queue_name="reports", takes_context=True, unique=Unique(by=()), expose=True)
def count_sales(context: TaskContext) -> dict[str, int]:
    """Count what was sold, and say how far the counting is; who asks meanwhile sees the same counting.

    The people of the shop may have it done at times of their own, in the admin.
    """
    orders = Order.objects.order_by()
    sold: Counter[str] = Counter()
    skus = orders.values_list("sku", flat=True)
    for sku in context.track(skus.iterator(), total=orders.count(), message=_("Counting the orders")):
        sold[sku] += 1
        time.sleep(0.02)  # the archive of a real shop is slow, and the bar would be gone before anybody sees it
    return dict(sold)


@task(queue_name="reports", schedule=cron("30 3 * * *", overlap="skip"))
def forget_old_orders() -> int:
    """Forget each night who bought what long ago, and return how many orders that were."""
    _all, deleted = Order.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
    return deleted.get("shop.Order", 0)


def _mail(order: Order, to: str, step: Step, subject: str, body: str) -> None:
    words = {"number": order.number, "product": order.product.name, "amount": order.amount}
    headers = {"X-Order": order.number, "X-Step": step.value}
    EmailMessage(subject % words, body % words, to=[to], headers=headers).send()
