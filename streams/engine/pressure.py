"""How long what waits for a stage will take, told to the stage that feeds it.

A burst then waits in its source's own log, where what others send passes it by, and not
in front of the next stage, where nothing can. Processes of one worker share it.
"""

from multiprocessing.sharedctypes import RawValue
from typing import Final

MAKE_WAY_SECONDS: Final = 0.05
"""So much may wait; past it, who feeds the stage rests for as long as it works."""


class Pressure:
    """Made before the processes part, so that both see it."""

    def __init__(self) -> None:
        self._seconds = RawValue("d", 0.0)

    def tell(self, waiting: int, taken: int, seconds: float) -> None:
        """So many bytes are waiting; so many were taken in the last so many seconds."""
        self._seconds.value = waiting * seconds / taken if taken else 0.0

    @property
    def is_high(self) -> bool:
        """Whether the stage that is fed needs time."""
        return bool(self._seconds.value > MAKE_WAY_SECONDS)
