"""Durations as people say them."""

from datetime import timedelta

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

register = template.Library()


@register.filter
def brief(duration: timedelta | None) -> str:
    """Return ``85 ms``, ``1.4 s``, ``2 min 3 s``, or a dash for None."""
    if duration is None:
        return "–"
    seconds = duration.total_seconds()
    if seconds < 0.9995:
        return _("%(count)d ms") % {"count": round(seconds * 1000)}
    if seconds < 59.95:
        return _("%(count)s s") % {"count": number_format(seconds, decimal_pos=1)}
    minutes, rest = divmod(round(seconds), 60)
    return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
