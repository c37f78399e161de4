"""The pages of the shop."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from django_backie.compat import TaskResultDoesNotExist

from .catalogue import CATALOGUE
from .forms import OrderForm
from .models import Order
from .progress import progress_of
from .services import place_order
from .tasks import count_sales

LATEST = 8


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def front(request: HttpRequest) -> HttpResponse:
    """Show what there is to buy and the latest orders; take an order."""
    form = OrderForm(request.POST or None, initial={"sku": next(iter(CATALOGUE))})
    if request.method == "POST" and form.is_valid():
        return redirect(place_order(form.cleaned_data["email"], form.cleaned_data["sku"]))
    context = {"form": form, "products": CATALOGUE.values(), "latest": _latest()}
    return render(request, "shop/front.html", context, status=422 if form.errors else 200)


@never_cache
@require_GET
def latest(request: HttpRequest) -> HttpResponse:
    """Return the latest orders as a fragment of the front page."""
    return render(request, "shop/_latest.html", {"latest": _latest()})


@never_cache
@require_GET
def order(request: HttpRequest, number: str) -> HttpResponse:
    """Show an order and how far its jobs are."""
    return render(request, "shop/order.html", _progress(number))


@never_cache
@require_GET
def order_jobs(request: HttpRequest, number: str) -> HttpResponse:
    """Return the jobs of an order as a fragment of its page."""
    return render(request, "shop/_jobs.html", _progress(number))


@require_POST
def count(request: HttpRequest) -> HttpResponse:
    """Have the sales counted, and lead to where one sees how far that is."""
    return redirect("shop:sales", count_sales.delay().id)


@never_cache
@require_GET
def sales(request: HttpRequest, job: UUID) -> HttpResponse:
    """Show how far the counting is, and then what was sold."""
    try:
        result = count_sales.get_result(str(job))
    except TaskResultDoesNotExist as error:
        raise Http404 from error
    sold = result.return_value if result.is_finished and result.state == "SUCCESSFUL" else {}
    counted = [(product, sold.get(sku, 0)) for sku, product in CATALOGUE.items()] if sold else []
    return render(request, "shop/sales.html", {"result": result, "counted": counted})


def _latest() -> list[object]:
    return list(progress_of(Order.objects.all()[:LATEST]))


def _progress(number: str) -> dict[str, object]:
    (progress,) = progress_of([get_object_or_404(Order, pk=number)])
    return {"order": progress.order, "progress": progress}
