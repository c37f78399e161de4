"""What the clock of a time zone shows, and when, where it is put forward or back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def shown_at(moment: float, zone: ZoneInfo, *, back: bool) -> datetime:
    """Return from which time of a clock on, or back, to look for what is shown after, or before, a moment.

    It is what the clock shows then, in no zone; but where it shows that twice, the times between the two lie on the
    other side of the moment, too.
    """
    shown = datetime.fromtimestamp(moment, UTC).astimezone(zone)
    first, second = _both(shown, zone)
    twice = timedelta(seconds=max(0.0, second - first))
    shown = shown.replace(tzinfo=None)
    if back:
        return shown + twice if moment >= second else shown
    return shown - twice if moment < second else shown


def moments_of(times: Iterable[datetime], zone: ZoneInfo, *, is_by_clock: bool, back: bool) -> Iterator[float]:
    """Yield the moments at which a clock shows some times, in their order, in seconds since the epoch.

    Args:
        times: in no zone, upwards, or downwards where ``back`` is set.
        is_by_clock: what is never shown has no moment, what is shown twice has two. Otherwise each has one: the first
            after the gap, or the first of the two.
    """
    others: deque[float] = deque()
    for time in times:
        first, second = _both(time, zone)
        if first > second:
            if is_by_clock:
                continue
            first = second = _after_gap(time, zone)
        elif not is_by_clock:
            second = first
        here, other = (second, first) if back else (first, second)
        while others and ((others[0] > here) if back else (others[0] < here)):
            yield others.popleft()
        yield here
        if other != here:
            others.append(other)
    yield from others


def _both(time: datetime, zone: ZoneInfo) -> tuple[float, float]:
    """Return the first and the second moment at which a clock shows a time; in a gap the second is the earlier."""
    local = time.replace(tzinfo=zone)
    return local.replace(fold=0).timestamp(), local.replace(fold=1).timestamp()


def _after_gap(time: datetime, zone: ZoneInfo) -> float:
    while True:
        time += timedelta(minutes=1)
        first, second = _both(time, zone)
        if first <= second:
            return first
