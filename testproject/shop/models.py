"""Orders, and which jobs were enqueued for them."""

import secrets
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .catalogue import CATALOGUE, Product

READABLE = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def new_number() -> str:
    """Return a number that nobody guesses and that is never given out twice, not even after a rollback."""
    return "".join(secrets.choice(READABLE) for _ in range(10))


class Step(models.TextChoices):
    """What a job does for an order."""

    PAYMENT = "payment", _("Store with the payment provider")
    METRIC = "metric", _("Emit the metric event")
    MAIL = "mail", _("Send the confirmation")
    STOCK = "stock", _("Sync the legacy stock")
    REVIEW = "review", _("Ask for a review")


class Order(models.Model):
    """Somebody wants something. The moments below are written by the jobs, once each."""

    number = models.CharField(_("number"), max_length=10, primary_key=True, default=new_number, editable=False)
    email = models.EmailField(_("e-mail address"))
    sku = models.CharField(_("article"), max_length=20, choices=[(p.sku, p.name) for p in CATALOGUE.values()])
    amount = models.DecimalField(_("amount"), max_digits=8, decimal_places=2)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, editable=False)
    payment_reference = models.CharField(_("payment reference"), max_length=40, blank=True, editable=False)
    metric_sent_at = models.DateTimeField(_("metric sent at"), null=True, editable=False)
    mailed_at = models.DateTimeField(_("mailed at"), null=True, editable=False)
    review_asked_at = models.DateTimeField(_("review asked at"), null=True, editable=False)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["-created_at"], name="shop_order_created")]

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        """Return the address of the order's page."""
        return reverse("shop:order", args=[self.number])

    @property
    def product(self) -> Product:
        """Return the article that was ordered."""
        return CATALOGUE[self.sku]

    @classmethod
    def mark(cls, number: str, moment: str, **fields: Any) -> bool:
        """Write the moment if nobody has yet, and tell whether this call did: a job may run twice."""
        unmarked = cls.objects.filter(pk=number, **{moment: None})
        return unmarked.update(**{moment: timezone.now()}, **fields) == 1

    def follow(self, results: Mapping[Step, Any]) -> None:
        """Remember which job does which step."""
        OrderJob.objects.bulk_create(
            OrderJob(order=self, step=step, job_id=result.id) for step, result in results.items()
        )


class OrderJob(models.Model):
    """A job that was enqueued for an order."""

    order = models.ForeignKey(Order, verbose_name=_("order"), on_delete=models.CASCADE, related_name="jobs")
    step = models.CharField(_("step"), max_length=10, choices=Step.choices)
    job_id = models.UUIDField(_("job"), unique=True)

    class Meta:
        verbose_name = _("job of an order")
        verbose_name_plural = _("jobs of an order")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["order", "step"], name="shop_one_job_per_step")]

    def __str__(self) -> str:
        return f"{self.order_id} {self.step}"
