"""Documents of one partition that leave its state, so long after the log last changed them.

What a repeat comes to depends on what is remembered. So time is the log's own, and what is
forgotten before a record depends on the records before it alone: a rerun forgets the same.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from models.instants import DAY, Instant
from models.rows import SEPARATOR, Document, Row

MAX_FORGOTTEN: Final = 256
"""Documents that one record lets go of at most; the next ones take the rest."""

NOTHING: Final[Instant] = 2**62

R = TypeVar("R", bound=Row)


class Keeper(Protocol):
    """Where the rows are."""

    def get(self, key: str, kind: type[R]) -> R | None:
        """The row of `key`, or None."""

    def delete(self, key: str, version: int) -> None:
        """Remove the row of `key`."""


class _Dated(Struct):
    day: int = 0


_decode_day = msgspec.json.Decoder(_Dated).decode


class Documents:
    """The keys of documents by the day on which each was last changed, and of earlier days.

    `now` is the time of the record at hand; `due` is when something is to be forgotten.
    """

    def __init__(
        self,
        topic: str,
        kinds: Mapping[str, type[Document]],
        keep_days: int,
        encoded: Mapping[str, bytes],
    ) -> None:
        """`topic` is the input whose time counts, `kinds` the types by the keys' first part."""
        self.topic = topic
        self.now: Instant = 0
        self.due: Instant = NOTHING
        self._kinds = kinds
        self._keep_days = keep_days
        self._keys: defaultdict[int, list[str]] = defaultdict(list)
        self._going: tuple[int, list[str]] = (0, [])
        for key, value in encoded.items():
            if _kind(key) in kinds:
                day = _decode_day(value).day
                if day:
                    self._keys[day].append(key)
        self._set_due()

    def note(self, key: str, row: Document) -> None:
        """A document is changed by the record at hand."""
        day = self.now // DAY
        if row.day != day:
            row.day = day
            self._keys[day].append(key)
            if self.due == NOTHING:
                self._set_due()

    def forget(self, rows: Keeper) -> None:
        """Let go of documents that are due and over, in an order that only they decide."""
        left = MAX_FORGOTTEN
        while left and self.now >= self.due:
            day, keys = self._going
            if not keys:
                day = min(self._keys)
                keys = sorted(set(self._keys.pop(day)), reverse=True)
                self._going = day, keys
            while left and keys:
                key = keys.pop()
                row = rows.get(key, self._kinds[_kind(key)])
                if row is not None and row.day == day and row.is_over():
                    rows.delete(key, row.version + 1)
                    left -= 1
            if not keys:
                self._set_due()

    def _set_due(self) -> None:
        self.due = (min(self._keys) + self._keep_days + 1) * DAY if self._keys else NOTHING


def _kind(key: str) -> str:
    return key.partition(SEPARATOR)[0]
