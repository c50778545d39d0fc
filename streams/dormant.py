"""Stock rows of one partition that leave its state: empty, and unchanged for long.

What a later movement finds depends on what is still there. So time is the log's own, and all that
is due leaves before the first record of a day, whichever way steps are cut.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from models.days import DaysRow, days_key
from models.instants import DAY, Instant
from models.rows import head
from models.stock import StockRow, may_be_empty, remove
from streams.engine.partition import Partition

MAX_LEAVING: Final = 2_000
"""Rows, with those of their histories, that leave in one step, about."""

LOOKED_AT: Final = 256
"""Rows looked at beside one record, so that the day's first one need not wait for it."""

LONGEST_DAYS: Final = 3_650


class Dormant:
    """Follows the days of a partition's log; `due` is when the next one begins."""

    def __init__(
        self, partition: Partition, keep_days: int, left: Callable[[str, str], None]
    ) -> None:
        """`keep_days` is 0 where nothing leaves; `left` is told of each SKU and location."""
        self._partition = partition
        self._keep_days = keep_days
        self._left = left
        self._key = days_key(partition.number)
        self._days = partition.get(self._key, DaysRow) or DaysRow(version=0)
        self._begin()

    def _begin(self) -> None:
        """Another day is here: look for what may be due on the next."""
        days = self._days.days
        self.due: Instant = (days[-1] + 1) * DAY if days else 0
        self._going: list[str] | None = None
        below = self._days.unchanged_below(days[-1] + 1 - self._keep_days) if days else None
        self._look_below(below or 0)

    def _look_below(self, version: int) -> None:
        """Look for empty rows of lower versions. Those that come to be one later are none."""
        self._below = version if self._keep_days else 0
        self._found: list[str] = []
        self._unseen: Iterator[str] = iter(())
        if self._below:
            unsaved = [name for name in self._partition.unsaved() if name.startswith("stock|")]
            self._found += unsaved
            self._unseen = iter(list(self._partition.encoded))
        self.is_looking = self._below > 0

    def look(self, most: int = LOOKED_AT) -> None:
        """Look at some rows."""
        encoded = self._partition.encoded
        part = list(islice(self._unseen, most))
        self.is_looking = len(part) == most
        for name in part:
            value = encoded.get(name, b"") if name.startswith("stock|") else b""
            if may_be_empty(value) and head(value)[0] < self._below:
                self._found.append(name)

    def turn(self, now: Instant, version: int) -> bool:
        """The log comes to another day, at `now`, with a record whose changes begin at `version`.

        False where only a part of what is due has left: the same record comes again.
        """
        day = now // DAY
        days = self._days.turned(day, version)
        if self._keep_days and not self._let_go(days.unchanged_below(day - self._keep_days) or 0):
            return False
        self._days = days.since(day - (self._keep_days or LONGEST_DAYS))
        self._partition.put(self._key, self._days)
        self._begin()
        return True

    def _let_go(self, below: int) -> bool:
        if self._going is None:
            self._going = self._all_below(below)
        left = MAX_LEAVING
        while self._going and left > 0:
            row = self._partition.get(self._going.pop(), StockRow)
            if row is not None and row.version < below and row.is_empty():
                left -= remove(self._partition, row)
                self._left(row.sku, row.location)
        return not self._going

    def _all_below(self, below: int) -> list[str]:
        """The keys of rows that may be due, the first ones last."""
        if below > self._below:
            self._look_below(below)
        while self.is_looking:
            self.look()
        return sorted(set(self._found), reverse=True)
