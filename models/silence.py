"""Silence: a source that was not heard within its cadence, in opening hours.

A closed store is not silent; at each opening its cadence begins anew.
"""

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from models.instants import SECOND, Instant, from_datetime, to_datetime

LOOK_BACK: Final = 31
"""Days after the last contact that are looked at for the moment when silence began."""

Hours = dict[str, tuple[str, str]]
"""Opening and closing time, local `HH:MM`, by weekday (0 is Monday); none is always open."""


def silent_since(
    last_seen: Instant, now: Instant, cadence_seconds: int, hours: Hours, zone: ZoneInfo
) -> Instant | None:
    """When the silence began that still lasts at `now`; None where there is none."""
    cadence = cadence_seconds * SECOND
    if not hours:
        return last_seen + cadence if now > last_seen + cadence else None
    day = to_datetime(last_seen).astimezone(zone).date()
    for number in range(LOOK_BACK):
        period = _open(day + timedelta(number), hours, zone)
        if period is None:
            continue
        opens, closes = period
        due = max(opens, last_seen) + cadence
        if due <= closes:
            return due if now > due else None
    return last_seen + cadence


def _open(day: date, hours: Hours, zone: ZoneInfo) -> tuple[Instant, Instant] | None:
    known = hours.get(str(day.weekday()))
    if known is None:
        return None
    opens, closes = (time.fromisoformat(text) for text in known)
    until = day if closes > opens else day + timedelta(1)
    return _instant(day, opens, zone), _instant(until, closes, zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> Instant:
    return from_datetime(datetime.combine(day, at, zone))
