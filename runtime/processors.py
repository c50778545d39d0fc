"""How short processors are, as a thread finds them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

Ran = tuple[int, int]
"""For how long a thread ran, and for how long it was ready and had no processor; nanoseconds."""

LOOK_SECONDS: Final = 0.1

_COUNTED: Final = Path("/proc/thread-self/schedstat")
_OF_THE_LAST: Final = 1 / 4
_LEAST_NS: Final = 10_000_000
"""Who wanted a processor for less than that cannot tell."""


def ran() -> Ran:
    """What Linux has counted of the calling thread (sched-stats.rst); elsewhere nothing."""
    try:
        running, waiting, *_ = _COUNTED.read_bytes().split()
    except OSError:
        return 0, 0
    return int(running), int(waiting)


class Scarcity:
    """Of the time in which a thread could have run, the share in which it had no processor."""

    def __init__(
        self, told: Callable[[], Ran] = ran, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._told = told
        self._clock = clock
        self._last = told()
        self._look_at = clock() + LOOK_SECONDS
        self._share = 0.0

    def share(self) -> float:
        """Between 0 and 1: that of the last second or so. It is 0 where nothing is counted."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look()
        return self._share

    def _look(self) -> None:
        last, self._last = self._last, self._told()
        running, waiting = self._last[0] - last[0], self._last[1] - last[1]
        if running + waiting >= _LEAST_NS:
            self._share += (waiting / (running + waiting) - self._share) * _OF_THE_LAST
        else:
            self._share -= self._share * _OF_THE_LAST
