"""Points in time: whole microseconds since 1970-01-01T00:00Z, never local, never floats."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

Instant = int

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS: Final = 86_400

_REMEMBERED: Final = 4_096
"""Rows that change together mostly tell the same times."""

_FIRST: Final = -62_135_596_800_000_000
_LAST: Final = 253_402_300_799_999_999

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
HOUR: Final = 3_600 * SECOND
DAY: Final = 24 * HOUR


def from_datetime(moment: datetime) -> Instant:
    """The instant of an aware `moment`. Raises TypeError for a naive one."""
    since = moment - _EPOCH
    return (since.days * _DAY_SECONDS + since.seconds) * SECOND + since.microseconds


@lru_cache(_REMEMBERED)
def to_datetime(instant: Instant) -> datetime:
    """The aware UTC datetime of `instant`, exact to the microsecond, within years 1 to 9999."""
    instant = min(max(instant, _FIRST), _LAST)
    second, rest = divmod(instant, SECOND)
    moment = datetime.fromtimestamp(second, UTC)
    return moment.replace(microsecond=rest) if rest else moment


@lru_cache(_REMEMBERED)
def to_rfc3339(instant: Instant) -> str:
    """`instant` as RFC 3339 text in UTC."""
    return to_datetime(instant).isoformat().replace("+00:00", "Z")
