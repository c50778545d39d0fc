"""How long what waits for a stage will take, told to the stage that feeds it.

A burst then waits in its source's own log, where what others send passes it by, and not
in front of the next stage, where nothing can. Processes of one worker share it.
"""

from multiprocessing.sharedctypes import RawValue
from typing import Final

MAKE_WAY_SECONDS: Final = 0.02
"""So much may wait; past it, who feeds the stage rests."""

LONGEST_REST_SECONDS: Final = 0.025
"""Whoever has something fresh to send waits no longer for a rest to end."""

BACKLOG_SECONDS: Final = 0.5
"""So much may wait where all that feeds the stage is old: nothing wants to pass."""

LATELY_SECONDS: Final = 1.0
"""For so long, others are expected to go on sending."""


class Pressure:
    """Made before the processes part, so that both see it. Times are of the system's one clock."""

    def __init__(self) -> None:
        self._seconds = RawValue("d", 0.0)
        self._fresh_at = RawValue("d", -LATELY_SECONDS)

    def tell(self, waiting: int, taken: int, seconds: float) -> None:
        """So many bytes are waiting; so many were taken in the last so many seconds."""
        self._seconds.value = waiting * seconds / taken if taken else 0.0

    def tell_fresh(self, now: float) -> None:
        """Who feeds the stage is up to date, in some input at least."""
        self._fresh_at.value = now

    def is_fresh(self, now: float) -> bool:
        """Whether something that is up to date was fed lately, so that it may have to wait."""
        return bool(now < self._fresh_at.value + LATELY_SECONDS)

    def rest(self, now: float) -> float:
        """For how many seconds who feeds the stage is to rest now, after each slice of work.

        It never stops: a stage that tells nothing any more must not be waited for.
        """
        most = MAKE_WAY_SECONDS if self.is_fresh(now) else BACKLOG_SECONDS
        too_long: float = self._seconds.value - most
        return min(max(0.0, too_long), LONGEST_REST_SECONDS)
