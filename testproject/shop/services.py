"""What can be done in the shop."""

from django.db import transaction

from . import tasks
from .catalogue import CATALOGUE
from .models import Order, Step


def place_order(email: str, sku: str) -> Order:
    """Store an order and, in the same transaction, what has to happen because of it."""
    product = CATALOGUE[sku]
    with transaction.atomic():
        order = Order.objects.create(email=email, sku=sku, amount=product.price)
        jobs = {
            Step.PAYMENT: tasks.store_payment.delay(order.number),
            Step.METRIC: tasks.emit_metric.delay(order.number, str(order.amount)),
            Step.MAIL: tasks.send_confirmation.delay(order.number, email),
        }
        if product.is_legacy:
            jobs[Step.STOCK] = tasks.sync_legacy_stock.delay(sku)
        order.follow(jobs)
    return order
