"""Views that enqueue, for the tests of transactions."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.contract_tasks import note

TAKEN: list[Any] = []


def order(request: HttpRequest) -> HttpResponse:
    """Enqueue, and tell how the job stands before the end of the request."""
    result = note.delay(1)
    TAKEN.append(result)
    return HttpResponse(f"{result.id} {result.enqueued_at is None} {note.get_result(result.id).status}")


def broken(request: HttpRequest) -> HttpResponse:
    """Enqueue and fail."""
    TAKEN.append(note.delay(2))
    raise RuntimeError("no")


async def aorder(request: HttpRequest) -> HttpResponse:
    """Enqueue from the event loop."""
    result = await note.adelay(3)
    TAKEN.append(result)
    return HttpResponse((await note.aget_result(result.id)).status)


async def atransaction(request: HttpRequest) -> HttpResponse:
    """Enqueue in a transaction of an async view, and roll back on request."""

    @sync_to_async
    def work() -> None:
        with transaction.atomic():
            TAKEN.append(note.delay(4))
            if "fail" in request.GET:
                raise RuntimeError("no")

    await work()
    return HttpResponse("done")


urlpatterns = [
    path("order/", order),
    path("broken/", broken),
    path("aorder/", aorder),
    path("atransaction/", atransaction),
]
