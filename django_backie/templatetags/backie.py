"""``{% load backie %}``: how far a job is, on a page of its user."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError, InvalidArguments
from ..progress_page import facts, handle_of
from ..result import TaskResult

register = template.Library()


@register.inclusion_tag("django_backie/progress.html", takes_context=True)
def backie_progress(context: Context, result: Any, label: str = "") -> dict[str, Any]:
    """Show a bar for a job: as the handle has it, and kept up to date by a script until the job has ended.

    ``label`` is what those hear who cannot see the bar.
    """
    if not isinstance(result, TaskResult):
        msg = (
            f"{{% backie_progress %}} takes the handle of a job, what delay() or get_result() returned, not {result!r}"
        )
        raise InvalidArguments(msg)
    try:
        url = reverse("django_backie:progress", args=[handle_of(result)])
    except NoReverseMatch as error:
        msg = '{% backie_progress %} needs a path("jobs/", include("django_backie.urls")) in your urls.py'
        raise ConfigurationError(msg) from error
    return {"facts": facts(result), "url": url, "label": label or _("Progress"), "nonce": context.get("csp_nonce", "")}
