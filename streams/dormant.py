"""Stock rows of one partition that leave its state: empty, and unchanged for long.

What a later movement finds depends on what is still there. So time is the log's own, and what
leaves before a record depends on the records before it alone: a rerun lets the same rows go.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from models.counts import CompleteRow, complete_key
from models.days import DaysRow, days_key
from models.instants import DAY, Instant
from models.rows import head
from models.stock import StockRow, may_be_empty, remove
from streams.engine.partition import Partition

MAX_LEAVING: Final = 32
"""Rows, with those of their histories, that leave before one record, about."""

LOOKED_AT: Final = 256
"""Rows looked at beside one record, so that the day's first one need not wait for it."""

LOOK_AHEAD: Final = 7
"""Days: the next one on which there are records comes within a week."""

LONGEST_DAYS: Final = 3_650
ALWAYS: Final[Instant] = 0


class Dormant:
    """Follows the days of a partition's log. From `due` on, `advance` is to be told of a record."""

    def __init__(
        self, partition: Partition, keep_days: int, left: Callable[[str, str], None]
    ) -> None:
        """`keep_days` is 0 where nothing leaves; `left` is told of each SKU and location."""
        self.due: Instant = ALWAYS
        self._partition = partition
        self._lets_go = keep_days > 0
        self._keep_days = keep_days or LONGEST_DAYS
        self._left = left
        self._key = days_key(partition.number)
        self._days = partition.get(self._key, DaysRow) or DaysRow(version=0)
        self._going: list[str] = []
        self._look_below(0)
        if self._days.days:
            if not self._days.is_done:
                self._going = self._all_below(self._below())
            self._look_below(self._below(LOOK_AHEAD))

    def advance(self, now: Instant, version: int) -> None:
        """A record is next, at `now`, whose changes begin at `version`: let a part go before it.

        `now` never goes back.
        """
        day = now // DAY
        if not self._days.days or day > self._days.days[-1]:
            self._turn(day, version)
        if not self._days.is_done:
            self._let_go(version)
        elif self._is_looking:
            self._look()
        is_idle = self._days.is_done and not self._is_looking
        self.due = (day + 1) * DAY if is_idle else ALWAYS

    def _turn(self, day: int, version: int) -> None:
        self._days = self._days.turned(day, version).since(day - self._keep_days)
        self._partition.put(self._key, self._days)
        self._going = self._all_below(self._below())
        self._look_below(self._below(LOOK_AHEAD))

    def _let_go(self, version: int) -> None:
        below, left = self._below(), MAX_LEAVING
        while self._going:
            row = self._partition.get(self._going[-1], StockRow)
            if row is not None and self._is_due(row, below):
                if left <= 0:
                    # It is due: a recovery, which finds no other before it, goes on with it.
                    break
                left -= remove(self._partition, row)
                self._left(row.sku, row.location)
            self._going.pop()
        if not self._going:
            self._days = self._days.done(version)
            self._partition.put(self._key, self._days)

    def _is_due(self, row: StockRow, below: int) -> bool:
        """Whether a row may leave. Where its location was counted whole, one that comes back is
        as that count has left it: so none leaves that a later one has changed.
        """
        if row.version >= below or not row.is_empty():
            return False
        whole = self._partition.get(complete_key(row.location), CompleteRow)
        return whole is None or (whole.version < below and row.counted_at <= whole.at)

    def _below(self, ahead: int = 0) -> int:
        """Rows of lower versions may be due; up to `ahead` days later."""
        if not self._lets_go:
            return 0
        first = self._days.days[-1] - self._keep_days
        return self._days.unchanged_below(first + min(ahead, self._keep_days))

    # -- which rows

    def _look_below(self, version: int) -> None:
        """Look for empty rows of lower versions; what changes from now on has a higher one."""
        self._looked_below = version
        self._found: list[str] = []
        self._unseen: Iterator[str] = iter(())
        self._is_looking = version > 0
        if version:
            unsaved = self._partition.unsaved()
            self._found += [name for name in unsaved if name.startswith("stock|")]
            self._unseen = iter(list(self._partition.encoded))

    def _look(self) -> None:
        encoded = self._partition.encoded
        part = list(islice(self._unseen, LOOKED_AT))
        self._is_looking = len(part) == LOOKED_AT
        for name in part:
            value = encoded.get(name, b"") if name.startswith("stock|") else b""
            if may_be_empty(value) and head(value)[0] < self._looked_below:
                self._found.append(name)

    def _all_below(self, version: int) -> list[str]:
        """The keys of rows that may be due, the first ones last."""
        if version > self._looked_below:
            self._look_below(version)
        while self._is_looking:
            self._look()
        return sorted(set(self._found), reverse=True)
