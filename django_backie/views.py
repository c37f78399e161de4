"""The view that pages of users ask how far a job is."""

from __future__ import annotations

from dataclasses import asdict

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .exceptions import BrokerError
from .progress_page import facts, opened


@never_cache
@require_safe
def progress(request: HttpRequest, handle: str) -> HttpResponse:
    """Tell how far the job of a handle is; the handle is the permission, and gives no other."""
    try:
        result = opened(handle)
    except BrokerError:
        return JsonResponse({}, status=503)
    if result is None:
        raise Http404
    return JsonResponse(asdict(facts(result)))
