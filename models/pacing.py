"""How a log is fetched: at once where little comes, in small portions where much does.

A request costs broker and reader far more than a record. A reader that asks again after
every record takes a processor at a thousand records a second; one that lets the broker
collect for a few milliseconds takes a fraction, and is later by less than that.
"""

from typing import Final, NamedTuple

READER_BYTES: Final = 8 * 1024 * 1024
"""What a connection to Kafka takes in before it is told to wait.

aiokafka's 64 KiB make a large answer come in by as many turns of the loop, each as long as
whatever else is done in it: a reader that is behind, beside much else, falls back further.
"""

PREFETCH_SECONDS: Final = 0.005
"""How soon a broker is asked again while some of what it sent is not taken.

By aiokafka's tenth of a second all other partitions are late beside one that has a backlog.
"""

WINDOW_SECONDS: Final = 0.05
BUSY_FETCHES: Final = 4
"""Fetches with records in a window, from which on the broker may collect."""


class Fetching(NamedTuple):
    """What a fetch asks: answer once `min_bytes` are there, or after `wait_ms`."""

    min_bytes: int
    wait_ms: int


class Pace:
    """Tells how to fetch next, by how often fetches brought something lately."""

    def __init__(self, idle_wait_ms: int, busy_wait_ms: int) -> None:
        self._idle = Fetching(1, idle_wait_ms)
        self._busy = Fetching(64 * 1024, busy_wait_ms)
        self._until = 0.0
        self._fetches = 0
        self._is_busy = False

    def fetched(self, now: float) -> Fetching:
        """A fetch brought records at `now`, in seconds; how to fetch from here on."""
        if now >= self._until:
            # Collecting makes fetches rarer: half as many keep a busy reader busy.
            enough = BUSY_FETCHES // 2 if self._is_busy else BUSY_FETCHES
            self._is_busy = now < self._until + WINDOW_SECONDS and self._fetches >= enough
            self._until = now + WINDOW_SECONDS
            self._fetches = 0
        self._fetches += 1
        return self._busy if self._is_busy else self._idle

    def calm(self) -> Fetching:
        """Nothing came for a while."""
        self._is_busy, self._until, self._fetches = False, 0.0, 0
        return self._idle
