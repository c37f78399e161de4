"""Numbers, durations, moments and names as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

NOTHING = "–"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def number(value: int) -> str:
    """Return a whole number with the separators of the active language."""
    return formats.number_format(value, use_l10n=True, force_grouping=True)


def bounded(value: int, limit: int, *, may_be_more: bool = False) -> str:
    """Return a count that was not taken beyond ``limit``, e.g. ``10,000+``, or not of all there may be."""
    return f"{number(min(value, limit))}+" if value > limit or may_be_more else number(value)


def duration(value: timedelta | None) -> str:
    """Return a length of time in at most two units: ``12 ms``, ``1.4 s``, ``3 min 5 s``."""
    if value is None:
        return NOTHING
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 1:
        return _("%(count)s ms") % {"count": number(round(seconds * 1000))}
    if seconds < 10:
        return _("%(count)s s") % {"count": formats.number_format(seconds, decimal_pos=1)}
    return _coarse(int(seconds + 0.5))


def _coarse(seconds: int) -> str:
    days, hours, minutes = seconds // _DAY, seconds % _DAY // _HOUR, seconds % _HOUR // _MINUTE
    if seconds < _MINUTE:
        return _("%(count)s s") % {"count": seconds}
    if seconds < _HOUR:
        return _two(_("%(count)s min") % {"count": minutes}, _("%(count)s s"), seconds % _MINUTE)
    if seconds < _DAY:
        return _two(_("%(count)s h") % {"count": hours}, _("%(count)s min"), minutes)
    return _two(_("%(count)s d") % {"count": number(days)}, _("%(count)s h"), hours)


def _two(large: str, template: str, small: int) -> str:
    return f"{large} {template % {'count': small}}" if small else large


def distance(value: timedelta) -> str:
    """Return how far away a moment is, in one unit: what a list has room for."""
    seconds = int(abs(value.total_seconds()))
    if seconds < _MINUTE:
        return _("%(count)s s") % {"count": seconds}
    if seconds < _HOUR:
        return _("%(count)s min") % {"count": seconds // _MINUTE}
    if seconds < 2 * _DAY:
        return _("%(count)s h") % {"count": seconds // _HOUR}
    return _("%(count)s d") % {"count": number(seconds // _DAY)}


def relative(moment: datetime, now: datetime) -> str:
    """Return a moment as seen from now: ``3 min ago``, ``in 5 s``."""
    away = moment - now
    if abs(away) < timedelta(seconds=1):
        return pgettext("moment", "now")
    template = _("in %(distance)s") if away > timedelta(0) else _("%(distance)s ago")
    return template % {"distance": distance(away)}


def exact(moment: datetime) -> str:
    """Return a moment to the second in the reader's zone and language."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{formats.date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M:%S}"


def time_tag(moment: datetime | None, text: str = "") -> SafeString | str:
    """Return a ``<time>`` element that shows ``text``, or the exact moment, which is always its title."""
    if moment is None:
        return NOTHING
    shown = exact(moment)
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), shown, text or shown)


def short_task(name: str) -> str:
    """Return what tells a task's name apart from others: ``shop.charge`` of ``shop.tasks.charge``."""
    *modules, function = name.split(".")
    rooms = [module for module in modules if module != "tasks"]
    return ".".join([*rooms[-1:], function])
