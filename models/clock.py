"""When something happened: local times resolved, device clocks corrected, futures clamped.

A correction never changes a delta's effect on the total; counts and expiry use it. Each
is told by a word that stands in the ledger beside the original time.
"""

from datetime import datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from models.instants import HOUR, SECOND, Instant, from_datetime, to_datetime

TOLERANCE: Final[Instant] = 2 * SECOND
"""Skew below it is ignored, and hourly minima within it agree."""

DOUBTFUL: Final[Instant] = 60 * SECOND
"""A delay or skew above it that can't be told apart is flagged."""

FUTURE: Final[Instant] = 300 * SECOND
"""How far ahead of its record an event may lie before it counts as of its record's time."""

PROOF: Final = 3
"""Contact hours whose minima must agree before a slow clock is corrected."""

SKEW_CORRECTED: Final = "skew_corrected"
SKEW_UNPROVEN: Final = "skew_unproven"
AFTER_SENDING: Final = "after_sending"
FUTURE_CLAMPED: Final = "future_clamped"
TIME_REPEATED: Final = "time_repeated"
TIME_AMBIGUOUS: Final = "time_ambiguous"
TIME_SKIPPED: Final = "time_skipped"


class Skew(Struct, array_like=True, gc=False):
    """What is known of a device's clock, from (record time - `sentat`) of its contacts.

    Transport delay is never negative, so the minimum of a contact hour bounds the skew.
    `minima` are those of the contact hours before `hour`, the latest last; `sent` is
    the latest `sentat`.
    """

    hour: int
    minimum: Instant
    minima: list[Instant] = field(default_factory=list)
    sent: Instant = 0

    def correction(self) -> Instant:
        """What to add to the device's times; negative where its clock is ahead."""
        ahead = min([self.minimum, *self.minima[-1:]])
        if ahead <= -TOLERANCE:
            return ahead
        proof = [*self.minima, self.minimum][-PROOF:]
        if len(proof) == PROOF and min(proof) >= TOLERANCE and max(proof) - min(proof) <= TOLERANCE:
            return min(proof)
        return 0


class Timed(NamedTuple):
    """An instant, and why it is not the one that was sent."""

    at: Instant
    why: tuple[str, ...] = ()


def observe(skew: Skew | None, sent: Instant, received: Instant) -> Skew:
    """What is known of a clock after one more contact.

    A clock that was set back since the last contact is learned anew.
    """
    hour, delay = received // HOUR, received - sent
    if skew is None or sent < skew.sent - TOLERANCE:
        return Skew(hour, delay, [], sent)
    if hour > skew.hour:
        minima = [*skew.minima, skew.minimum][-(PROOF - 1) :]
        return Skew(hour, delay, minima, sent)
    return Skew(skew.hour, min(skew.minimum, delay), skew.minima, max(skew.sent, sent))


def corrected(at: Instant, sent: Instant | None, received: Instant, skew: Skew | None) -> Timed:
    """When something stamped `at` by a device happened."""
    why: list[str] = []
    if sent is not None and at > sent + TOLERANCE:
        at = sent
        why.append(AFTER_SENDING)
    if skew is not None:
        correction = skew.correction()
        if correction:
            at += correction
            why.append(SKEW_CORRECTED)
        elif skew.minimum > DOUBTFUL:
            why.append(SKEW_UNPROVEN)
    if at > received + FUTURE:
        at = received
        why.append(FUTURE_CLAMPED)
    return Timed(at, tuple(why))


def resolve(local: datetime, zone: ZoneInfo, before: Instant | None) -> Timed:
    """The instant of a `local` time without offset.

    In the repeated hour it is the first that is not `before` what the source said last,
    else the earlier; in the skipped hour it shifts forward.
    """
    first = from_datetime(local.replace(tzinfo=zone, fold=0))
    second = from_datetime(local.replace(tzinfo=zone, fold=1))
    if first == second:
        return Timed(first)
    if first > second:
        return Timed(first, (TIME_SKIPPED,))
    if before is not None and first < before:
        return Timed(second, (TIME_REPEATED,))
    return Timed(first, (TIME_AMBIGUOUS,))


def business_day(at: Instant, zone: ZoneInfo, day_starts: str) -> str:
    """The day that sales of `at` belong to, where days begin at `day_starts` (`HH:MM`, local)."""
    begins = time.fromisoformat(day_starts)
    local = to_datetime(at).astimezone(zone)
    day = local.date()
    return (day if local.time() >= begins else day - timedelta(1)).isoformat()
