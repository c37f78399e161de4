"""Orders in the admin, each with links to its jobs."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from .models import Order, OrderJob


class OrderJobInline(admin.TabularInline):
    """The jobs of an order."""

    model = OrderJob
    fields = readonly_fields = ["step", "job"]
    extra = 0
    can_delete = False

    @admin.display(description=_("job"))
    def job(self, link: OrderJob) -> str:
        """Return the id as a link to the job's page."""
        try:
            url = reverse("admin:django_backie_job_change", args=[link.job_id])
        except NoReverseMatch:
            return str(link.job_id)
        return format_html('<a href="{}">{}</a>', url, link.job_id)

    def has_add_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        """Leave the making of jobs to the shop."""
        return False


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Orders are read here; they are placed in the shop."""

    list_display = ["number", "sku", "amount", "email", "created_at", "paid_at", "mailed_at"]
    list_filter = ["sku"]
    search_fields = ["number__exact", "email"]
    readonly_fields = [
        *("number", "created_at", "paid_at", "payment_reference"),
        *("metric_sent_at", "mailed_at", "review_asked_at"),
    ]
    inlines = [OrderJobInline]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave the placing of orders to the shop, where the jobs are enqueued with them."""
        return False
