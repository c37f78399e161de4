"""Epoch seconds, which jobs and scripts use, as the datetimes that Django uses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import overload

from django.conf import settings
from django.utils import timezone

_ORIGIN = datetime.fromtimestamp(0, UTC)


@overload
def moment(seconds: float) -> datetime: ...
@overload
def moment(seconds: None) -> None: ...
@overload
def moment(seconds: float | None) -> datetime | None: ...
def moment(seconds: float | None) -> datetime | None:
    """Return epoch seconds as Django keeps times: aware under USE_TZ, else naive in the project's zone."""
    if seconds is None:
        return None
    # Not fromtimestamp(float): it rounds, and a stored millisecond must come back as the same millisecond.
    aware = _ORIGIN + timedelta(milliseconds=round(seconds * 1000))
    return aware if settings.USE_TZ else timezone.make_naive(aware, timezone.get_default_timezone())


def epoch(when: datetime) -> float:
    """Return a datetime as epoch seconds; a naive one is in the project's zone, as Django reads it."""
    if timezone.is_naive(when):
        when = timezone.make_aware(when, timezone.get_default_timezone())
    return when.timestamp()
