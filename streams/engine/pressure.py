"""How long what waits for a stage will take, told to the stage that feeds it.

A burst then waits in its source's own log, where what others send passes it by, and not
in front of the next stage, where nothing can. Processes of one worker share it.
"""

from multiprocessing.sharedctypes import RawValue
from typing import Final

MAKE_WAY_SECONDS: Final = 0.02
"""So much may wait; past it, a backlog rests, and what is fresh passes it."""

BACKLOG_SECONDS: Final = 0.5
"""So much where all that feeds the stage is old: nothing wants to pass."""

LATELY_SECONDS: Final = 1.0
"""For so long, others are expected to go on sending."""


class Pressure:
    """Made before the processes part, so that both see it. Times are of the system's one clock."""

    def __init__(self) -> None:
        self._seconds = RawValue("d", 0.0)
        self._told_at = RawValue("d", -LATELY_SECONDS)
        self._fresh_at = RawValue("d", -LATELY_SECONDS)

    def tell(self, seconds: float, now: float) -> None:
        """What waits for the stage will take it so long."""
        self._seconds.value, self._told_at.value = seconds, now

    def tell_fresh(self, now: float) -> None:
        """Who feeds the stage is up to date, in some input at least."""
        self._fresh_at.value = now

    def is_fresh(self, now: float) -> bool:
        """Whether something that is up to date was fed lately, so that it may have to wait."""
        return bool(now < self._fresh_at.value + LATELY_SECONDS)

    def is_high(self, now: float) -> bool:
        """Whether the stage that is fed needs time, by what it told lately."""
        most = MAKE_WAY_SECONDS if self.is_fresh(now) else BACKLOG_SECONDS
        was_told = now < self._told_at.value + LATELY_SECONDS
        return bool(was_told and self._seconds.value > most)
